"""Runs on a cluster of this machine: the run of one process, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from test_end_to_end import command
from test_ranks import assert_same_run
from toy import settings_of

pytest.importorskip("ray")
pytestmark = pytest.mark.slow

PATIENCE = 300

SOURCES = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module")
def world(toy_world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    settings = settings_of(toy_world, tmp_path_factory.mktemp("cluster") / "one")
    settings["game"] |= {"documents_per_step": 3}
    return settings | {"checkpoint_every": 1}


@pytest.fixture(scope="module")
def alone(world: dict[str, Any]) -> Path:
    with started(world) as run:
        ended(run)
    return Path(world["out"])


@contextmanager
def started(settings: dict[str, Any], *more: str) -> Iterator[subprocess.Popen[str]]:
    """A run in a process of its own, whose home is the folder of the run folder."""
    home = Path(settings["out"]).parent
    with subprocess.Popen(
        [sys.executable, "-m", "alive", *command(settings), *more],
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith("RAY_")},
            **{"PYTHONPATH": str(SOURCES), "OMP_NUM_THREADS": "1", "HOME": str(home)},
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        try:
            yield run
        finally:
            run.kill()


def ended(run: subprocess.Popen[str]) -> str:
    """Waits for a run that succeeds; returns what it complained of."""
    _, complaints = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, complaints
    return complaints


def kill(run: subprocess.Popen[str], *names: str) -> None:
    """Kills the first process of each name among those that a run has started."""
    below = psutil.Process(run.pid).children(recursive=True)
    for name in names:
        next(one for one in below if name in " ".join(one.cmdline()[:1])).kill()


def wait_for(run: subprocess.Popen[str], done: Callable[[], bool]) -> None:
    """Waits for something that a run does."""
    pause = threading.Event()
    while not done():
        assert run.poll() is None, run.communicate()[1]
        pause.wait(0.05)


def checkpoint(settings: dict[str, Any]) -> Path:
    return Path(settings["out"], "checkpoints/step-000001")


@pytest.mark.parametrize("samplers", [0, 2])
def test_the_run_of_a_cluster_is_that_of_one_process(
    world: dict[str, Any], alone: Path, samplers: int
) -> None:
    other = {**world, "out": str(alone.parent / f"samplers-{samplers}")}
    with started(other, "--ray", "--ranks", "2", "--samplers", str(samplers)) as run:
        ended(run)
    assert_same_run(alone, Path(other["out"]))
    assert {path.name for path in Path(other["out"]).iterdir()} == {
        path.name for path in alone.iterdir()
    }
    assert not (alone.parent / ".ray").exists()


@pytest.mark.parametrize("victim", ["ray::SamplingActor", "ray::Learner"])
def test_what_dies_is_started_again(world: dict[str, Any], alone: Path, victim: str) -> None:
    other = {**world, "out": str(alone.parent / victim.partition("::")[2])}
    with started(other, "--ray", "--ranks", "2", "--samplers", "2") as run:
        wait_for(run, checkpoint(other).exists)
        kill(run, victim)
        complaints = ended(run)
    assert ("go on from the last checkpoint" in complaints) == (victim == "ray::Learner")
    assert_same_run(alone, Path(other["out"]))


def test_the_same_command_goes_on_once_the_head_was_lost(
    world: dict[str, Any], alone: Path
) -> None:
    other = {**world, "out": str(alone.parent / "headless")}
    words = ("--ray", "--ranks", "2", "--samplers", "1")
    with started(other, *words) as run:
        wait_for(run, checkpoint(other).exists)
        kill(run, "gcs_server", "raylet")
        run.communicate(timeout=PATIENCE)
        assert run.returncode != 0
    with started(other, *words) as run:
        ended(run)
    assert_same_run(alone, Path(other["out"]))


def test_ctrl_c_stops_all_ranks_and_the_same_command_goes_on(world: dict[str, Any]) -> None:
    # Whoever stops ranks on other nodes does not reach them at once.
    longer = {**world, "steps": 20, "out": f"{world['out']}-longer", "checkpoint_every": 1000}
    with started(longer) as run:
        ended(run)
    other = {**longer, "out": f"{world['out']}-stopped"}
    metrics = Path(other["out"], "metrics.jsonl")
    with started(other, "--ray", "--ranks", "2") as run:
        wait_for(run, metrics.exists)
        run.terminate()
        _, complaints = run.communicate(timeout=PATIENCE)
        assert run.returncode == 130, complaints
        assert "the same command goes on" in complaints
    assert 1 <= len(metrics.read_text().splitlines()) < 20
    assert Path(other["out"], "checkpoints/LATEST").exists()
    with started(other, "--ray", "--ranks", "2") as run:
        ended(run)
    assert_same_run(Path(longer["out"]), Path(other["out"]), 20)


def test_a_mistake_is_told_once_and_not_retried(world: dict[str, Any], tmp_path: Path) -> None:
    other = {**world, "out": str(tmp_path / "run"), "evaluate": {"suites": ["none.jsonl"]}}
    with started(other, "--ray", "--ranks", "2") as run:
        _, complaints = run.communicate(timeout=PATIENCE)
    assert run.returncode == 2
    assert complaints.count("none.jsonl") == 1
    assert "Traceback" not in complaints


def test_a_run_that_does_not_fit_is_refused(world: dict[str, Any], tmp_path: Path) -> None:
    learn = world["learn"] | {"micro_batch_tokens": 10**9, "checkpointing": "off"}
    with started({**world, "out": str(tmp_path / "run"), "learn": learn}, "--ray") as run:
        _, complaints = run.communicate(timeout=PATIENCE)
    assert run.returncode == 2
    assert complaints.count("does not fit this machine") == 1
    assert "Traceback" not in complaints


def test_settings_of_another_run_are_refused(world: dict[str, Any], alone: Path) -> None:
    other = {**world, "seed": json.loads((alone / "config.json").read_text())["seed"] + 1}
    with started(other, "--ray") as run:
        _, complaints = run.communicate(timeout=PATIENCE)
    assert run.returncode == 2
    assert "was started with other settings" in complaints
