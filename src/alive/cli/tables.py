"""Results as tables and panels. Model text is shown as plain text, never as markup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from alive.api import Solution
    from alive.engines.floor import Speeds
    from alive.evaluation.judging import Judgement
    from alive.evaluation.reviewer import ReviewerScores

_ACCURACY = {
    "sampled_accuracy": "accuracy, sampled",
    "accuracy": "accuracy, greedy",
    "cut": "cut",
    "boxed": "boxed",
}
_REVISING = {
    "self_correction.rate": "wrong made right",
    "self_correction.harm": "right made wrong",
    "self_correction.net": "net of revising",
    "reviewer_j": "reviewer J",
    "reviewer.auc": "reviewer AUC",
}
_CHOOSING = {
    "best_of.one": "one of them",
    "best_of.majority": "majority",
    "best_of.best": "best, by own review",
    "best_of.over_majority": "best - majority",
    "best_of.any": "any of them",
}
_MEASURES = {**_ACCURACY, **_REVISING}
"""Key in a result -> what a reader is told."""

_BARE = ("cut", "boxed")
"""Shown without their intervals, which the JSON has."""


def measures(result: Mapping[str, Any]) -> Iterator[Table]:
    """Shows one evaluation: accuracy, then what revising and choosing did, where it was asked for.

    A row a domain, and the total.
    """
    rows = {**result.get("domains", {}), "total": result}
    for labels in (_ACCURACY, _REVISING, _CHOOSING):
        shown = {
            key: label
            for key, label in labels.items()
            if any(_find(row, key) is not None for row in rows.values())
        }
        if not shown:
            continue
        table = Table()
        table.add_column("domain")
        table.add_column("n", justify="right")
        for label in shown.values():
            table.add_column(label, justify="right")
        for name, row in rows.items():
            cells = [_cell(row, key) for key in shown]
            table.add_row(Text(name), str(row.get("n", "")), *cells, end_section=False)
        yield table


def before_after(summary: Mapping[str, Any]) -> Table:
    """Shows a run's two evaluations side by side: a row a domain and measure."""
    before, after = summary["before"], summary["after"]
    befores = {**before.get("domains", {}), "total": before}
    afters = {**after.get("domains", {}), "total": after}
    table = Table(title="before and after")
    for name in ("domain", "measure"):
        table.add_column(name)
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right")
    for domain, row in befores.items():
        for key, label in _MEASURES.items():
            old, new = _find(row, key), _find(afters.get(domain, {}), key)
            if old is None and new is None:
                continue
            change = "" if old is None or new is None else f"{100 * (new - old):+.1f}"
            if paired := summary.get("change", {}).get(key, {}).get(domain):
                mean, low, high = (100 * paired[name] for name in ("mean", "low", "high"))
                change = f"{mean:+.1f} [{low:.1f}, {high:.1f}]"
            table.add_row(Text(domain), label, _percent(old), _percent(new), Text(change))
        table.add_section()
    return table


def solution_panels(solution: Solution) -> Iterator[Panel]:
    """Shows each attempt and its blind review, in the order they were written."""
    for index, attempt in enumerate(solution.attempts):
        title = f"revision {index}" if index else "attempt"
        if attempt.rollout.stop == "length":
            title += f", cut at {len(attempt.rollout.completion_ids)} tokens: --max-tokens"
        yield Panel(Text(attempt.rollout.text), title=title, title_align="left")
        if index < len(solution.reviews):
            review = solution.reviews[index]
            verdict = {True: "right", False: "wrong", None: "no verdict"}[review.verdict]
            yield Panel(
                Text(review.text), title=f"blind review: {verdict}", title_align="left", style="dim"
            )


def plan_table(model: str, lines: Iterable[tuple[str, str]]) -> Table:
    """Shows what a run will cost."""
    table = Table(title=Text(model), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for label, value in lines:
        table.add_row(label, value)
    return table


def speeds_table(model: str, speeds: Speeds) -> Table:
    """Shows what a machine does with a model, beside what it could do at most."""
    machine = speeds.machine
    share = f"{speeds.parameters:,} parameters, {speeds.trained:,} train, {speeds.dtype}"
    limits = (
        f"{machine.device}: float32 {machine.float32 / 1e12:.3g} TFLOP/s, "
        f"bfloat16 {machine.bfloat16 / 1e12:.3g} TFLOP/s, copies {machine.copy / 1e9:.3g} GB/s"
    )
    if speeds.peak:
        limits += f"; at most {speeds.peak / 1e9:.2f} GB held"
    table = Table(title=Text(f"{model}: {share}"), caption=Text(limits))
    for name in ("stage", "tokens/s", "at most", "share, %"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for stage in speeds.stages:
        table.add_row(
            stage.name, f"{stage.rate:,.0f}", f"{stage.floor:,.0f}", _percent(stage.share)
        )
    return table


def _find(row: Mapping[str, Any], key: str) -> float | None:
    value = _value(row, key)
    return value if isinstance(value, (int, float)) else None


def _value(row: Mapping[str, Any], key: str) -> Any:
    value: Any = row
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _cell(row: Mapping[str, Any], key: str) -> str:
    shown = _percent(_find(row, key))
    interval = None if key in _BARE else _value(row, f"{key}_interval")
    if interval and None not in interval:
        shown += f" [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"
    # rich would read the brackets as markup.
    return shown.replace("[", r"\[")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def judged_lines(judged: Sequence[Judgement], scores: ReviewerScores | None) -> Iterator[str]:
    """Says what came of judging answers, and how good the judge is where that is known."""
    verdicts = [one.review.verdict for one in judged]
    yield (
        f"{len(judged)} answers: {verdicts.count(True)} called right, {verdicts.count(False)} "
        f"wrong, {verdicts.count(None)} without a verdict"
    )
    if scores is None:
        return
    figures = {"J": scores.j, "AUC": scores.auc, "calibration error": scores.ece}
    known = ", ".join(f"{name} {value:.2f}" for name, value in figures.items() if value is not None)
    yield (
        f"of {scores.n_right} right and {scores.n_wrong} wrong ones: {scores.passed_right} and "
        f"{scores.passed_wrong} called right" + (f"; {known}" if known else "")
    )
