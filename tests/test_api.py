"""The calls a program makes, over a scripted policy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes import PlainRenderer, ScriptedSampler

from alive import api
from alive.api import Policy, evaluate, solve
from alive.config import Config, ModelConfig, SamplingConfig
from alive.errors import RunError, SuiteError, UserError
from alive.store import RunFolder

RIGHT = "1 ok\nSummary: every step is right\nVerdict: right\nScore: 10"
WRONG = "1 wrong sum\nSummary: step 1 is wrong\nVerdict: wrong\nScore: 0"


def policy(script) -> Policy:
    return Policy(ScriptedSampler(script), PlainRenderer(), SamplingConfig())


def improving(prompt, text: str, index: int) -> str:
    """Says 4, then 5; its reviewer calls only the 5 right."""
    if prompt.role == "solve":
        return "2+3=4\n\\boxed{4}"
    if prompt.role == "revise":
        return "2+3=5\n\\boxed{5}"
    return RIGHT if "\\boxed{5}" in text else WRONG


def test_solve_reviews_and_revises() -> None:
    solution = solve(policy(improving), "2+3=")
    assert [attempt.answer for attempt in solution.attempts] == ["4", "5"]
    assert [review.verdict for review in solution.reviews] == [False]
    assert solution.answer == "5"


def test_solve_stops_when_called_right() -> None:
    asked = policy(improving)
    solution = solve(asked, "2+3=", revise=5)
    assert [attempt.answer for attempt in solution.attempts] == ["4", "5"]
    assert [review.verdict for review in solution.reviews] == [False, True]
    assert not any(review.privileged for review in solution.reviews)
    assert asked.sampler.roles == ["solve", "review", "revise", "review"]
    assert {call.params.temperature for call in asked.sampler.calls} == {0.0}


def test_solve_without_revision_still_reviews() -> None:
    solution = solve(policy(improving), "2+3=", revise=0)
    assert [attempt.answer for attempt in solution.attempts] == ["4"]
    assert [review.verdict for review in solution.reviews] == [False]


def test_solve_revises_what_did_not_parse() -> None:
    def mute(prompt, text: str, index: int) -> str:
        return "hm" if prompt.role == "review" else "\\boxed{1}"

    solution = solve(policy(mute), "2+3=", revise=2)
    assert len(solution.attempts) == 3
    assert [review.verdict for review in solution.reviews] == [None, None]


def test_an_empty_problem_is_a_mistake() -> None:
    with pytest.raises(UserError, match="the problem is empty"):
        solve(policy(improving), "  \n")


def test_evaluate_counts(tmp_path: Path) -> None:
    suite = tmp_path / "sums.jsonl"
    rows = [{"question": "2+3=", "answer": "5"}, {"question": "2+2=", "answer": "so\n#### 4"}]
    suite.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = evaluate(policy(improving), [str(suite)], self_correct=True)
    assert result.total.accuracy.mean == 0.5
    assert [row["correct"] for row in result.rows] == [False, True]
    assert evaluate(policy(improving), [str(suite)], limit=1).total.accuracy.n == 1


def test_a_mistyped_suite_is_told_before_the_model_loads(monkeypatch) -> None:
    monkeypatch.setattr(api, "open_policy", lambda *_: pytest.fail("the model was loaded"))
    with pytest.raises(SuiteError):
        evaluate("seed", ["sede"])


def test_a_run_stands_for_its_newest_checkpoint(tmp_path: Path) -> None:
    config = Config(
        model=ModelConfig(id="smollm2", lora_rank=4, threads=1),
        sampling=SamplingConfig(solve_tokens=33),
    )
    with RunFolder.create(tmp_path / "run", config) as run:
        with pytest.raises(RunError, match="no sound checkpoint"):
            api._settings_for(str(run.path))
        run.save_checkpoint(3, lambda folder: None, {}, {})
    model, sampling = api._settings_for(str(tmp_path / "run"))
    assert model.id == str(tmp_path / "run" / "checkpoints" / "step-000003" / "model")
    assert (model.lora_rank, model.threads, sampling.solve_tokens) == (0, 1, 33)


def test_presets_know_how_long_their_models_write() -> None:
    assert api._settings_for("seed")[1].solve_tokens == 64
    model, sampling = api._settings_for("some/model")
    assert (model.id, sampling.solve_tokens) == ("some/model", 512)


def test_the_package_exports_its_calls() -> None:
    import alive

    assert alive.solve is solve
    # A package has this name too; whichever was imported first, the call works.
    with pytest.raises(UserError):
        alive.evaluate("seed", ["sede"])
    import alive.evaluation.suites

    with pytest.raises(SuiteError):
        alive.evaluate("seed", ["sede"])
    assert alive.evaluation.suites.SuiteItem
    with pytest.raises(AttributeError, match="no attribute 'fly'"):
        alive.fly  # noqa: B018
