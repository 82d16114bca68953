"""One evaluation of a policy: every measure, per domain and in total, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from alive.config import SamplingConfig
from alive.errors import SuiteError
from alive.evaluation.accuracy import greedy_attempts, sampled_attempts
from alive.evaluation.reviewer import FrozenAttempt, ReviewerScores, freeze, judge, score_reviews
from alive.evaluation.self_correction import (
    Correction,
    SelfCorrection,
    count_corrections,
    self_correct,
)
from alive.evaluation.statistics import Estimate, estimate, paired_difference
from alive.evaluation.suites import Suite, as_task
from alive.protocols import Sampler
from alive.seeding import derive
from alive.types import Attempt, Review, Task

if TYPE_CHECKING:
    from alive.prompts.render import Renderer

__all__ = ["DomainResult", "EvaluationResult", "changes", "evaluate"]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DomainResult:
    """The measures over one domain, or over everything.

    Attributes:
        accuracy: Greedy accuracy under the plain prompt, the primary measure.
        sampled_accuracy: Mean accuracy at temperature 1; None unless asked for.
        self_correction: None unless asked for.
        reviewer: Scores on the frozen attempts; None unless asked for, or without any here.
    """

    accuracy: Estimate
    sampled_accuracy: Estimate | None
    self_correction: SelfCorrection | None
    reviewer: ReviewerScores | None

    def as_dict(self) -> dict[str, object]:
        """Returns the measures as JSON values."""
        measures: dict[str, object] = {
            "n": self.accuracy.n,
            "accuracy": self.accuracy.mean,
            "accuracy_interval": [self.accuracy.low, self.accuracy.high],
        }
        if self.sampled_accuracy is not None:
            sampled = self.sampled_accuracy
            measures["sampled_accuracy"] = sampled.mean
            measures["sampled_accuracy_interval"] = [sampled.low, sampled.high]
        if self.self_correction is not None:
            measures["self_correction"] = self.self_correction.as_dict()
        if self.reviewer is not None:
            measures["reviewer_j"] = self.reviewer.j
            measures["reviewer"] = self.reviewer.as_dict()
        return measures


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """What an evaluation found.

    Attributes:
        total: Over all problems of all suites.
        domains: By domain, in the order of their first problem.
        rows: One a problem, JSON values: id, domain, question (the passage), answer, completion,
            extracted, correct; where attempts were sampled the share of them that is right
            (sampled); where self-correction was asked for review, verdict, score, revision,
            revised_correct. Accuracy can be recounted from them.
        frozen: The attempts the reviewer was judged on, for the next evaluation.
        judged: One a frozen attempt, JSON values: id, domain, correct, and what its blind review
            said: verdict, score.
        notes: What a reader of the figures should know of the suites.
    """

    total: DomainResult
    domains: Mapping[str, DomainResult]
    rows: tuple[Row, ...] = field(repr=False)
    frozen: tuple[FrozenAttempt, ...] = field(repr=False)
    judged: tuple[Row, ...] = field(repr=False, default=())
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Returns the measures as JSON values: those in total, and ``domains`` by name."""
        domains = {name: result.as_dict() for name, result in self.domains.items()}
        return {**self.total.as_dict(), "domains": domains}


async def evaluate(
    sampler: Sampler,
    renderer: Renderer,
    suites: Sequence[Suite],
    sampling: SamplingConfig,
    seed: int,
    *,
    with_self_correction: bool = True,
    samples: int = 0,
    frozen: Sequence[FrozenAttempt] | None = None,
) -> EvaluationResult:
    """Evaluates a policy on suites.

    Args:
        sampler: The policy.
        renderer: Its prompts.
        suites: At least one; no problem twice.
        sampling: Token limits of attempts and reviews; the temperatures are the protocol's.
        seed: Of sampled attempts and of the intervals.
        with_self_correction: Also measure self-correction and the reviewer.
        samples: Attempts a problem at temperature 1; 0 leaves ``sampled_accuracy`` out.
        frozen: Attempts the reviewer is judged on, from an earlier evaluation's result; None
            takes one a problem sampled from this policy.

    Raises:
        SuiteError: Two problems have one id.
    """
    tasks = _tasks(suites, renderer.asks)
    greedy = await greedy_attempts(sampler, renderer, tasks, sampling, derive(seed, "greedy"))
    sampled: Sequence[Sequence[Attempt]] = ()
    wanted = samples or int(with_self_correction and frozen is None)
    if wanted:
        draw = derive(seed, "sampled")
        sampled = await sampled_attempts(sampler, renderer, tasks, wanted, sampling, draw)
    corrections: Sequence[Correction] = ()
    items: tuple[FrozenAttempt, ...] = tuple(frozen or ())
    reviews: Sequence[Review] = ()
    if with_self_correction:
        draw = derive(seed, "correct")
        corrections = await self_correct(sampler, renderer, tasks, greedy, sampling, draw)
        if frozen is None:
            items = freeze(tasks, sampled)
        reviews = await judge(sampler, renderer, items, sampling, derive(seed, "judge"))

    def measured(domain: str | None) -> DomainResult:
        kept = [index for index, task in enumerate(tasks) if domain in (None, task.domain)]
        pairs = zip(items, reviews, strict=True) if reviews else ()
        return _measured(
            greedy=[greedy[index] for index in kept],
            sampled=[sampled[index] for index in kept] if samples else [],
            corrections=[corrections[index] for index in kept] if corrections else [],
            judged=[pair for pair in pairs if domain in (None, pair[0].task.domain)],
            seed=derive(seed, "interval", domain or ""),
        )

    names = dict.fromkeys(task.domain for task in tasks)
    return EvaluationResult(
        total=measured(None),
        domains={name: measured(name) for name in names},
        rows=tuple(_rows(tasks, greedy, sampled if samples else (), corrections)),
        frozen=items,
        judged=tuple(_judged(items, reviews)),
        notes=tuple(suite.note for suite in suites if suite.note),
    )


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


def _tasks(suites: Sequence[Suite], asks: bool) -> list[Task]:
    tasks: dict[str, Task] = {}
    for suite in suites:
        for item in suite.items:
            if item.id in tasks:
                raise SuiteError(
                    f"suite '{suite.name}': problem '{item.id}' is in the evaluation twice; "
                    "give a suite once, and files different names"
                )
            tasks[item.id] = as_task(item, asks)
    if not tasks:
        raise SuiteError("nothing to evaluate: give at least one suite")
    return list(tasks.values())


def _measured(
    greedy: Sequence[Attempt],
    sampled: Sequence[Sequence[Attempt]],
    corrections: Sequence[Correction],
    judged: Sequence[tuple[FrozenAttempt, Review]],
    seed: int,
) -> DomainResult:
    shares = [sum(attempt.correct for attempt in group) / len(group) for group in sampled]
    return DomainResult(
        accuracy=estimate([attempt.correct for attempt in greedy], seed),
        sampled_accuracy=estimate(shares, seed) if shares else None,
        self_correction=count_corrections(corrections) if corrections else None,
        reviewer=score_reviews(*zip(*judged, strict=True)) if judged else None,
    )


def _judged(frozen: Sequence[FrozenAttempt], reviews: Sequence[Review]) -> Iterator[Row]:
    for item, review in zip(frozen, reviews, strict=bool(reviews)):
        yield {
            "id": item.task.id,
            "domain": item.task.domain,
            "correct": item.attempt.correct,
            "verdict": review.verdict,
            "score": review.score,
        }


def _rows(
    tasks: Sequence[Task],
    greedy: Sequence[Attempt],
    sampled: Sequence[Sequence[Attempt]],
    corrections: Sequence[Correction],
) -> Iterable[Row]:
    for index, (task, attempt) in enumerate(zip(tasks, greedy, strict=True)):
        row: dict[str, object] = {
            "id": task.id,
            "domain": task.domain,
            "question": task.passage,
            "answer": task.span,
            "completion": attempt.rollout.text,
            "extracted": attempt.answer,
            "correct": attempt.correct,
        }
        if sampled:
            row["sampled"] = sum(sample.correct for sample in sampled[index]) / len(sampled[index])
        if corrections:
            correction = corrections[index]
            revision = correction.revision
            row["review"] = correction.review.text
            row["verdict"] = correction.review.verdict
            row["score"] = correction.review.score
            row["revision"] = None if revision is None else revision.rollout.text
            row["revised_correct"] = correction.final_correct
        yield row
