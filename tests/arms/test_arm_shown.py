"""The arm that the documents show, worked by hand and in a run that is resumed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import toy
from documents import ROOT, blocks
from test_arm_alive import BAD, GOOD, HONEST_RIGHT, HONEST_WRONG, PASSAGE, Board

from alive import arms
from alive.cli import run
from alive.config import Config
from alive.prompts import make_renderer
from alive.types import Trained

SHOWN = [block for block in blocks(ROOT / "docs/own-arm.md") if block.file == "my_arm.py"]
SMALL = (
    *("model.threads=1", "model.dtype=float32"),
    *("game.masks_per_document=2", "game.solutions_per_mask=4"),
    *("sampling.pose_tokens=6", "sampling.solve_tokens=12"),
    *("sampling.review_tokens=40", "warmup.steps=0", "evaluate.suites=[]"),
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "my_arm.py").write_text(SHOWN[0].text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_arm", raising=False)
    yield tmp_path
    sys.modules.pop("my_arm", None)


def test_the_arm_shown_has_at_most_thirty_lines() -> None:
    [block] = SHOWN
    assert len(block.text.splitlines()) <= 30


def test_the_arm_shown_learns_what_it_says(home: Path, seed_tokenizer) -> None:
    renderer = make_renderer(seed_tokenizer)
    board = Board(renderer)
    rare = board.add(HONEST_RIGHT, HONEST_WRONG, HONEST_WRONG, HONEST_WRONG)
    board.add(HONEST_RIGHT, HONEST_RIGHT)  # everyone solved it: it teaches nothing
    board.revise(rare, 2, GOOD, True)
    board.revise(rare, 3, BAD, False)
    config = Config(arm="my_arm:records")
    made, outcomes = arms.records(board.episode, renderer, config, conditioned=True, warm=False)
    plain = renderer.solve(PASSAGE, None).ids
    assert [(one.role, one.prompt_ids, one.weight, one.attempt_index) for one in made] == [
        ("solve", plain, 0.75, 0),
        ("solve", plain, 1.0, 2),
    ]
    assert {one.completion_ids for one in made} == {renderer.complete(GOOD)}
    assert outcomes == {
        ("task0", 0, "solve"): Trained(weight=0.75),
        ("task0", 2, "revise"): Trained(weight=1.0),
    }


def test_it_trains_and_resumes_and_another_name_is_another_run(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.write_model(home / "model")
    toy.write_corpus(home / "corpus.jsonl")
    Path("other_arm.py").write_text(SHOWN[0].text)
    given = ["--model", "model", "--corpus", "corpus.jsonl"]
    given += [word for text in SMALL for word in ("--set", text)]
    arm = ["--set", "arm=my_arm:records"]
    assert run(["plan", *given, *arm]) == 0
    assert run(["train", *given, *arm, "--steps", "2", "--out", "run"]) == 0
    assert run(["train", "--resume", "--out", "run", "--steps", "4"]) == 0
    assert run(["train", *given, *arm, "--steps", "4", "--out", "whole"]) == 0
    assert json.loads(Path("run/config.json").read_text())["arm"] == "my_arm:records"
    rows = [
        [
            row
            for shard in sorted(Path(out, "episodes").iterdir())
            for row in pq.read_table(shard).to_pylist()
        ]
        for out in ("run", "whole")
    ]
    # The rate falls over a run, so the first two steps alone can agree, and the third's attempts.
    assert [row for row in rows[0] if row["step"] == 0] == [
        row for row in rows[1] if row["step"] == 0
    ]
    weights = {(row["role"], row["weight"]) for row in rows[0] if row["weight"]}
    assert {role for role, _ in weights} <= {"solve", "revise"}
    assert {weight for role, weight in weights if role == "solve"} <= {0.25, 0.5, 0.75}
    assert weights
    capsys.readouterr()
    assert run(["train", "--resume", "--out", "run", "--set", "arm=other_arm:records"]) == 2
    assert 'arm: "my_arm:records" -> "other_arm:records"' in capsys.readouterr().err
    Path("my_arm.py").rename("gone.py")
    sys.modules.pop("my_arm")
    assert run(["train", "--resume", "--out", "run", "--steps", "5"]) == 2
    assert "there is no module my_arm" in capsys.readouterr().err
