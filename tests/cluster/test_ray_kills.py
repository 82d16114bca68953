"""What the script that kills processes of a run takes for a difference."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import ray_kills

ROWS: dict[str, list[Any]] = {
    **{name: ["a", "b"] for name in ray_kills.ATTEMPT},
    "plain_logprob": [-0.5, None],
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "one"
    write(folder, ROWS, loss=0.5)
    return folder


def write(folder: Path, rows: dict[str, list[Any]], loss: float) -> Path:
    for part in ("episodes", "records"):
        (folder / part).mkdir(parents=True)
        pq.write_table(pa.table(rows), folder / part / "step-000000.parquet")
    (folder / "metrics.jsonl").write_text(json.dumps({"step": 0, "loss": loss}) + "\n")
    return folder


def told(run: Path, rows: dict[str, list[Any]], loss: float = 0.5) -> str:
    other = write(run.parent / "other", rows, loss)
    return "; ".join(ray_kills.told_apart(run, other))


def test_a_copy_is_equal(run: Path) -> None:
    copy = shutil.copytree(run, run.parent / "copy")
    assert list(ray_kills.told_apart(run, copy)) == []


@pytest.mark.parametrize(
    ("values", "differs"),
    [([-0.5004, None], False), ([-0.502, None], True), ([-0.5, -0.5], True), ([None, None], True)],
)
def test_what_the_learner_computes_may_round(run: Path, values: list[Any], differs: bool) -> None:
    assert ("episodes of 1 steps" in told(run, ROWS | {"plain_logprob": values})) == differs


@pytest.mark.parametrize(
    ("keep", "said"), [([0], "1 attempts lost"), ([0, 1, 1], "1 attempts doubled")]
)
def test_attempts_are_counted(run: Path, keep: list[int], said: str) -> None:
    rows = {name: [column[at] for at in keep] for name, column in ROWS.items()}
    assert said in told(run, rows)


@pytest.mark.parametrize(("loss", "differs"), [(0.505, False), (0.52, True)])
def test_a_metric_may_drift_by_two_per_cent(run: Path, loss: float, differs: bool) -> None:
    assert ("loss of step 0" in told(run, ROWS, loss)) == differs
