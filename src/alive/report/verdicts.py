"""What a reader has to know before believing a run's figures: said of every run alike, by rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from alive import doors
from alive.evaluation.lengths import CUT_SHARE, cut_attempts
from alive.report.gather import Run
from alive.report.text import percent

__all__ = ["out_of_its_world", "verdicts"]

_FEW, _MOST = 0.01, 0.99
_UNREAD = 0.5


def out_of_its_world(model: str, paths: Iterable[str]) -> str:
    """Says what a world's model cannot do, where it is to learn from text that is not its own."""
    world = doors.model_world(model)
    return world.model.limits if world and world.model and doors.is_stranger(world, paths) else ""


def verdicts(run: Run) -> list[str]:
    """Returns sentences on what a run's figures do not show, or that explain a fall."""
    return [*_of_training(run), *_of_measuring(run)]


def _of_training(run: Run) -> Iterator[str]:
    later = run.metrics[len(run.metrics) // 2 :]
    if not later:
        return
    if limits := out_of_its_world(run.config["model"]["id"], run.config["corpus"]["paths"]):
        yield limits
    if skipped := sum(bool(row.get("skipped")) for row in run.metrics):
        yield (
            f"{skipped} of {run.steps} steps were skipped, as their loss or gradient was not "
            "finite: nothing was learned in them."
        )
    right = _mean(later, "pass_rate")
    if right < _FEW:
        yield (
            f"In the second half of the run {percent(right)} of the attempts at training tasks "
            "were right: there was next to nothing to learn from, so a change has another cause."
        )
    elif right > _MOST:
        yield (
            f"In the second half of the run {percent(right)} of the attempts at training tasks "
            "were right: they were too easy to teach much."
        )
    cut, tokens = _mean(later, "cut"), run.config["sampling"]["solve_tokens"]
    if cut > CUT_SHARE:
        yield (
            f"In the second half of the run {percent(cut)} of the attempts at training tasks were "
            f"cut at {tokens} tokens: give them room, --set sampling.solve_tokens={2 * tokens}."
        )
    told = ("reviews_unparsed", "reviews_honest", "reviews_distinct")
    reviewed = [row for row in later if any(row.get(name) for name in told)]
    if reviewed and _mean(reviewed, "reviews_unparsed") > _UNREAD:
        yield (
            f"{percent(_mean(reviewed, 'reviews_unparsed'))} of the reviews did not parse, and "
            "were not learned from."
        )


def _of_measuring(run: Run) -> Iterator[str]:
    suites = run.config["evaluate"]["suites"]
    paths = run.config["corpus"]["paths"]
    measured = doors.suite_worlds(suites)
    if measured and all(world and not any(map(world.holds, paths)) for world in measured):
        yield (
            "The problems that were measured come from another world and say nothing about this "
            "text; measure questions about it: --set 'evaluate.suites=[\"questions.jsonl\"]'."
        )
    for when, stored in run.evaluations().items():
        if said := cut_attempts(stored["rows"], run.config["sampling"]["solve_tokens"]):
            yield f"{when.capitalize()} training {said}"
    if not (run.before and run.after and run.summary):
        return
    change = run.summary.get("change", {})
    totals = [change[key]["total"] for key in ("sampled_accuracy", "accuracy") if key in change]
    if totals and totals[0]["low"] <= 0 <= totals[0]["high"]:
        yield "The interval of the change holds 0: this run does not show that anything changed."
    old, new = run.before["result"], run.after["result"]
    yield from _of_revising(old.get("self_correction"), new.get("self_correction"))
    before, after = old.get("reviewer_j"), new.get("reviewer_j")
    if before is not None and after is not None and after < before:
        yield (
            f"The blind reviewer tells right from wrong less well than before (J {percent(before)} "
            f"to {percent(after)}; 0 is guessing): it shares its weights with what was trained."
        )


def _of_revising(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterator[str]:
    if not old or not new or not old["n_wrong"] or not new["n_wrong"]:
        return
    rates = [counts["corrected"] / counts["n_wrong"] for counts in (old, new)]
    if rates[1] < rates[0] and new["n_wrong"] < old["n_wrong"]:
        yield (
            f"Revising corrects {percent(rates[1])} of wrong first attempts, {percent(rates[0])} "
            f"before. There are {new['n_wrong']:,} of them now and there were {old['n_wrong']:,}; "
            "of those that are left the reviewer misses more."
        )


def _mean(rows: Sequence[Mapping[str, Any]], key: str) -> float:
    # An earlier version counted less.
    return sum(float(row.get(key, 0)) for row in rows) / len(rows)
