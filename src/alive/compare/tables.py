"""From what was measured, cell by cell, to the figures of the comparison. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alive.evaluation import Difference, Estimate
from alive.evaluation.statistics import area_under_roc, unanimous
from alive.seeding import derive

RESAMPLES = 2_000
WIDTHS = (1, 4, 16, 64)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """A cell's measurement, as the figures need it.

    Attributes:
        trained_on: A domain, or ``all``.
        seed: Run seed.
        rows: One a problem, in the same order in every cell.
        result: Measures in total.
        summary: The run's; empty for the base model.
    """

    trained_on: str
    seed: int
    rows: Sequence[Row]
    result: Mapping[str, Any]
    summary: Mapping[str, Any]

    def inside(self, row: Row) -> bool:
        """Whether the problem is of the domain it was trained on."""
        return self.trained_on in ("all", row["domain"])


Value = Callable[[Measured, Row], float | None]
"""A problem's figure in a cell; None where it does not count."""


def in_domain(key: str) -> Value:
    """Returns the value of a row's ``key`` on problems of the domain trained on."""
    return lambda cell, row: float(row[key]) if cell.inside(row) else None


def out_of_domain(key: str) -> Value:
    """Returns the value of a row's ``key`` on problems of the other domains."""
    return lambda cell, row: None if cell.inside(row) else float(row[key])


def after_correction(_: Measured, row: Row) -> float:
    """Whether the problem is right after review and revision."""
    return float(row["revised_correct"])


def instead(key: str) -> Value:
    """Whether the problem is right if ``key`` stands in for the revision, where there was one.

    The controls of self-correction: of the same attempts, those that the review calls wrong.
    """
    return lambda _, row: float(row["correct" if row["revision"] is None else key])


def gained(over: Value) -> Value:
    """By how much a problem is righter after review and revision than otherwise, -1 to 1."""
    return lambda cell, row: after_correction(cell, row) - (over(cell, row) or 0.0)


def by_domain(cells: Sequence[Measured]) -> dict[str, Value]:
    """Returns the accuracies on each domain by name, where the suites have more than one."""
    domains = list(dict.fromkeys(row["domain"] for row in cells[0].rows))
    if len(domains) == 1:
        return {}
    return {
        f"{domain}, {label}": _on(domain, key)
        for domain in domains
        for label, key in (("sampled", "sampled"), ("greedy", "correct"))
    }


def _on(domain: str, key: str) -> Value:
    return lambda _, row: float(row[key]) if row["domain"] == domain else None


def pass_at(n: int, c: int, k: int) -> float:
    """Returns the unbiased estimate of pass@k from ``c`` right of ``n`` attempts.

    Source: Chen et al., arXiv 2107.03374, equation 1.
    """
    return 1.0 - comb(n - c, k) / comb(n, k)


class Sums:
    """A figure's sums and counts, by seed and problem: all that resampling needs."""

    def __init__(self, cells: Sequence[Measured], value: Value) -> None:
        seeds = sorted({cell.seed for cell in cells})
        size = (len(seeds), len(cells[0].rows))
        self.sums: NDArray[np.float64] = np.zeros(size)
        self.counts: NDArray[np.float64] = np.zeros(size)
        for cell in cells:
            at = seeds.index(cell.seed)
            for i, row in enumerate(cell.rows):
                figure = value(cell, row)
                if figure is not None:
                    self.sums[at, i] += figure
                    self.counts[at, i] += 1

    @property
    def mean(self) -> float | None:
        """The mean over everything that counts; None if nothing does."""
        total = self.counts.sum()
        return float(self.sums.sum() / total) if total else None

    @property
    def problems(self) -> int:
        """Problems that count, in whatever seed."""
        return int((self.counts.sum(0) > 0).sum())

    def resampled(self, seed: int) -> NDArray[np.float64]:
        """Means of resamples, seeds and problems drawn anew: [RESAMPLES]."""
        rng = np.random.default_rng(seed)
        seeds, problems = self.sums.shape
        chosen = rng.multinomial(seeds, [1 / seeds] * seeds, RESAMPLES)
        weights = rng.multinomial(problems, [1 / problems] * problems, RESAMPLES)
        top = np.einsum("rs,rp,sp->r", chosen, weights, self.sums, optimize=True)
        bottom = np.einsum("rs,rp,sp->r", chosen, weights, self.counts, optimize=True)
        # A resample without any problem that counts says nothing.
        unknown = np.full_like(top, self.mean or 0.0)
        return np.asarray(np.divide(top, bottom, out=unknown, where=bottom > 0))


def estimated(
    cells: Sequence[Measured], value: Value, seed: int, least: float = 0.0
) -> Estimate | None:
    """Returns a figure's mean over seeds and problems, with its interval; None without any.

    Args:
        cells: An arm's.
        value: The figure, ``least`` to 1.
        seed: Of the resampling.
        least: What it may be at least.
    """
    sums = Sums(cells, value)
    if sums.mean is None:
        return None
    low, high = np.percentile(sums.resampled(seed), (2.5, 97.5))
    if low == high:
        low, high = unanimous(sums.mean, sums.problems, least, 1.0)
    return Estimate(int(sums.counts.sum()), sums.mean, float(low), float(high))


def compared(
    cells: Sequence[Measured], others: Sequence[Measured], value: Value, seed: int
) -> Difference | None:
    """Returns ``cells`` minus ``others``, paired by seed and problem; None without any.

    A comparison that goes on may hold seeds of one side alone; they are left out.
    """
    both = {(cell.trained_on, cell.seed) for cell in cells} & {
        (cell.trained_on, cell.seed) for cell in others
    }
    if not both:
        return None
    ours, theirs = (
        Sums([cell for cell in side if (cell.trained_on, cell.seed) in both], value)
        for side in (cells, others)
    )
    if ours.mean is None or theirs.mean is None:
        return None
    # One seed: both sides are resampled alike, which pairs them.
    low, high = np.percentile(ours.resampled(seed) - theirs.resampled(seed), (2.5, 97.5))
    if low == high:
        low, high = unanimous(ours.mean - theirs.mean, ours.problems, -1.0, 1.0)
    return Difference(int(ours.counts.sum()), ours.mean - theirs.mean, float(low), float(high))


def on_hard(base: Sequence[Measured], wide: int) -> Value:
    """Returns the share of attempts that are right, on problems no attempt of the base solves."""
    unsolved = hard(base)
    return lambda _, row: row["wide"] / wide if row["id"] in unsolved else None


def hard(base: Sequence[Measured]) -> set[str]:
    """Returns the ids of problems that no attempt of the base model solves, in any seed."""
    tried = [row for cell in base for row in cell.rows if "wide" in row]
    return {row["id"] for row in tried} - {row["id"] for row in tried if row["wide"]}


def figures(
    cells: Sequence[Measured], base: Sequence[Measured], wide: int, seed: int
) -> dict[str, Estimate | None]:
    """Returns every per-problem figure of an arm by name, with its interval.

    Args:
        cells: The arm's.
        base: The base model's.
        wide: Attempts behind pass@k.
        seed: Of the resampling.
    """
    values: dict[str, Value] = {
        "in-domain, sampled": in_domain("sampled"),
        "in-domain, greedy": in_domain("correct"),
        "in-domain, sampled, under the positive words": in_domain("worded"),
        "out of domain, sampled": out_of_domain("sampled"),
        "out of domain, greedy": out_of_domain("correct"),
        "after self-correction": after_correction,
        "with a second sample instead": instead("second_correct"),
        "with a content-free critique instead": instead("empty_correct"),
        "unsolved by base": on_hard(base, wide),
        **by_domain(base),
    }
    for k in (k for k in WIDTHS if k <= wide):
        values[f"pass@{k}"] = _passing(wide, k)
    gains: dict[str, Value] = {
        "net of revising": gained(lambda _, row: float(row["correct"])),
        "more than by a second sample": gained(instead("second_correct")),
        "more than by a content-free critique": gained(instead("empty_correct")),
    }
    found = {name: estimated(cells, value, derive(seed, name)) for name, value in values.items()}
    return found | {
        name: estimated(cells, value, derive(seed, name), -1.0) for name, value in gains.items()
    }


def _passing(n: int, k: int) -> Value:
    return lambda _, row: pass_at(n, row["wide"], k) if "wide" in row else None


def pooled(cells: Sequence[Measured]) -> dict[str, float | None]:
    """Returns what is counted over attempts rather than problems: correction, reviewer, cost."""
    corrections = [cell.result["self_correction"] for cell in cells]
    total = {
        key: sum(counts[key] for counts in corrections)
        for key in ("n_wrong", "n_right", "corrected", "harmed")
    }
    wrong, right = total["n_wrong"], total["n_right"]
    trained = [cell.summary for cell in cells if cell.summary]

    def mean(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    return {
        "wrong made right": total["corrected"] / wrong if wrong else None,
        "right made wrong": total["harmed"] / right if right else None,
        "reviewer J": mean([cell.result["reviewer_j"] for cell in cells]),
        "reviewer J, own attempts": _own_j(cells),
        "reviewer AUC, own attempts": _own_auc(cells),
        "calibration error": mean([cell.result["reviewer"]["ece"] for cell in cells]),
        "steps": mean([run["steps"] for run in trained]),
        "tokens": mean([run["tokens_sampled"] + run["tokens_trained"] for run in trained]),
        "seconds": mean([run["seconds"] for run in trained]),
        "tasks the poser proposed": mean([run["proposed_share"] for run in trained]),
    }


def _own_j(cells: Sequence[Measured]) -> float | None:
    """True minus false "right" of blind verdicts on the greedy attempts of the policy itself."""
    called: dict[bool, list[bool]] = {True: [], False: []}
    for row in (row for cell in cells for row in cell.rows):
        called[bool(row["correct"])].append(row["verdict"] is True)
    if not called[True] or not called[False]:
        return None
    true, false = (sum(said) / len(said) for said in (called[True], called[False]))
    return true - false


def _own_auc(cells: Sequence[Measured]) -> float | None:
    """How often a right one of those attempts is scored above a wrong one, 0..1."""
    rows = [row for cell in cells for row in cell.rows]
    return area_under_roc([row["score"] or 0.0 for row in rows], [row["correct"] for row in rows])


def transfer(cells: Sequence[Measured], base: Sequence[Measured]) -> float | None:
    """Returns the mean gain out of domain over the mean gain in domain, sampled accuracy."""
    start = {row["id"]: float(row["sampled"]) for row in base[0].rows}
    gains: dict[bool, list[float]] = {True: [], False: []}
    for cell in cells:
        for row in cell.rows:
            gains[cell.inside(row)].append(float(row["sampled"]) - start[row["id"]])
    if not gains[True] or not gains[False]:
        return None
    inside, outside = (sum(values) / len(values) for values in (gains[True], gains[False]))
    return outside / inside if inside else None
