"""What a reader is told before he believes a figure, by hand."""

from __future__ import annotations

from typing import Any

from test_report_charts import evaluation, metrics, run_of

from alive.report import verdicts

SEED = {
    "model": {"id": "seed"},
    "corpus": {"paths": ["builtin:primer"]},
    "evaluate": {"suites": ["seed"]},
}


def told(**changes: Any) -> str:
    return " | ".join(verdicts(run_of(**changes)))


def change(low: float, high: float) -> dict[str, Any]:
    return {"change": {"accuracy": {"total": {"mean": 0.1, "low": low, "high": high}}}}


def measured(j: float, wrong: int, corrected: int) -> dict[str, Any]:
    counted = {"n_wrong": wrong, "n_right": 100 - wrong, "corrected": corrected, "harmed": 0}
    return evaluation(reviewer_j=j, self_correction=counted)


def test_a_run_of_which_nothing_is_to_be_said() -> None:
    fine = {"before": measured(0.5, 40, 20), "after": measured(0.6, 20, 12)}
    assert told(metrics=(metrics(0, {}),), summary=change(0.05, 0.2), **fine) == ""
    assert told() == ""
    config = {**run_of().config, **SEED}
    assert told(config=config, metrics=(metrics(0, {}),), summary=change(0.05, 0.2), **fine) == ""


def test_attempts_none_or_all_of_which_are_right_teach_little() -> None:
    early = metrics(0, {}, pass_rate=0.5)
    assert "0.0 % of the attempts" in told(metrics=(early, metrics(1, {}, pass_rate=0.0)))
    assert "too easy" in told(metrics=(early, metrics(1, {}, pass_rate=1.0)))
    # The second half counts.
    assert told(metrics=(metrics(0, {}, pass_rate=0.0), metrics(1, {}, pass_rate=0.5))) == ""


def test_attempts_without_room() -> None:
    early, late = metrics(0, {}, cut=0.0), metrics(1, {}, cut=0.25)
    assert told(metrics=(early, late)) == (
        "In the second half of the run 25.0 % of the attempts at training tasks were cut at 96 "
        "tokens: give them room, --set sampling.solve_tokens=192."
    )
    old = {key: value for key, value in late.items() if key != "cut"}
    assert told(metrics=(old,)) == ""  # an earlier version did not count them
    before = evaluation()
    before["rows"] = [{"cut": True, "extracted": None}, {"cut": False, "extracted": "1"}]
    assert told(before=before).startswith(
        "Before training 1 of 2 attempts were cut at 96 tokens, 1 of them before"
    )


def test_steps_that_were_skipped_are_counted() -> None:
    rows = [metrics(step, {}, skipped=step == 0) for step in range(4)]
    assert told(metrics=tuple(rows)) == (
        "1 of 4 steps were skipped, as their loss or gradient was not finite: nothing was learned "
        "in them."
    )


def test_reviews_that_nobody_can_read() -> None:
    unread = metrics(0, {}, reviews_unparsed=0.75, reviews_honest=0.25)
    assert (
        told(metrics=(unread,)) == "75.0 % of the reviews did not parse, and were not learned from."
    )
    # Where nothing was reviewed there is nothing to say.
    assert told(metrics=(metrics(0, {}, reviews_unparsed=0.0, reviews_honest=0.0),)) == ""


def test_the_seed_on_other_text_and_its_own_suite() -> None:
    config = {**run_of().config, **SEED, "corpus": {"paths": ["notes"]}}
    said = told(config=config, metrics=(metrics(0, {}),))
    assert "knows nothing but the little world" in said
    assert "say nothing about this text" in said


def test_a_change_that_may_be_none_and_what_fell() -> None:
    before, after = measured(0.9, 50, 40), measured(0.7, 10, 2)
    said = told(before=before, after=after, summary=change(-0.01, 0.2))
    assert "holds 0" in said
    assert "Revising corrects 20.0 % of wrong first attempts, 80.0 % before" in said
    assert "There are 10 of them now and there were 50" in said
    assert "J 90.0 % to 70.0 %" in said
