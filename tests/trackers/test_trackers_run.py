"""Whole runs that log live: stopped, resumed, failed, and what must not leave the machine."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import toy
from logged import events, only, started, trackio_rows, wandb_records, wandb_rows
from rich.console import Console

import alive
from alive import opening
from alive.config import LogConfig
from alive.engines.local import LocalPolicy
from alive.errors import UserError
from alive.settings import build_config
from alive.trackers import Trackers, require_packages


@pytest.fixture(scope="session")
def world(toy_world: Path) -> Path:
    return toy_world


def play(world: Path, out: Path, to: list[str], resume: bool = False) -> None:
    toy.play({**toy.settings_of(world, out), "log": {"to": to}}, resume)


def test_a_run_that_is_stopped_and_resumed(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere = ["tensorboard", "wandb", "trackio"]
    out, true = tmp_path / "run", LocalPolicy.update
    with monkeypatch.context() as patch:

        def update(policy: LocalPolicy, *rest: Any) -> Any:
            if policy.version == 1:
                os.kill(os.getpid(), signal.SIGINT)
            return true(policy, *rest)

        patch.setattr(LocalPolicy, "update", update)
        with pytest.raises(KeyboardInterrupt):
            play(world, out, everywhere)
    play(world, out, everywhere, resume=True)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    losses = [(row["step"] + 1, pytest.approx(row["loss"])) for row in rows]
    assert len(losses) == 3
    measured = [json.loads((out / f"{when}.json").read_text()) for when in ("before", "after")]
    accuracy = [
        (step, pytest.approx(stored["result"]["accuracy"]))
        for step, stored in zip((0, 3), measured, strict=True)
    ]
    found = events(out / "tensorboard")
    assert (found["train/loss"], found["evaluation/accuracy"]) == (losses, accuracy)
    assert [step for step, _ in found["evaluation/domains/warm/accuracy"]] == [0, 3]
    assert all(value > 0 for _, value in found["train/tokens_per_second"])
    parts = sorted(
        (wandb_records(folder) for folder in (out / "wandb").glob("offline-*")), key=started
    )
    [logged] = trackio_rows().values()
    for key, points in (("train/loss", losses), ("evaluation/accuracy", accuracy)):
        both = [(row["_step"], row) for part in parts for row in wandb_rows(part)]
        assert [(step, row[key]) for step, row in both if key in row] == points
        assert [(row["step"], row[key]) for row in logged if key in row] == points
    assert [only(part, "exit").exit_code for part in parts] == [255, 0]
    # What a document, an attempt or a review says is on this disk and nowhere else.
    said = [*toy.PLACES, "they met", "Verdict", "boxed{", "every step is right"]
    sent = [*(out / "tensorboard").iterdir(), *(out / "wandb").rglob("*.wandb")]
    sent += [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    for path in sent:
        text = path.read_bytes()
        assert not [words for words in said if words.encode() in text], path


def test_a_tracker_that_fails_stops_the_run_with_its_state_saved(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        codes: list[int]

        def __init__(self) -> None:
            self.codes = []

        def log(self, step: int, numbers: Mapping[str, float]) -> None:
            if step == 2:
                raise ConnectionError("gone")

        def close(self, code: int) -> None:
            self.codes.append(code)

    broken = Broken()
    with monkeypatch.context() as patch:
        patch.setattr(opening, "open_trackers", lambda *rest: Trackers([broken]))
        with pytest.raises(ConnectionError):
            play(world, tmp_path / "run", [])
    assert broken.codes == [1]
    assert (tmp_path / "run" / "checkpoints" / "LATEST").read_text() == "step-000002\n"
    # Another place to log to is no other run.
    play(world, tmp_path / "run", ["tensorboard"], resume=True)
    found = events(tmp_path / "run" / "tensorboard")
    assert [step for step, _ in found["train/loss"]] == [3]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["log"]["to"] == ["tensorboard"]


def test_a_model_that_cannot_be_used_leaves_a_folder_that_is_free(
    world: Path, tmp_path: Path
) -> None:
    """Trackers open last: a mistyped corpus makes no empty run on somebody's page."""
    settings = {
        "out": str(tmp_path / "run"),
        "model": {"id": str(world / "model")},
        "corpus": {"paths": [str(tmp_path / "none.txt")]},
        "sampling": {"solve_tokens": 8, "review_tokens": 8},
        "evaluate": {"suites": []},
        "log": {"to": "tensorboard"},
    }
    for _ in range(2):
        with pytest.raises(UserError, match=r"none\.txt"):
            alive.train(build_config([("test", settings)]), False, Console(file=io.StringIO()))
    assert not (tmp_path / "run" / "tensorboard").exists()


@pytest.mark.parametrize("name", get_args(get_args(LogConfig.model_fields["to"].annotation)[0]))
def test_a_missing_package_is_told_before_anything_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    settings = {
        "log": {"to": name},
        "out": str(tmp_path / "run"),
        "model": {"id": "no such model"},
        "evaluate": {"suites": ["no such suite"]},
    }
    with pytest.raises(UserError, match=rf"log\.to: {name} .*pip install 'alive-rl\[{name}\]'"):
        alive.train(build_config([("test", settings)]))
    assert not (tmp_path / "run").exists()
    require_packages(LogConfig())
