"""The local policy: order, counts, and a checkpoint from which the same steps follow bit by bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import built, gpt2, llama, policy, sample

from alive.config import LearnConfig, ModelConfig
from alive.engines.local import LocalPolicy, load_policy
from alive.engines.local.layout import plain_logprobs
from alive.protocols import Request, SamplingParams
from alive.types import MASK, Prompt, Rollout, TrainingRecord

GREEDY = SamplingParams(6, temperature=0.0)


def prompts_of(renderer) -> list[Prompt]:
    passages = ("a long passage with many words \\mask{}", "1+2=\\mask{}", "x", "of some words")
    return [renderer.solve(passage, None) for passage in passages]


def sampled(
    sampler: Any, prompts: list[Prompt], n: int, params: SamplingParams, seed: int
) -> list[list[Rollout]]:
    requests = (Request(prompt, n, params, seed + at) for at, prompt in enumerate(prompts))
    return sample(sampler, *requests)


def ids_of(groups: list[list[Rollout]]) -> list[list[tuple[int, ...]]]:
    return [[rollout.completion_ids for rollout in group] for group in groups]


def records_of(renderer, answer: str = "7") -> list[TrainingRecord]:
    written = renderer.complete(f"\\boxed{{{answer}}}")
    return [
        TrainingRecord(p.role, p.ids, written, 1.0, "d") for p in prompts_of(renderer) for _ in "ab"
    ]


def test_rollouts_come_in_the_order_of_their_prompts(seed_tokenizer) -> None:
    sampler = policy(seed_tokenizer)
    prompts = prompts_of(sampler.renderer)
    lengths = [len(prompt.ids) for prompt in prompts]
    assert lengths != sorted(lengths)
    together = sampled(sampler, prompts, 2, GREEDY, seed=1)
    assert [[r.prompt for r in group] for group in together] == [[p, p] for p in prompts]
    for prompt, group in zip(prompts, together, strict=True):
        [[alone]] = sampled(sampler, [prompt], 1, GREEDY, seed=9)
        assert group[0].completion_ids == group[1].completion_ids == alone.completion_ids


def test_neither_the_budget_nor_the_neighbours_change_a_rollout(seed_tokenizer) -> None:
    sampler = policy(seed_tokenizer)
    prompts, params = prompts_of(sampler.renderer), SamplingParams(6)
    together = sampled(sampler, prompts, 3, params, seed=4)
    sampler = policy(seed_tokenizer, choices={"budget": 1})  # one row at a time
    assert ids_of(sampled(sampler, prompts, 3, params, seed=4)) == ids_of(together)
    alone = [sample(sampler, Request(p, 3, params, 4 + at))[0] for at, p in enumerate(prompts)]
    assert ids_of(alone) == ids_of(together)
    assert ids_of(sampled(sampler, prompts, 3, params, seed=9)) != ids_of(together)


def test_a_rollout_says_what_was_written(seed_tokenizer) -> None:
    sampler = policy(seed_tokenizer)
    [group] = sampled(sampler, prompts_of(sampler.renderer)[:1], 20, SamplingParams(5), seed=0)
    for rollout in group:
        ended = rollout.completion_ids[-1] in sampler.renderer.stop_ids
        assert rollout.stop == ("stop" if ended else "length")
        assert rollout.text == sampler.renderer.decode(rollout.completion_ids)
        assert rollout.policy_version == 0
        assert len(rollout.logprobs) == len(rollout.completion_ids) <= 5
    assert sampler.usage.tokens_sampled == sum(len(rollout.completion_ids) for rollout in group)


def test_requests_of_every_kind_wait_together(seed_tokenizer) -> None:
    sampler = policy(seed_tokenizer)
    prompts = prompts_of(sampler.renderer)
    kinds = [(3, SamplingParams(4)), (1, GREEDY), (2, SamplingParams(2)), (1, GREEDY)]
    requests = [Request(p, *kind, seed=0) for p, kind in zip(prompts, kinds, strict=True)]
    groups = sample(sampler, *requests)
    assert [len(group) for group in groups] == [n for n, _ in kinds]
    assert [group[0].prompt for group in groups] == prompts
    for group, (_, params) in zip(groups, kinds, strict=True):
        assert all(len(r.completion_ids) <= params.max_new_tokens for r in group)
    [[alone]] = sampled(sampler, prompts[1:2], 1, GREEDY, 0)
    assert groups[1][0].completion_ids == alone.completion_ids
    # A prompt counts once, whatever its completions are.
    assert sampler.usage.prompt_tokens == sum(len(p.ids) for p in (*prompts, prompts[1]))


def test_a_stop_string_ends_a_completion(seed_tokenizer) -> None:
    sampler = policy(seed_tokenizer)
    prompt = prompts_of(sampler.renderer)[0]
    [[whole]] = sample(sampler, Request(prompt, 1, SamplingParams(12), 3))
    text = sampler.renderer.decode(whole.completion_ids[2:4])
    stopped = replace(prompt, stop=(text,))
    [[cut]] = sample(sampler, Request(stopped, 1, SamplingParams(12), 3))
    assert cut.stop == "stop"
    assert cut.text == whole.text.partition(text)[0]  # the text that stops is no part of it
    assert cut.logprobs == whole.logprobs[: len(cut.completion_ids)]
    assert whole.completion_ids[: len(cut.completion_ids)] == cut.completion_ids
    assert len(cut.completion_ids) <= 4


def test_a_completion_ends_where_the_context_does(seed_tokenizer) -> None:
    """A GPT-2 of 64 positions: who asks for more gets what fits, or nothing where none does."""
    sampler = policy(seed_tokenizer, model=gpt2(len(seed_tokenizer)))
    lengths = (10, 60, 63, 64, 80)
    prompts = [Prompt("solve", tuple(20 + at % 40 for at in range(n))) for n in lengths]
    sampler._sampler.decoder._stops = frozenset()
    groups = sampled(sampler, prompts, 2, SamplingParams(30), seed=0)
    written = [{len(r.completion_ids) for r in group} for group in groups]
    assert written == [{30}, {4}, {1}, {0}, {0}]
    assert {(r.text, r.stop) for r in (*groups[3], *groups[4])} == {("", "length")}
    for prompt, group in zip(prompts[:3], groups[:3], strict=True):
        expected = plain_logprobs(sampler.model, prompt.ids, group[0].completion_ids)
        torch.testing.assert_close(torch.tensor(group[0].logprobs), expected, atol=1e-4, rtol=0)


def test_tokens_that_the_tokenizer_does_not_know_are_never_written(seed_tokenizer) -> None:
    known = len(seed_tokenizer)
    sampler = policy(seed_tokenizer, model=llama(known + 500))
    groups = sampled(sampler, prompts_of(sampler.renderer), 8, SamplingParams(8), seed=0)
    assert max(t for group in groups for r in group for t in r.completion_ids) < known


def test_rollouts_carry_the_version_that_was_published(seed_tokenizer) -> None:
    for dtype in ("float32", "bfloat16"):
        both = policy(seed_tokenizer, dtype=dtype)
        prompts = prompts_of(both.renderer)
        records = records_of(both.renderer)
        for _ in range(2):
            both.update(records, 1e-2)
        [[rollout]] = sampled(both, prompts[:1], 1, GREEDY, 0)
        assert (both.version, rollout.policy_version) == (2, 0)
        both.publish()
        [[rollout]] = sampled(both, prompts[:1], 1, GREEDY, 0)
        assert rollout.policy_version == 2
        with both._precision.autocast():
            expected = plain_logprobs(both.model, prompts[0].ids, rollout.completion_ids)
        close = 1e-4 if dtype == "float32" else 0.25
        assert (torch.tensor(rollout.logprobs) - expected).abs().max() < close


def test_updates_are_counted(seed_tokenizer) -> None:
    learner = policy(seed_tokenizer)
    records = records_of(learner.renderer)  # each is there twice, and passes once
    stats = learner.update(records, 1e-2)
    assert (learner.version, learner.usage.tokens_trained) == (1, stats.tokens)
    assert stats.tokens == sum(len(r.completion_ids) for r in records[::2])
    assert learner.usage.seconds_learning > 0
    assert learner.usage.seconds_sampling == 0


def test_a_step_that_is_not_finite_is_skipped_and_counted(seed_tokenizer) -> None:
    learner = policy(seed_tokenizer)
    records = records_of(learner.renderer)
    assert not learner.update(records, 1e-2).skipped
    with torch.no_grad():
        learner.model.model.norm.weight[0] = float("nan")
    before = {name: weight.clone() for name, weight in learner.model.state_dict().items()}
    assert learner.update(records, 1e-2).skipped
    assert learner.version == 2
    for name, weight in learner.model.state_dict().items():
        assert torch.equal(weight.nan_to_num(7.0), before[name].nan_to_num(7.0))


def test_weights_and_version_change_under_the_guard(seed_tokenizer, monkeypatch) -> None:
    """A signal that is held back there finds both as before, or both as after."""
    learner = policy(seed_tokenizer)
    weight = learner.model.model.norm.weight
    seen = []

    class Guard:
        def __enter__(self) -> None:
            seen.append((learner.version, weight[0].item()))

        def __exit__(self, *_: object) -> None:
            seen.append((learner.version, weight[0].item()))

    learner.guard = Guard
    learner.update(records_of(learner.renderer), 1e-2)
    assert [version for version, _ in seen] == [0, 1]
    assert seen[0][1] == 1.0 != seen[1][1] == weight[0].item()


def test_an_interrupted_step_is_not_the_old_version(seed_tokenizer, monkeypatch) -> None:
    """Weights may have moved; nobody may take them for those of the step before."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    learner = policy(seed_tokenizer)
    monkeypatch.setattr(learner._optimiser, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        learner.update(records_of(learner.renderer), 1e-2)
    assert learner.version == 1


def test_what_a_run_chose_is_not_chosen_again(seed_tokenizer) -> None:
    """The rest is asked of the machine."""
    chosen = policy(seed_tokenizer, dtype="bfloat16").choices
    assert chosen.keys() == {"dtype", "budget", "recomputes", "packs"}
    assert (chosen["dtype"], chosen["recomputes"]) == ("bfloat16", False)
    saved = {"budget": 12345, "recomputes": True, "packs": True}
    resumed = policy(seed_tokenizer, choices=saved)
    assert resumed.choices == {"dtype": "float32", **saved}
    assert policy(seed_tokenizer, choices={"budget": 9}).choices["recomputes"] is False


def test_a_policy_without_learning_settings_only_samples(seed_tokenizer) -> None:
    whole = policy(seed_tokenizer)
    sampler = LocalPolicy(whole.model, seed_tokenizer, whole.renderer)
    assert len(sampled(sampler, prompts_of(whole.renderer), 1, GREEDY, 0)) == 4
    with pytest.raises(ValueError, match="sampling only"):
        sampler.update(records_of(whole.renderer), 1e-2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("rank", [0, 2], ids=["all weights", "lora"])
@pytest.mark.parametrize("follow", [None, 0.0, 0.5], ids=["imitated", "first teacher", "follower"])
def test_two_updates_after_a_restore_equal_two_without(
    seed_tokenizer, tmp_path: Path, rank, dtype, follow
) -> None:
    learn = LearnConfig(learning_rate=1e-2, weight_decay=0.1)
    if follow is not None:
        learn = learn.model_copy(update={"distil_weight": 1.0, "distil_follow": follow})
    straight = policy(seed_tokenizer, learn=learn, rank=rank, dtype=dtype)
    records, prompts = records_of(straight.renderer), prompts_of(straight.renderer)
    if follow is not None:
        told = replace(records[0], loss="distil", informed_prompt_ids=records[1].prompt_ids)
        records = [*records, told]
    for _ in range(2):
        straight.update(records, 1e-2)
    straight.save(tmp_path / "model")
    save_file(straight.tensors(), tmp_path / "state.safetensors")
    ends = [straight.update(records, 1e-2) for _ in range(2)]
    straight.publish()
    rollouts = sampled(straight, prompts, 2, SamplingParams(6), 5)

    # Whoever resumes has weights and moments of its own.
    resumed = policy(seed_tokenizer, learn=learn, rank=rank, dtype=dtype)
    resumed.update(records_of(resumed.renderer, "999"), 1e-2)
    resumed.restore(tmp_path / "model", load_file(tmp_path / "state.safetensors"), version=2)
    assert [resumed.update(records, 1e-2) for _ in range(2)] == ends
    resumed.publish()
    assert resumed.version == straight.version == 4
    left, right = straight.model.state_dict(), resumed.model.state_dict()
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    moments, others = straight.tensors(), resumed.tensors()
    assert moments.keys() == others.keys()
    assert all(torch.equal(moments[name], others[name]) for name in moments)
    assert sampled(resumed, prompts, 2, SamplingParams(6), 5) == rollouts


def test_a_recurrent_family_learns_and_resumes(seed_tokenizer, tmp_path: Path) -> None:
    from transformers import Lfm2Config

    def make() -> Any:
        config = Lfm2Config(
            vocab_size=len(seed_tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            layer_types=["conv", "full_attention"],
        )
        return policy(seed_tokenizer, model=built(config))

    straight = make()
    records = records_of(straight.renderer)
    losses = [straight.update(records, 1e-2).loss for _ in range(8)]
    assert losses[-1] < losses[0]
    straight.save(tmp_path)
    resumed = make()
    resumed.restore(tmp_path, straight.tensors(), version=8)
    assert resumed.update(records, 1e-2) == straight.update(records, 1e-2)


def test_a_saved_folder_is_the_policy(seed_tokenizer, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    learner = policy(seed_tokenizer)
    learner.update(records_of(learner.renderer), 1e-2)
    learner.save(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    for name, value in learner.model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_learning_raises_what_is_learned(seed_tokenizer) -> None:
    """The toy signal: after a few steps the greedy answer to every prompt is the taught one."""
    learner = policy(seed_tokenizer, learn=LearnConfig(learning_rate=1e-2))
    prompts, short = prompts_of(learner.renderer), SamplingParams(12, temperature=0.0)
    before = [group[0].text for group in sampled(learner, prompts, 1, short, 0)]
    assert "\\boxed{7}" not in before
    losses = [learner.update(records_of(learner.renderer), 1e-2).loss for _ in range(40)]
    assert losses[-1] < 0.05 < 1 < losses[0]
    learner.publish()
    rollouts = [group[0] for group in sampled(learner, prompts, 1, short, 0)]
    assert {(r.text, r.stop) for r in rollouts} == {("\\boxed{7}", "stop")}


def test_two_threads_learn_the_same_bytes_every_time() -> None:
    """Rows that share a beginning add to its gradient in an order that threads would decide."""
    threads, learn, found = torch.get_num_threads(), LearnConfig(), set()
    torch.use_deterministic_algorithms(False)  # the loader must ask for them
    try:
        for _ in range(5):
            learner, renderer = load_policy(ModelConfig(id="seed", threads=2), learn)
            torch.set_num_threads(2)  # even where the probe found one faster
            passage = "Work out " + " + ".join(str(n) for n in range(2, 40)) + f": {MASK}"
            asked = renderer.solve(passage, None)
            records = [
                TrainingRecord("solve", asked.ids, renderer.complete(f"{n}+{m}"), 1.0, "d")
                for n in range(10, 20)
                for m in range(10, 20)
            ]
            learner.update(records, 1e-3)
            found.add(b"".join(w.numpy().tobytes() for w in learner.model.state_dict().values()))
    finally:
        torch.set_num_threads(threads)
    assert len(found) == 1
