"""Whole runs whose rollouts come from a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fake_server import FakeServer
from test_end_to_end import command
from toy import STEPS, play, settings_of
from transformers import AutoModelForCausalLM, AutoTokenizer

from alive.cli import run
from alive.errors import ConfigError, ServerError
from alive.settings import build_config, load_config
from alive.store import newest_checkpoint


@pytest.fixture
def fresh(toy_world: Path) -> Callable[[], Any]:
    return lambda: AutoModelForCausalLM.from_pretrained(toy_world / "model").eval()


@pytest.fixture
def server(toy_world: Path, fresh: Callable[[], Any]) -> Iterator[FakeServer]:
    tokenizer = AutoTokenizer.from_pretrained(toy_world / "model")
    with FakeServer(tokenizer, fresh()) as one:
        yield one


def settings(world: Path, out: Path, *servers: FakeServer) -> dict[str, Any]:
    made = settings_of(world, out)
    made["evaluate"], made["checkpoint_every"] = {}, 1000
    made["game"] |= {"conditioned": False, "masks_per_document": 1, "solutions_per_mask": 3}
    made["sampling"] |= {"servers": [one.url for one in servers], "review_tokens": 12}
    return made


def result_of(out: Path) -> tuple[Any, ...]:
    checkpoint = newest_checkpoint(out / "checkpoints")
    assert checkpoint is not None
    return (
        checkpoint.step,
        (checkpoint.model / "model.safetensors").read_bytes(),
        (out / "metrics.jsonl").read_bytes(),
        [pq.read_table(shard).to_pylist() for shard in sorted((out / "episodes").iterdir())],
    )


def mortal(server: FakeServer, after: int) -> None:
    """Lets a server break off, and listen no more, at a completion of its second step."""
    seen: list[int] = []

    def answer(handler: Any, answer: dict[str, Any]) -> dict[str, Any] | None:
        seen.append(len(server.asked("/collective_rpc")))
        if seen.count(2) < after:
            return answer
        if seen.count(2) == after:
            threading.Thread(target=server.stop).start()
        handler.close_connection = True
        return None

    server.altered["/v1/completions"] = answer


def test_a_run_through_a_server_learns_what_it_drew(
    toy_world: Path, server: FakeServer, tmp_path: Path
) -> None:
    summary, _ = play(settings(toy_world, tmp_path / "run", server))
    assert summary["steps"] == STEPS and summary["tokens_sampled"] > 0
    *_, metrics, episodes = result_of(tmp_path / "run")
    assert len(metrics.splitlines()) == len(episodes) == STEPS
    assert [{row["policy_version"] for row in rows} for rows in episodes] == [{0}, {1}, {2}]
    # Every step's weights went out once; the last step's, for which nobody asks, did not.
    assert len(server.asked("/collective_rpc")) == STEPS
    assert not (tmp_path / "run" / "served").exists()


@pytest.mark.parametrize("after", [1, 5], ids=["at the step's first answer", "amid its answers"])
def test_a_server_that_dies_costs_nothing_but_the_step(
    toy_world: Path,
    server: FakeServer,
    fresh: Callable[[], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
) -> None:
    """What follows is what would have been, and every attempt is there once."""
    from alive.engines.server import client

    play(settings(toy_world, tmp_path / "straight", server))
    server.model, server.weights, server.heard = fresh(), "default", []
    monkeypatch.setattr(client.Replica.__init__, "__kwdefaults__", {"retries": 1, "backoff": 0.0})
    mortal(server, after)
    stopped = settings(toy_world, tmp_path / "run", server)
    with pytest.raises(ServerError, match="Check that it runs") as caught:
        play(stopped)
    assert server.url in str(caught.value)
    server.thread.join()
    assert result_of(tmp_path / "run")[0] == 1  # saved, though no checkpoint was due
    server.altered, server.port = {}, 0  # it comes back elsewhere, with the weights of its folder
    server.model, server.weights = fresh(), "default"
    server.start()
    stopped["sampling"]["servers"] = [server.url]
    play(stopped, resume=True)
    whole, again = result_of(tmp_path / "straight"), result_of(tmp_path / "run")
    assert again == whole
    told = Counter(
        (row["step"], row["task_id"], row["attempt_index"], row["role"])
        for shard in again[3]
        for row in shard
    )
    assert set(told.values()) == {1}


def test_two_servers_are_one_sampler(
    toy_world: Path, server: FakeServer, fresh: Callable[[], Any], tmp_path: Path
) -> None:
    play(settings(toy_world, tmp_path / "one", server))
    server.model, server.heard = fresh(), []
    with FakeServer(server.tokenizer, fresh()) as second:
        play(settings(toy_world, tmp_path / "two", server, second))
        shares = [len(one.asked("/v1/completions")) for one in (server, second)]
    assert min(shares) > STEPS  # more than the probes
    one, two = result_of(tmp_path / "one"), result_of(tmp_path / "two")
    assert one == two


def test_one_of_two_servers_dies_and_the_other_goes_on(
    toy_world: Path,
    server: FakeServer,
    fresh: Callable[[], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from alive.engines.server import client

    play(settings(toy_world, tmp_path / "straight", server))
    server.model, server.weights = fresh(), "default"
    monkeypatch.setattr(client.Replica.__init__, "__kwdefaults__", {"retries": 1, "backoff": 0.0})
    with FakeServer(server.tokenizer, fresh()) as other:
        stopped = settings(toy_world, tmp_path / "run", other, server)
        server.heard = []
        mortal(server, 2)
        with pytest.raises(ServerError, match="Check that it runs") as caught:
            play(stopped)
        server.thread.join()
        assert server.url in str(caught.value)
        assert result_of(tmp_path / "run")[0] == 1
        stopped["sampling"]["servers"] = [other.url]
        play(stopped, resume=True)
    assert result_of(tmp_path / "run") == result_of(tmp_path / "straight")
    server.start()  # for the fixture to stop


def test_a_server_with_too_little_room_is_refused_before_anything_is_played(
    toy_world: Path, server: FakeServer, tmp_path: Path
) -> None:
    server.room = 30
    with pytest.raises(ConfigError, match=r"room for 30 tokens.*--max-model-len \d+, or lower"):
        play(settings(toy_world, tmp_path / "run", server))
    assert not (tmp_path / "run").exists()


def test_nobody_listening_is_told_before_a_folder_is_made(
    toy_world: Path, server: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.altered["/v1/models"] = lambda handler, answer: handler.send(404, b"no")
    arguments = ["--corpus", str(toy_world / "corpus.jsonl"), "--out", str(tmp_path / "run")]
    model = ["--model", str(toy_world / "model")]
    assert run(["train", *model, *arguments, "--sampler", server.url]) == 1
    assert f"the sampler at {server.url} refused /v1/models" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_eval_by_a_server_reads_no_weights_and_finds_what_the_local_policy_finds(
    toy_world: Path, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alive.engines.local import loading

    command = ["eval", str(toy_world / "model"), "--suite", str(toy_world / "birds.jsonl")]
    found = []
    for more in ([], ["--sampler", server.url]):
        if more:
            monkeypatch.setattr(loading, "load_model", None)
        assert run([*command, "--json", str(tmp_path / "result.json"), *more]) == 0
        found.append(json.loads((tmp_path / "result.json").read_text()))
    assert found[0]["completions"] == found[1]["completions"]
    assert [one.get("servers") for one in found] == [None, [server.url]]
    assert not server.asked("/collective_rpc")


@pytest.mark.parametrize("url", ["http://me:hunter2@127.0.0.1:1", "http://127.0.0.1:1/?k=hunter2"])
def test_a_secret_in_a_servers_url_is_never_repeated(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'[sampling]\nservers = "{url}"\n')
    with pytest.raises(ConfigError, match=r"mine\.toml: sampling\.servers holds") as read:
        load_config(files=[file])
    assert run(["train", "--sampler", url, "--out", str(tmp_path / "run")]) == 2
    assert run(["train", "--set", f"sampling.servers={url}", "--out", str(tmp_path / "run")]) == 2
    assert run(["eval", "seed", "--sampler", url]) == 2
    said = capsys.readouterr().err
    assert "ALIVE_SAMPLER_KEY" in said
    assert "hunter2" not in f"{read.value}{said}"


def test_a_server_is_named_once() -> None:
    twice = {"sampling": {"servers": ["http://127.0.0.1:1", "http://127.0.0.1:1"]}}
    with pytest.raises(ConfigError, match=r"sampling\.servers names a server twice"):
        build_config([("test", twice)])


def test_a_step_drawn_ahead_is_drawn_from_the_weights_before_the_last(
    toy_world: Path, server: FakeServer, tmp_path: Path
) -> None:
    ahead = settings(toy_world, tmp_path / "run", server)
    ahead["learn"] |= {"staleness": 1}
    play(ahead)
    *_, episodes = result_of(tmp_path / "run")
    assert [{row["policy_version"] for row in rows} for rows in episodes] == [{0}, {0}, {1}]
    # Before each update, for games that may be drawn beside it.
    assert len(server.asked("/collective_rpc")) == STEPS


@pytest.mark.slow
def test_ranks_have_their_rollouts_drawn_by_one_server(
    toy_world: Path, server: FakeServer, fresh: Callable[[], Any], tmp_path: Path
) -> None:
    one = settings(toy_world, tmp_path / "one", server)
    one["game"] |= {"documents_per_step": 2}
    play(one)
    server.model, server.weights = fresh(), "default"
    other = one | {"out": str(tmp_path / "two")}
    done = subprocess.run(
        [sys.executable, "-m", "alive", *command(other), "--ranks", "2"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    first, second = (result_of(tmp_path / name)[-1] for name in ("one", "two"))
    assert first == second
