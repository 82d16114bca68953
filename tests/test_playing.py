"""Steps that are played while the one before is learned."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from test_end_to_end import result_of, strike
from toy import STEPS, play, settings_of

from alive.engines.local import LocalPolicy


@pytest.fixture
def settings(toy_world: Path, tmp_path: Path) -> dict[str, Any]:
    settings = settings_of(toy_world, tmp_path / "run") | {"checkpoint_every": 1000}
    settings["learn"] |= {"staleness": 1}
    return settings


def versions(out: str | Path) -> list[set[int]]:
    """Of each step, the versions of the policy that played it."""
    shards = sorted(Path(out).glob("episodes/*"))
    return [set(pq.read_table(path)["policy_version"].to_pylist()) for path in shards]


def test_a_step_is_played_by_the_weights_before_the_last(settings: dict[str, Any]) -> None:
    summary, _ = play(settings)
    assert versions(settings["out"]) == [{0}, {0}, {1}]
    assert summary["documents"] == STEPS


def test_sampling_and_learning_go_on_at_the_same_time(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()
    true_sample, true_update = LocalPolicy.sample, LocalPolicy.update

    async def sample(self: LocalPolicy, request: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            asked.set()
        return await true_sample(self, request)

    def update(self: LocalPolicy, *rest: Any) -> Any:
        if self.version + 1 < STEPS:
            assert asked.wait(60)  # by games that do not wait for this update
            asked.clear()
        return true_update(self, *rest)

    monkeypatch.setattr(LocalPolicy, "sample", sample)
    monkeypatch.setattr(LocalPolicy, "update", update)
    play(settings)


def test_a_stopped_run_goes_on_with_what_was_played(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    play(settings)
    other = {**settings, "out": str(tmp_path / "other")}

    def fail() -> None:
        raise ValueError("something else")

    with monkeypatch.context() as patch:
        strike(patch, "update", 1, fail)
        with pytest.raises(ValueError, match="something else"):
            play(other)
    assert (tmp_path / "other/checkpoints/LATEST").read_text().strip() == "step-000001"
    play(other, resume=True)
    assert result_of(other["out"]) == result_of(settings["out"])


def test_what_fails_in_the_games_ahead_ends_the_run(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sample(self: LocalPolicy, request: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            raise ValueError("out of luck")
        return await true_sample(self, request)

    true_sample = LocalPolicy.sample
    monkeypatch.setattr(LocalPolicy, "sample", sample)
    with pytest.raises(ValueError, match="out of luck"):
        play(settings)
    # The first step was learned and not recorded: no state to go on from.
    assert not (Path(settings["out"]) / "checkpoints/LATEST").exists()
