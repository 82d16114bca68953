"""Runs of several processes: the run of one, whatever happens to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file
from test_end_to_end import command
from toy import STEPS, settings_of

HERE = Path(__file__).parent

ARM = """
import os, signal
from pathlib import Path
from alive.arms import alive

def struck(episode, renderer, config, *, conditioned, warm):
    how, rank, step = os.environ.get("STRIKE", "- 0 0").split()
    once = Path(config.out).with_suffix(".struck")
    if how != "-" and (rank, step) == (os.environ["RANK"], str(episode.step)) and not once.exists():
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL) if how == "kill" else os.killpg(0, signal.SIGINT)
    return alive.records(
        episode, renderer, config.learn, conditioned=conditioned, privileged_too=warm
    )
"""
"""ALIVE's own arm, in which one rank is killed, or all get Ctrl-C, in the midst of a step."""


@pytest.fixture(scope="module")
def world(toy_world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings of a run whose steps have documents for several ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "striking.py").write_text(ARM)
    settings = settings_of(toy_world, folder / "one")
    settings["game"] |= {"documents_per_step": 3}
    return settings | {"checkpoint_every": 1, "arm": "striking:struck"}


@pytest.fixture(scope="module")
def alone(world: dict[str, Any]) -> Path:
    """The run of one process."""
    done = on_ranks(world, 1)
    assert done.returncode == 0, done.stderr
    return Path(world["out"])


def on_ranks(
    settings: dict[str, Any], ranks: int, *more: str, strike: str = "- 0 0"
) -> subprocess.CompletedProcess[str]:
    folder = Path(settings["out"]).parent
    path = os.pathsep.join((str(HERE.parent / "src"), str(folder)))
    return subprocess.run(
        [sys.executable, "-m", "alive", *command(settings), "--ranks", str(ranks), *more],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "STRIKE": strike},
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=300,
    )


def assert_same_rows(one: pa.Table, other: pa.Table) -> None:
    """The same to the last bit, but what the learner computes: it passes through other batches."""
    likely = [name for name in one.column_names if name.endswith("_logprob")]
    assert one.drop_columns(likely).equals(other.drop_columns(likely))
    for name in likely:
        told = [pytest.approx(value, abs=1e-4) for value in other[name].to_pylist()]
        assert one[name].to_pylist() == told


def assert_same_run(one: Path, other: Path, steps: int = STEPS) -> None:
    """The same episodes and records; the same weights, up to what Adam makes of rounding."""
    for step in range(steps):
        for part in ("episodes", "records"):
            name = f"{part}/step-{step:06d}.parquet"
            assert_same_rows(pq.read_table(one / name), pq.read_table(other / name))
    first, second = (
        load_file(run / f"checkpoints/step-{steps:06d}/model/model.safetensors")
        for run in (one, other)
    )
    assert first.keys() == second.keys()
    for name, weight in first.items():
        assert (weight - second[name]).abs().max() < 1e-4
    summaries = [json.loads((run / "summary.json").read_text()) for run in (one, other)]
    for key in ("tokens_trained", "documents", "tasks", "before", "after", "conditions_asked"):
        assert summaries[0][key] == summaries[1][key]


def test_two_ranks_leave_the_run_of_one(world: dict[str, Any], alone: Path) -> None:
    other = {**world, "out": str(alone.parent / "two")}
    done = on_ranks(other, 2)
    assert done.returncode == 0, done.stderr
    assert_same_run(alone, Path(other["out"]))
    # The second rank says nothing: nothing is told twice.
    assert done.stdout.count("run folder:") == 1
    assert done.stderr == ""
    # Told apart, as what words no passage could have told is asked on each rank.
    assert {path.name for path in Path(other["out"]).iterdir()} == {
        path.name for path in alone.iterdir()
    }


@pytest.mark.slow
@pytest.mark.parametrize(("first", "then"), [(2, 1), (2, 4), (1, 2)])
@pytest.mark.parametrize("sharding", ["off", "on"])
def test_a_run_goes_on_on_another_number_of_ranks(
    world: dict[str, Any], alone: Path, tmp_path: Path, first: int, then: int, sharding: str
) -> None:
    other = {**world, "out": str(alone.parent / f"{first}-{then}-{sharding}")}
    other["learn"] = world["learn"] | {"sharding": sharding}
    assert on_ranks({**other, "steps": 1}, first).returncode == 0
    done = on_ranks(other, then, "--resume")
    assert done.returncode == 0, done.stderr
    assert_same_run(alone, Path(other["out"]))


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("sharding", ["off", "on"])
def test_a_rank_that_is_killed_ends_the_run_which_goes_on_from_its_last_step(
    world: dict[str, Any], alone: Path, rank: int, sharding: str
) -> None:
    other = {**world, "out": str(alone.parent / f"killed-{rank}-{sharding}")}
    other["learn"] = world["learn"] | {"sharding": sharding}
    done = on_ranks(other, 2, strike=f"kill {rank} 1")
    assert done.returncode not in (0, 2), done.stderr
    assert "Traceback" not in done.stderr
    checkpoints = Path(other["out"], "checkpoints")
    assert (checkpoints / "LATEST").read_text().strip() == "step-000001"
    done = on_ranks(other, 2, "--resume", strike=f"kill {rank} 1")
    assert done.returncode == 0, done.stderr
    assert_same_run(alone, Path(other["out"]))


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["off", "on"])
def test_ctrl_c_stops_all_ranks_after_one_stage(
    world: dict[str, Any], alone: Path, sharding: str
) -> None:
    other = {**world, "out": str(alone.parent / f"stopped-{sharding}"), "checkpoint_every": 1000}
    other["learn"] = world["learn"] | {"sharding": sharding}
    done = on_ranks(other, 2, strike="stop 0 1")
    assert done.returncode == 130, done.stderr
    assert done.stderr.count("stopped; go on with") == 1
    saved = Path(other["out"], "checkpoints", "LATEST").read_text().strip()
    assert saved == "step-000001"  # the step was played, and is played again
    done = on_ranks(other, 2, "--resume", strike="stop 0 1")
    assert done.returncode == 0, done.stderr
    assert_same_run(alone, Path(other["out"]))


def test_a_mistake_is_told_once_and_ends_all_ranks(world: dict[str, Any], alone: Path) -> None:
    other = {**world, "out": str(alone)}
    done = on_ranks(other, 2)
    assert done.returncode == 2
    assert done.stderr.count("holds another run") == 1
    assert "Traceback" not in done.stderr
