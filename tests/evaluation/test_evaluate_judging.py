"""Answers of anybody are judged blind, and probabilities become shares that turned out right."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest
from click.testing import CliRunner
from fakes import PlainRenderer, ScriptedSampler
from hypothesis import given
from hypothesis import strategies as st

from alive import api
from alive.api import Policy
from alive.cli import group
from alive.config import SamplingConfig
from alive.errors import SuiteError
from alive.evaluation.judging import Calibration, Judgement, scores_of
from alive.evaluation.rows import Answered, answered_rows
from alive.evaluation.statistics import area_under_roc
from alive.roles.review import from_text
from alive.types import Attempt, Prompt, Rollout, Task

ROWS = [
    {"question": "2+3=", "attempt": "2+3=5\n\\boxed{5}", "answer": "so\n#### 5"},
    {"question": "2+3=", "completion": "\\boxed{6}", "answer": 5, "id": "b"},
    {"problem": "2+4=", "response": "It is 7.", "correct": False},
    {"question": "2+4=", "answer": "six"},
]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_what_is_judged_and_what_is_known_of_it(tmp_path: Path) -> None:
    assert list(answered_rows(write(tmp_path / "a.jsonl", ROWS))) == [
        Answered("1", "2+3=", "2+3=5\n\\boxed{5}", "so\n#### 5", None),
        Answered("b", "2+3=", "\\boxed{6}", "5", None),
        Answered("3", "2+4=", "It is 7.", "", False),
        Answered("4", "2+4=", "six", "", None),
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "q"}, r"a.jsonl:1: no 'answer'"),
        ({"answer": "a"}, r"a.jsonl:1: no 'question'"),
        ({"question": "q", "attempt": " "}, r"'attempt' must be a text"),
        ({"question": "q", "answer": "a", "correct": "yes"}, r"'correct' is 'yes'; it is true"),
        ([1], "not a JSON object"),
    ],
)
def test_a_row_that_cannot_be_judged_is_named(tmp_path: Path, row, said: str) -> None:
    with pytest.raises(SuiteError, match=said):
        list(answered_rows(write(tmp_path / "a.jsonl", [row])))


def judging(prompt, text: str, index: int) -> str:
    """Calls whatever holds a box right, with nine points of ten."""
    told = ("right", 9) if "boxed" in text else ("wrong", 2)
    return f"1 ok\nSummary: seen\nVerdict: {told[0]}\nScore: {told[1]}"


POLICY = Policy(ScriptedSampler(judging), PlainRenderer(), SamplingConfig())


def test_answers_are_judged_blind_and_the_judge_is_measured(tmp_path: Path) -> None:
    judged = api.judge(POLICY, write(tmp_path / "a.jsonl", ROWS))
    assert [one.as_row()["verdict"] for one in judged] == ["right", "right", "wrong", "wrong"]
    assert [one.probability for one in judged] == [0.9, 0.9, 0.2, 0.2]
    assert [one.correct for one in judged] == [True, False, False, None]
    assert not any(one.review.privileged for one in judged)
    assert "correct" not in judged[3].as_row()
    found = scores_of(judged)
    assert found is not None
    # One right, two wrong; .9 ties with .9 and is above .2.
    assert (found.n_right, found.n_wrong, found.passed_right, found.passed_wrong) == (1, 2, 1, 1)
    assert (found.j, found.auc) == (0.5, 0.75)
    # .9, .9 of which one is right, and .2 of which none is: (1.8 - 1 + .2) / 3.
    assert found.ece == pytest.approx(1 / 3)
    assert scores_of(judged[3:]) is None


def test_probabilities_are_fitted_to_answers_that_are_known(tmp_path: Path) -> None:
    known = [{**ROWS[0], "correct": right} for right in [True] * 30 + [False] * 70]
    paths = write(tmp_path / "a.jsonl", ROWS[:1]), write(tmp_path / "k.jsonl", known)
    [judged] = api.judge(POLICY, paths[0], calibrate=paths[1])
    assert judged.probability == pytest.approx(0.3, abs=0.02)  # not .9
    with pytest.raises(SuiteError, match=r"of no answer is it known"):
        api.judge(POLICY, paths[0], calibrate=write(tmp_path / "u.jsonl", ROWS[3:]))
    with pytest.raises(SuiteError, match="no answers"):
        api.judge(POLICY, write(tmp_path / "e.jsonl", []))


def stated(probability: float, right: bool) -> Judgement:
    rollout = Rollout(Prompt("solve", ()), (), (), "a", "stop", 0)
    review = from_text(Task("1", "", "q", "", "random"), Attempt("1", 0, rollout, "a", right), "")
    return Judgement(Answered("1", "q", "a", "", right), review, right, probability)


def test_a_known_bend_is_found_again() -> None:
    draw = random.Random(0)
    told = []
    for _ in range(4000):
        logit = draw.gauss(0, 2)
        chance = 1 / (1 + math.exp(-(0.5 * logit - 1)))
        told.append(stated(1 / (1 + math.exp(-logit)), draw.random() < chance))
    found = Calibration.fitted(told)
    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert found.offset == pytest.approx(-1, abs=0.1)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_calibrated_probabilities_stay_probabilities_and_in_order(pairs) -> None:
    found = Calibration.fitted([stated(*pair) for pair in pairs])
    values = [found(p) for p in sorted(p for p, _ in pairs)]
    assert all(0 <= value <= 1 for value in values)
    assert values == sorted(values) or values == sorted(values, reverse=True)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=20))
def test_the_area_counts_pairs(pairs) -> None:
    right = [score for score, correct in pairs if correct]
    wrong = [score for score, correct in pairs if not correct]
    won = sum((r > w) + (r == w) / 2 for r in right for w in wrong)
    expected = won / (len(right) * len(wrong)) if right and wrong else None
    found = area_under_roc(*zip(*pairs, strict=True)) if pairs else area_under_roc([], [])
    assert found == (expected if expected is None else pytest.approx(expected))


def test_the_command_writes_a_line_an_answer(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(api, "open_policy", lambda model, **_: POLICY)
    path, out = write(tmp_path / "a.jsonl", ROWS), tmp_path / "judged.jsonl"
    shown = CliRunner().invoke(group, ["judge", "seed", str(path), "--out", str(out)])
    assert shown.exit_code == 0, shown.output
    assert "4 answers: 2 called right, 2 wrong, 0 without a verdict" in shown.output
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["id"] for line in lines] == ["1", "b", "3", "4"]
    assert lines[1]["critique"].startswith("1 ok")
    assert lines[1]["correct"] is False
    lost = CliRunner().invoke(group, ["judge", "seed", str(path), "--out", "/none/there/x"])
    assert lost.exit_code and "there is no folder" in str(lost.exception)
