"""Faults of long runs: signals, time between checkpoints, steps that are not finite."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_end_to_end import command, press_ctrl_c, result_of, strike
from toy import STEPS, play, settings_of

from alive import measuring, saving
from alive.engines.local import LocalPolicy, loading
from alive.errors import DivergenceError, RunError, Terminated
from alive.learn import update
from alive.store import RunFolder, newest_checkpoint

Straight = tuple[Path, dict[str, Any], str]


@pytest.fixture
def settings(toy_world: Path, tmp_path: Path) -> dict[str, Any]:
    return {**settings_of(toy_world, tmp_path / "run"), "checkpoint_every": 1000}


def state_of(out: str | Path) -> tuple[Any, ...]:
    """All that a stopped run left, save for the clock."""
    checkpoint = newest_checkpoint(Path(out) / "checkpoints")
    assert checkpoint is not None
    state = checkpoint.state()
    del state["seconds"]
    tensors = (checkpoint.folder / "state.safetensors").read_bytes()
    weights = (checkpoint.model / "model.safetensors").read_bytes()
    return checkpoint.step, state, tensors, weights, Path(out, "metrics.jsonl").read_bytes()


def rows_of(out: str | Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(out, name).read_text().splitlines()]


def journal_of(out: str | Path) -> list[dict[str, Any]]:
    return rows_of(out, "journal.jsonl")


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("at", "version", "saved"),
    [
        ("review", 1, 1),  # in the middle of step 1, of which nothing is left
        ("update", 1, 1),  # before the gradients of step 1
        ("solve", 3, 3),  # while measuring after
    ],
)
def test_sigterm_stops_where_the_run_stands(
    toy_run: Straight,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    at: str,
    version: int,
    saved: int,
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        strike(patch, at, version, terminate)
        with pytest.raises(Terminated) as stopped:
            play(settings)
    assert signal.getsignal(signal.SIGTERM) is before
    assert "asked" in [frame.name for frame in stopped.traceback]
    assert state_of(settings["out"])[0] == saved
    journal = journal_of(settings["out"])
    assert (journal[-1]["event"], journal[-1]["text"]) == ("interrupted", "SIGTERM")
    play(settings, resume=True)
    assert result_of(settings["out"]) == result_of(toy_run[0])


def test_sigterm_in_the_optimisers_step_waits_until_the_step_is_recorded(
    toy_run: Straight, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def apply(self: LocalPolicy, step: Callable[[], Any]) -> None:
        if self.version == 1:
            true_apply(self, lambda: (terminate(), step()))
        else:
            true_apply(self, step)

    true_apply = LocalPolicy._apply
    with monkeypatch.context() as patch:
        patch.setattr(LocalPolicy, "_apply", apply)
        with pytest.raises(Terminated):
            play(settings)
    assert state_of(settings["out"])[0] == 2
    assert len(rows_of(settings["out"])) == 2
    play(settings, resume=True)
    assert result_of(settings["out"]) == result_of(toy_run[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_stops_in_a_look_has_its_step(
    toy_run: Straight, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    settings["evaluate"] |= {"every": 2}

    def look(*rest: Any) -> float:
        os.kill(os.getpid(), number)
        raise AssertionError("not at once")

    with monkeypatch.context() as patch:
        patch.setattr(measuring, "look", look)
        with pytest.raises((Terminated, KeyboardInterrupt)):
            play(settings)
    step, state, *_ = state_of(settings["out"])
    assert (step, "loss" in state["unwritten"], len(rows_of(settings["out"]))) == (2, True, 1)
    # A kill after the line was written, and before it was saved, writes it no second time.
    with monkeypatch.context() as patch:
        strike(patch, "review", 2, lambda: (_ for _ in ()).throw(ZeroDivisionError))
        patch.setattr(saving.Saver, "save", lambda self: None)
        with pytest.raises(ZeroDivisionError):
            play(settings, resume=True)
    assert len(rows_of(settings["out"])) == 2
    play(settings, resume=True)
    rows = rows_of(settings["out"])
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert rows[1].pop("held_out") in (0.0, 0.5, 1.0)
    assert rows == rows_of(toy_run[0])
    assert result_of(settings["out"])[1:] == result_of(toy_run[0])[1:]


def test_a_terminated_process_saves_and_says_143(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real thing: a process of its own that is asked to end somewhere in the middle."""
    settings["steps"] = 10**6
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    process = subprocess.Popen(
        [sys.executable, "-m", "alive.cli", *command(settings)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    metrics = Path(settings["out"], "metrics.jsonl")
    while process.poll() is None and not (metrics.exists() and len(metrics.read_bytes()) > 900):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 143, said
    assert f"go on with: alive train --resume --out {settings['out']}" in said
    assert "ended by SIGTERM" in said
    assert "Traceback" not in said
    reached = state_of(settings["out"])[0]
    assert reached == len(rows_of(settings["out"])) > 0
    # Two more steps, beside a run that nobody disturbed.
    undisturbed = {**settings, "out": str(tmp_path / "undisturbed")}
    for one, resume in ((settings, True), (undisturbed, False)):
        with monkeypatch.context() as patch:
            strike(patch, "update", reached + 1, press_ctrl_c)
            with pytest.raises(KeyboardInterrupt):
                play(one, resume)
    assert state_of(settings["out"]) == state_of(undisturbed["out"])
    assert state_of(settings["out"])[0] == reached + 2


class Clock:
    """Stands still until somebody moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1e6
        monkeypatch.setattr(saving, "monotonic", lambda: self.now)

    def slow(self, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, seconds: float) -> None:
        """Makes a call take a time."""
        true = getattr(where, name)

        def call(*rest: Any, **named: Any) -> Any:
            self.now += seconds
            return true(*rest, **named)

        monkeypatch.setattr(where, name, call)


def saves_of(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """Notes (steps, conditions known) of every checkpoint."""
    found: list[tuple[int, bool]] = []
    true = RunFolder.save_checkpoint

    def save(self: RunFolder, step: int, model: Any, tensors: Any, state: Any) -> Path:
        found.append((step, bool(state["conditions"])))
        return true(self, step, model, tensors, state)

    monkeypatch.setattr(RunFolder, "save_checkpoint", save)
    return found


def test_a_checkpoint_every_so_many_minutes(
    toy_run: Straight, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, saves = Clock(monkeypatch), saves_of(monkeypatch)
    clock.slow(monkeypatch, LocalPolicy, "update", 31.0)
    clock.slow(monkeypatch, measuring, "separation", 61.0)
    settings |= {"steps": 5, "checkpoint_minutes": 1, "warmup": {"steps": 2}}
    play(settings)
    # After a save it takes 31 seconds a step, and 61 to check the conditions; the end saves too.
    assert saves == [(2, False), (2, True), (4, True), (5, True)]


def test_minutes_need_not_count(
    toy_run: Straight, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, saves = Clock(monkeypatch), saves_of(monkeypatch)
    clock.slow(monkeypatch, LocalPolicy, "update", 1e5)
    play({**settings, "checkpoint_minutes": 0})
    assert saves == [(STEPS, True)]
    assert result_of(settings["out"]) == result_of(toy_run[0])


def test_a_run_killed_after_a_check_of_the_conditions_keeps_it(
    toy_run: Straight, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def kill() -> None:
            patch.setattr(saving.Saver, "save", lambda self: None)
            raise ZeroDivisionError

        clock, saves = Clock(patch), saves_of(patch)
        clock.slow(patch, measuring, "separation", 61.0)
        strike(patch, "review", 1, kill)
        with pytest.raises(ZeroDivisionError):
            play({**settings, "checkpoint_minutes": 1})
        assert saves == [(1, True)]
    with monkeypatch.context() as patch:
        patch.setattr(measuring, "separation", lambda *_: pytest.fail("asked again"))
        play(settings, resume=True)
    assert result_of(settings["out"]) == result_of(toy_run[0])


def spoil(monkeypatch: pytest.MonkeyPatch, *versions: int) -> None:
    """Makes the loss of chosen steps no number."""
    true_update, true_loss = LocalPolicy.update, update.likelihood_loss
    now: list[int] = []

    def taken(self: LocalPolicy, *rest: Any) -> Any:
        now[:] = [self.version]
        return true_update(self, *rest)

    def loss(*rest: Any) -> Any:
        return true_loss(*rest) * (float("nan") if now[0] in versions else 1.0)

    monkeypatch.setattr(LocalPolicy, "update", taken)
    monkeypatch.setattr(update, "likelihood_loss", loss)


def test_a_step_that_is_not_finite_is_skipped_and_told(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings |= {"steps": 4, "checkpoint_every": 1}
    spoil(monkeypatch, 0, 2)
    summary, shown = play(settings)
    rows = rows_of(settings["out"])
    assert [(row["skipped"], row["loss"] is None) for row in rows] == [
        *((True, True), (False, False), (True, True), (False, False)),
    ]
    assert rows[2]["grad_norm"] is None
    assert "NaN" not in Path(settings["out"], "metrics.jsonl").read_text()
    assert (summary["skipped"], summary["steps"]) == (2, 4)
    said = "the loss or its gradient was not finite, so the step was skipped"
    assert f"after step 1: {said}" in shown
    assert f"after step 3: {said}" in shown
    assert any("2 of 4 steps were skipped" in line for line in summary["verdicts"])
    journal = journal_of(settings["out"])
    told = [(entry["step"], entry["text"]) for entry in journal if entry["event"] == "guard"]
    assert (0, said) in told and (2, said) in told
    # Resumed right after it, the run goes the same way.
    other = {**settings, "out": str(tmp_path / "other")}
    with monkeypatch.context() as patch:
        strike(patch, "review", 3, terminate)
        with pytest.raises(Terminated):
            play(other)
    _, state, *_ = state_of(other["out"])
    assert (state["skipped"], state["skipped_in_a_row"], state["unwritten"]) == (2, 1, {})
    play(other, resume=True)
    assert result_of(other["out"]) == result_of(settings["out"])


def test_a_skipped_step_moves_no_weight(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings |= {"checkpoint_every": 1, "keep_checkpoints": 3}
    spoil(monkeypatch, 1)
    play(settings)
    weights = [
        Path(settings["out"], "checkpoints", f"step-{step:06d}", "model", "model.safetensors")
        for step in (1, 2, 3)
    ]
    first, second, third = (path.read_bytes() for path in weights)
    assert first == second != third


def test_three_skipped_steps_in_a_row_end_a_run_whose_state_is_saved(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings["steps"] = 6
    with monkeypatch.context() as patch:
        spoil(patch, 0, 2, 3, 4)
        with pytest.raises(DivergenceError, match=r"3 steps in a row.*lower learn\.learning_rate"):
            play(settings)
    step, state, *_ = state_of(settings["out"])
    assert (step, state["skipped"], state["skipped_in_a_row"]) == (5, 4, 3)
    assert [row["skipped"] for row in rows_of(settings["out"])] == [
        *(True, False, True, True, True),
    ]
    # Whatever broke it may be fixed: the run goes on, and its steps count from one again.
    summary, _ = play(settings, resume=True)
    assert (summary["steps"], summary["skipped"]) == (6, 4)
    assert state_of(settings["out"])[1]["skipped_in_a_row"] == 0


def test_a_resumed_run_computes_in_the_type_it_began_with(
    toy_run: Straight, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings["model"] |= {"dtype": "auto"}
    with monkeypatch.context() as patch:
        patch.setattr(loading, "choose_compute", lambda *_: "float32")
        strike(patch, "review", 1, terminate)
        with pytest.raises(Terminated):
            play(settings)
    monkeypatch.setattr(loading, "choose_compute", lambda *_: "bfloat16")
    play(settings, resume=True)
    assert result_of(settings["out"]) == result_of(toy_run[0])
    assert state_of(settings["out"])[1]["choices"]["dtype"] == "float32"


def test_another_type_before_anything_was_saved_is_named(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings["model"] |= {"dtype": "auto"}
    with monkeypatch.context() as patch:
        patch.setattr(loading, "choose_compute", lambda *_: "float32")
        strike(patch, "solve", 0, terminate)
        with pytest.raises(Terminated):
            play(settings)
    monkeypatch.setattr(loading, "choose_compute", lambda *_: "bfloat16")
    with pytest.raises(RunError, match='dtype: "float32" -> "bfloat16"'):
        play(settings, resume=True)
