"""A policy whose rollouts come from servers: the same rollouts, the same weights, loud failures."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_server import FakeServer, slow
from tiny import llama, policy, sample

from alive import aio
from alive.engines.server import RemoteSampler, Replica, ServedPolicy
from alive.engines.server.workers import Workers
from alive.errors import ConfigError, ServerError
from alive.prompts import make_renderer
from alive.protocols import Request, SamplingParams
from alive.types import Prompt, TrainingRecord

GREEDY = SamplingParams(12, temperature=0.0)
WARM = SamplingParams(8)


@pytest.fixture
def server(seed_tokenizer: Any) -> Iterator[FakeServer]:
    with FakeServer(seed_tokenizer) as one:
        yield one


def replica(server: FakeServer, **settings: Any) -> Replica:
    return Replica(server.url, **({"backoff": 0.0} | settings))


def remote(*servers: FakeServer, positions: int | None = 1024) -> RemoteSampler:
    tokenizer = servers[0].tokenizer
    renderer = make_renderer(tokenizer)
    return RemoteSampler([replica(one) for one in servers], renderer, positions, len(tokenizer))


def served(server: FakeServer, folder: Path, *more: FakeServer, **settings: Any) -> ServedPolicy:
    local = policy(server.tokenizer, **settings)
    return ServedPolicy(local, [replica(one) for one in (server, *more)], folder / "served")


def prompts_of(renderer: Any) -> list[Prompt]:
    return [renderer.solve(text, None) for text in ("1+2=\\mask{}", "many words \\mask{}", "x")]


def records_of(renderer: Any, answer: str = "7") -> list[TrainingRecord]:
    written = renderer.complete(f"\\boxed{{{answer}}}")
    return [TrainingRecord(p.role, p.ids, written, 1.0, "d") for p in prompts_of(renderer)]


def close(left: Any, right: Any) -> None:
    torch.testing.assert_close(torch.tensor(left), torch.tensor(right), atol=1e-4, rtol=0)


def same(mine: Any, theirs: Any) -> None:
    """Two rollouts are one, but for rounding."""
    assert replace(mine, logprobs=()) == replace(theirs, logprobs=())
    close(mine.logprobs, theirs.logprobs)


def test_greedy_rollouts_are_the_local_policys(server: FakeServer) -> None:
    local, far = policy(server.tokenizer), remote(server)
    requests = [Request(prompt, 2, GREEDY, 5) for prompt in prompts_of(local.renderer)]
    for mine, theirs in zip(sample(local, *requests), sample(far, *requests), strict=True):
        assert len(theirs) == 2
        for left, right in zip(mine, theirs, strict=True):
            same(left, right)


def test_a_drawn_rollout_carries_what_the_model_says_of_it_before_temperature(
    server: FakeServer,
) -> None:
    local, far = policy(server.tokenizer), remote(server)
    prompt = prompts_of(local.renderer)[0]
    request = Request(prompt, 3, SamplingParams(8, temperature=2.0, top_p=0.9), 11)
    [group], [again], [other] = (
        sample(far, one) for one in (request, request, replace(request, seed=12))
    )
    assert group == again != other
    assert len({rollout.completion_ids for rollout in group}) > 1
    for rollout in group:
        whole = local.logprobs([*prompt.ids, *rollout.completion_ids])
        close(rollout.logprobs, whole[-len(rollout.completion_ids) :].tolist())
    [body, *_] = server.asked("/v1/completions")
    assert (body["temperature"], body["top_p"], body["n"], body["seed"]) == (2.0, 0.9, 3, 11)
    assert body["prompt"] == list(prompt.ids)
    # Nothing of what a model's folder may advise to servers is left to them.
    assert (body["top_k"], body["min_p"], body["repetition_penalty"]) == (0, 0.0, 1.0)
    assert body["ignore_eos"] and body["stop_token_ids"] == list(local.renderer.stop_ids)


def test_a_rollout_ends_with_its_end_token_or_at_the_limit(server: FakeServer) -> None:
    renderer = make_renderer(server.tokenizer, stop_ids=range(40, 90))
    stops = renderer.stop_ids
    far = RemoteSampler([replica(server)], renderer, 1024, len(server.tokenizer))
    [group] = sample(far, Request(prompts_of(renderer)[0], 40, SamplingParams(6), 0))
    assert {rollout.stop for rollout in group} == {"stop", "length"}
    for rollout in group:
        assert (rollout.completion_ids[-1] in stops) == (rollout.stop == "stop")
        assert len(rollout.completion_ids) == len(rollout.logprobs) <= 6


def test_stop_texts_and_boxes_cut_where_the_local_policy_does(server: FakeServer) -> None:
    local, far = policy(server.tokenizer), remote(server)
    prompt = prompts_of(local.renderer)[0]
    [[whole]] = sample(local, Request(prompt, 1, SamplingParams(24, temperature=0.0), 0))
    text = local.renderer.decode(whole.completion_ids[3:5])
    stopped = Request(replace(prompt, stop=(text,)), 1, SamplingParams(24, temperature=0.0), 0)
    [[mine]], [[theirs]] = sample(local, stopped), sample(far, stopped)
    same(mine, theirs)
    assert theirs.stop == "stop" and text not in theirs.text
    assert server.asked("/v1/completions")[-1]["stop"] == [text]

    # The server knows nothing of boxes: it goes on, and what comes behind the first is left out.
    written = local.renderer.encode("it is \\boxed{7}. And \\boxed{8}")

    def boxed(handler: Any, answer: dict[str, Any]) -> dict[str, Any]:
        told = {"token_logprobs": [-0.5] * len(written)}
        answer["choices"][0] |= {"token_ids": list(written), "logprobs": told}
        return answer

    server.altered["/v1/completions"] = boxed
    limit = SamplingParams(64, temperature=0.0)
    [[cut]] = sample(far, Request(replace(prompt, stops_at_box=True), 1, limit, 0))
    assert (cut.text, cut.stop) == ("it is \\boxed{7}", "stop")
    assert cut.logprobs == (-0.5,) * len(cut.completion_ids)
    [[on]] = sample(far, Request(prompt, 1, limit, 0))
    assert (on.completion_ids, on.stop) == (written, "length")


def test_a_prompt_that_leaves_no_room_gets_nothing(server: FakeServer) -> None:
    far = remote(server, positions=40)
    prompts = [Prompt("solve", tuple(20 + at % 40 for at in range(n))) for n in (30, 38, 40, 50)]
    groups = sample(far, *(Request(prompt, 2, SamplingParams(30), 0) for prompt in prompts))
    assert [body["max_tokens"] for body in server.asked("/v1/completions")] in ([10, 2], [2, 10])
    for group in groups[2:]:
        assert [(r.completion_ids, r.text, r.stop) for r in group] == [((), "", "length")] * 2
    server.room = 36
    assert remote(server, positions=40).room == 36
    server.room = None
    assert remote(server, positions=None).room is None


def test_tokens_that_the_tokenizer_does_not_know_are_kept_from_a_server(seed_tokenizer) -> None:
    known = len(seed_tokenizer)
    with FakeServer(seed_tokenizer, llama(known + 40)) as server:
        renderer = make_renderer(seed_tokenizer)
        far = RemoteSampler([replica(server)], renderer, 1024, known + 40)
        groups = sample(far, *(Request(p, 8, WARM, 0) for p in prompts_of(renderer)))
    assert max(t for group in groups for r in group for t in r.completion_ids) < known
    [body, *_] = server.asked("/v1/completions")
    assert body["logit_bias"] == {str(token): -100 for token in range(known, known + 40)}


@pytest.mark.parametrize("rank", [0, 2], ids=["all weights", "adapters"])
def test_what_is_learned_reaches_the_server(server: FakeServer, tmp_path: Path, rank: int) -> None:
    far, local = served(server, tmp_path, rank=rank), policy(server.tokenizer, rank=rank)
    records = records_of(local.renderer)
    requests = [Request(prompt, 1, GREEDY, 0) for prompt in prompts_of(local.renderer)]
    for version in (0, 3):
        if version:
            for either in (far, local):
                for _ in range(3):
                    either.update(records, 3e-2)
                either.publish()
        for [mine], [theirs] in zip(sample(local, *requests), sample(far, *requests), strict=True):
            assert theirs.policy_version == version
            same(mine, theirs)
        assert far.gap < 1e-4
    loads = server.asked("/collective_rpc")
    assert len(loads) == 2  # once for each version, whatever is asked of it
    assert not (tmp_path / "served").exists()
    order = [path for path, _ in server.heard if path not in ("/v1/completions", "/weight_info")]
    assert order[-5:] == [
        *("/pause", "/collective_rpc", "/reset_prefix_cache"),
        *("/update_weight_version", "/resume"),
    ]


def test_weights_go_out_before_the_next_rollout_and_not_before(
    server: FakeServer, tmp_path: Path
) -> None:
    """A server that is gone when a step publishes must not cost the step."""
    far = served(server, tmp_path)
    [[before]] = sample(far, Request(prompts_of(far.learner.renderer)[0], 1, GREEDY, 0))
    far.update(records_of(far.learner.renderer), 1e-2)
    server.stop()
    try:
        far.publish()
        assert far.version == 1
        with pytest.raises(ServerError, match=r"Check that it runs.*--resume"):
            sample(far, Request(before.prompt, 1, GREEDY, 0))
    finally:
        server.start()
    [[after]] = sample(far, Request(before.prompt, 1, GREEDY, 0))
    assert (before.policy_version, after.policy_version) == (0, 1)


def test_it_counts_as_the_local_policy_does(server: FakeServer, tmp_path: Path) -> None:
    far, local = served(server, tmp_path), policy(server.tokenizer)
    requests = [Request(prompt, 2, GREEDY, 0) for prompt in prompts_of(local.renderer)]
    records = records_of(local.renderer)
    for either in (far, local):
        sample(either, *requests)
        either.update(records, 1e-2)
    for name in ("tokens_sampled", "prompt_tokens", "tokens_trained"):
        assert getattr(far.usage, name) == getattr(local.usage, name) > 0
    assert far.usage.seconds_sampling > 0
    assert far.choices.keys() == local.choices.keys()
    assert far.identity == local.identity


def test_a_learner_that_others_sample_holds_no_copy_of_its_matrices(seed_tokenizer) -> None:
    from alive.config import LearnConfig
    from alive.engines.local import LocalPolicy

    for choices in (None, {"packs": True}):
        learner = LocalPolicy(
            llama(len(seed_tokenizer)), seed_tokenizer, make_renderer(seed_tokenizer),
            LearnConfig(learning_rate=1e-2), dtype="bfloat16", choices=choices, copies=False,
        )  # fmt: skip
        read = learner._sampler.decoder.model
        assert learner._copy is None
        assert getattr(read, "model", read) is not None
        assert learner.choices["packs"] is bool(choices)


def test_requests_go_to_the_replica_that_has_least_to_do(seed_tokenizer, tmp_path) -> None:
    with FakeServer(seed_tokenizer) as first, FakeServer(seed_tokenizer) as second:
        far = served(first, tmp_path, second)
        first.altered["/v1/completions"] = slow(0.2)
        requests = [
            Request(prompt, 1, WARM, seed)
            for seed in range(8)
            for prompt in prompts_of(far.learner.renderer)
        ]
        groups = sample(far, *requests)
    alone = policy(seed_tokenizer)
    assert [group[0].prompt for group in groups] == [request.prompt for request in requests]
    for [rollout] in groups:
        whole = alone.logprobs([*rollout.prompt.ids, *rollout.completion_ids])
        close(rollout.logprobs, whole[-len(rollout.completion_ids) :].tolist())
    shares = [len(one.asked("/v1/completions")) - 1 for one in (first, second)]  # a probe each
    assert sum(shares) == 24 and min(shares) > 0
    assert first.weights == second.weights != "default"


def test_a_server_that_was_started_anew_is_not_taken_for_the_one_before(
    server: FakeServer, tmp_path: Path
) -> None:
    far = served(server, tmp_path)
    request = Request(prompts_of(far.learner.renderer)[0], 1, GREEDY, 0)
    sample(far, request)

    def restart(handler: Any, answer: dict[str, Any]) -> dict[str, Any]:
        server.started_anew()
        return answer

    server.altered["/v1/completions"] = restart
    with pytest.raises(ServerError, match="no longer holds the weights") as caught:
        sample(far, request)
    assert server.url in str(caught.value)
    # Whoever goes on sends them again.
    server.altered.clear()
    far.publish()
    [[rollout]] = sample(far, request)
    assert rollout.policy_version == 0


def test_another_model_is_noticed_when_weights_are_sent(seed_tokenizer, tmp_path) -> None:
    """It takes weights of the same shapes and means something else by them."""
    other = llama(len(seed_tokenizer))
    with torch.no_grad():
        other.model.layers[0].self_attn.scaling *= 9.0
    other.model.layers[1].mlp.act_fn = torch.nn.Tanh()
    with FakeServer(seed_tokenizer, other) as server:
        far = served(server, tmp_path)
        with pytest.raises(ServerError, match=r"nats a token from the learner's") as caught:
            sample(far, Request(prompts_of(far.learner.renderer)[0], 1, GREEDY, 0))
    assert server.url in str(caught.value) and "alive serve" in str(caught.value)


def test_a_server_that_keeps_a_part_of_earlier_weights_is_noticed(seed_tokenizer, tmp_path) -> None:
    """As one does that has packed a head which is tied to the embeddings."""
    model = llama(len(seed_tokenizer))
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    with FakeServer(seed_tokenizer, model) as server:
        far = served(server, tmp_path)
        request = Request(prompts_of(far.learner.renderer)[0], 1, GREEDY, 0)
        sample(far, request)
        assert far.gap < 1e-4
        far.update(records_of(far.learner.renderer), 1e-3)
        far.publish()
        with pytest.raises(ServerError, match=r"keeps a part of earlier weights.*adapters"):
            sample(far, request)


def test_another_tokenizer_is_refused(seed_tokenizer, chat_tokenizer) -> None:
    with (
        FakeServer(chat_tokenizer) as server,
        pytest.raises(ServerError, match="'tiny', whose tokenizer is not"),
    ):
        RemoteSampler([replica(server)], make_renderer(seed_tokenizer), 64, len(seed_tokenizer))


def test_a_server_without_developer_mode_or_with_parallel_parts_is_refused(
    server: FakeServer, tmp_path: Path
) -> None:
    server.parts = 2
    with pytest.raises(ServerError, match=r"data-parallel parts.*one server for each"):
        served(server, tmp_path)
    server.altered["/get_world_size"] = lambda handler, answer: handler.send(404, b"no")
    with pytest.raises(ServerError, match=r"refused /get_world_size .*developer mode\? start it"):
        served(server, tmp_path)
    remote(server)  # which sends no weights


def test_a_server_at_a_public_address_is_sent_no_weights(server: FakeServer) -> None:
    one = replica(server)
    one.url = "http://9.9.9.9:8000"
    with pytest.raises(ConfigError, match=r"public address.*tunnel"):
        one.require_control()
    one.url = "http://10.0.0.3:8000"
    one.require_control()


def test_a_busy_server_and_a_torn_answer_are_asked_again(server: FakeServer) -> None:
    tries = []

    def faulty(handler: Any, answer: dict[str, Any]) -> dict[str, Any] | None:
        tries.append(1)
        whole = json.dumps(answer).encode()
        if len(tries) == 1:
            handler.send(500, b"EngineDeadError")
        elif len(tries) == 2:
            handler.send(200, whole[:40], length=len(whole))
            handler.close_connection = True
        else:
            return answer
        return None

    far, local = remote(server), policy(server.tokenizer)
    server.altered["/v1/completions"] = faulty
    request = Request(prompts_of(local.renderer)[0], 1, GREEDY, 0)
    [[mine]], [[theirs]] = sample(local, request), sample(far, request)
    same(mine, theirs)
    assert len(tries) == 3


def test_a_server_that_keeps_failing_ends_it_with_its_name(server: FakeServer) -> None:
    far = remote(server)
    prompt = prompts_of(far._renderer)[0]
    server.altered["/v1/completions"] = lambda handler, answer: handler.send(
        500, b"kaput\x1b[2J\n" * 2
    )
    with pytest.raises(ServerError, match=r"failed \(HTTP 500: kaput") as caught:
        sample(far, Request(prompt, 1, GREEDY, 0))
    assert server.url in str(caught.value) and str(caught.value).isprintable()
    assert len(server.asked("/v1/completions")) == 4
    assert caught.value.exit_code == 1
    server.altered["/v1/completions"] = lambda handler, answer: handler.send(400, b"too long")
    with pytest.raises(ServerError, match=r"refused /v1/completions \(HTTP 400: too long\)"):
        sample(far, Request(prompt, 1, GREEDY, 0))


def test_a_silent_server_is_given_up(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from alive.engines.server import client

    monkeypatch.setattr(client, "PATIENCE", 0.05)
    one = replica(server, retries=1)
    server.altered["/v1/completions"] = slow(0.3)
    with pytest.raises(ServerError, match="timed out"):
        one.complete({"prompt": [1], "n": 1, "max_tokens": 1, "temperature": 1.0}, 99)


def test_a_url_that_is_none_or_holds_a_secret(server: FakeServer) -> None:
    for url in ("ftp://127.0.0.1", "8000", "http://[x", ""):
        with pytest.raises(ConfigError, match=r"--sampler names no http\(s\) URL"):
            Replica(url)
    with pytest.raises(ConfigError, match="ALIVE_SAMPLER_KEY") as caught:
        Replica("http://me:hunter2@127.0.0.1:1")
    assert "hunter2" not in str(caught.value)
    assert Replica(f"{server.url}/v1/").url == server.url


def hostile(**choice: Any) -> dict[str, Any]:
    return {"ids": [20, 21], "told": [-1.0, -2.0], "reason": "length"} | choice


HOSTILE = {
    "a token beyond the vocabulary": (hostile(ids=[20, 10**6]), "token beyond"),
    "a negative token": (hostile(ids=[20, -1]), "token beyond"),
    "a token that is true": (hostile(ids=[20, True]), "token beyond"),
    "a token that is text": (hostile(ids=[20, "w"]), "token beyond"),
    "no log-probability": (hostile(told=[-1.0, None]), "log-probability that is none"),
    "not a number": (hostile(told=[-1.0, math.nan]), "log-probability that is none"),
    "a probability above one": (hostile(told=[-1.0, 3.0]), "log-probability that is none"),
    "an endless number": (hostile(told=[-1.0, 10**400]), "log-probability that is none"),
    "too few of them": (hostile(told=[-1.0]), "one log-probability for each"),
    "text for tokens": (hostile(ids="ab"), "one log-probability for each"),
    "more than the limit": (hostile(ids=[20] * 13, told=[-1.0] * 13), "13 tokens where 12"),
    "an aborted one": (hostile(reason="abort"), "gave a completion up"),
    "no ids": (hostile(ids=None), "one log-probability for each"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_answer_that_is_no_completion_is_refused(server: FakeServer, kind: str) -> None:
    sent, says = HOSTILE[kind]

    def answer(handler: Any, answer: dict[str, Any]) -> dict[str, Any]:
        answer["choices"][0] |= {
            "token_ids": sent["ids"],
            "logprobs": {"token_logprobs": sent["told"]},
            "finish_reason": sent["reason"],
        }
        return answer

    far = remote(server)
    server.altered["/v1/completions"] = answer
    with pytest.raises(ServerError, match=says) as caught:
        sample(far, Request(prompts_of(far._renderer)[0], 1, GREEDY, 0))
    assert server.url in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [b"<html>", b"{}", b"[]", b"null", b'{"choices": 3}', b"\xff\xfe", b"[" * 100_000, b""],
)
def test_another_protocol_is_named(server: FakeServer, data: bytes) -> None:
    far = remote(server)
    for path in ("/v1/completions", "/v1/models"):
        server.altered[path] = lambda handler, answer: handler.send(200, data)
    with pytest.raises(ServerError, match="does not answer as a vLLM server does"):
        sample(far, Request(prompts_of(far._renderer)[0], 1, GREEDY, 0))
    with pytest.raises(ServerError, match="does not answer as a vLLM server does") as caught:
        replica(server)
    assert len(str(caught.value)) < 400


def test_choices_that_were_not_asked_for_are_refused(server: FakeServer) -> None:
    far = remote(server)

    def answer(handler: Any, answer: dict[str, Any]) -> dict[str, Any]:
        return {"choices": answer["choices"] * times}

    server.altered["/v1/completions"] = answer
    for times in (0, 2):
        with pytest.raises(ServerError, match=f"{times} completions where 1"):
            sample(far, Request(prompts_of(far._renderer)[0], 1, GREEDY, 0))
    server.altered["/v1/completions"] = lambda handler, answer: {
        "choices": [answer["choices"][0] | {"prompt_token_ids": [1, 2]}]
    }
    with pytest.raises(ServerError, match="answer to another prompt"):
        sample(far, Request(prompts_of(far._renderer)[0], 1, GREEDY, 0))


def test_workers_keep_to_their_number_and_drop_what_nobody_waits_for() -> None:
    import threading

    began, go, seen = threading.Event(), threading.Event(), []

    def first() -> int:
        began.set()
        go.wait(10)
        return 1

    async def interrupted(workers: Workers) -> None:
        waiting = asyncio.ensure_future(workers.run(first))
        dropped = asyncio.ensure_future(workers.run(lambda: seen.append("dropped")))
        while not began.is_set():
            await asyncio.sleep(0)
        for task in (waiting, dropped):
            task.cancel()

    workers = Workers(1)
    aio.run(interrupted(workers))  # its loop is closed, while the first call goes on
    go.set()
    assert aio.run(workers.run(lambda: 7)) == 7
    assert seen == []
    with pytest.raises(ZeroDivisionError):
        aio.run(workers.run(lambda: 1 // 0))
