"""What an evaluation found: the measures, the rows they are counted from, and how they changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from alive.evaluation.best_of import BestOf
from alive.evaluation.reviewer import FrozenAttempt, ReviewerScores
from alive.evaluation.self_correction import SelfCorrection
from alive.evaluation.statistics import Estimate, paired_difference
from alive.seeding import derive

__all__ = ["DomainResult", "EvaluationResult", "Row", "changes"]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DomainResult:
    """The measures over one domain, or over everything.

    Attributes:
        accuracy: Greedy accuracy under the plain prompt, the primary measure.
        cut: Share of those attempts that were cut at the token limit.
        boxed: Share of them that boxed an answer.
        sampled_accuracy: Mean accuracy at temperature 1; None unless asked for.
        self_correction: None unless asked for.
        reviewer: Scores on the frozen attempts; None unless asked for, or without any here.
        best_of: Of several attempts what the reviewer chose; None unless asked for.
    """

    accuracy: Estimate
    cut: Estimate
    boxed: Estimate
    sampled_accuracy: Estimate | None
    self_correction: SelfCorrection | None
    reviewer: ReviewerScores | None
    best_of: BestOf | None = None

    def as_dict(self) -> dict[str, object]:
        """Returns the measures as JSON values."""
        measures: dict[str, object] = {"n": self.accuracy.n}
        shares = {"accuracy": self.accuracy, "cut": self.cut, "boxed": self.boxed}
        if self.sampled_accuracy is not None:
            shares["sampled_accuracy"] = self.sampled_accuracy
        for name, share in shares.items():
            measures[name] = share.mean
            measures[f"{name}_interval"] = [share.low, share.high]
        if self.self_correction is not None:
            measures["self_correction"] = self.self_correction.as_dict()
        if self.reviewer is not None:
            measures["reviewer_j"] = self.reviewer.j
            measures["reviewer"] = self.reviewer.as_dict()
        if self.best_of is not None:
            measures["best_of"] = self.best_of.as_dict()
        return measures


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """What an evaluation found.

    Attributes:
        total: Over all problems of all suites.
        domains: By domain, in the order of their first problem.
        rows: One a problem, JSON values: id, domain, question (the passage), answer, prompt (with
            its special tokens), completion, tokens, cut, extracted, correct; where attempts were
            sampled the share of them that is right (sampled); where one of several was chosen
            whether it is right (best_correct), and their majority (majority_correct); where
            self-correction was asked for
            review, verdict, score, revision, revised_correct. Accuracy can be recounted from them.
        frozen: The attempts the reviewer was judged on, for the next evaluation.
        judged: One a frozen attempt, JSON values: id, domain, correct, and what its blind review
            said: verdict, score.
        notes: What a reader of the figures should know of the suites, and of what was cut.
        seconds: On the clock, by what they were spent on. No measure: no record of a run holds it.
    """

    total: DomainResult
    domains: Mapping[str, DomainResult]
    rows: tuple[Row, ...] = field(repr=False)
    frozen: tuple[FrozenAttempt, ...] = field(repr=False)
    judged: tuple[Row, ...] = field(repr=False, default=())
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(repr=False, compare=False, default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """Returns the measures as JSON values: those in total, and ``domains`` by name."""
        domains = {name: result.as_dict() for name, result in self.domains.items()}
        return {**self.total.as_dict(), "domains": domains}


def changes(
    before: Sequence[Row], after: Sequence[Row], seed: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Returns how accuracies changed, paired by problem.

    Args:
        before: The rows of an evaluation.
        after: The rows of a later one.
        seed: Of the resampling.

    Returns:
        By measure (``accuracy``; ``sampled_accuracy`` where attempts were sampled), then by domain
        and ``total``: mean, low, high.

    Raises:
        ValueError: The two did not evaluate the same problems.
    """
    if [row["id"] for row in before] != [row["id"] for row in after]:
        raise ValueError("a paired difference needs the same problems before and after")
    names = dict.fromkeys(str(row["domain"]) for row in after)
    by_measure: dict[str, dict[str, dict[str, float]]] = {}
    for measure, key in (("accuracy", "correct"), ("sampled_accuracy", "sampled")):
        pairs = [
            (str(b["domain"]), float(a[key]), float(b[key]))
            for a, b in zip(before, after, strict=True)
            if key in a and key in b
        ]
        for name in (*names, "total") if pairs else ():
            _, old, new = zip(*(p for p in pairs if name in (p[0], "total")), strict=True)
            change = paired_difference(old, new, derive(seed, measure, name))
            by_measure.setdefault(measure, {})[name] = asdict(change)
    return by_measure
