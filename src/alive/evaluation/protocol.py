"""One evaluation of a policy: what is asked of it, and in which order."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from alive.config import SamplingConfig
from alive.errors import SuiteError
from alive.evaluation.accuracy import greedy_attempts, sampled_attempts
from alive.evaluation.best_of import Chosen, choose, count_best
from alive.evaluation.lengths import cut_attempts, cut_reviews
from alive.evaluation.result import DomainResult, EvaluationResult, Row
from alive.evaluation.reviewer import FrozenAttempt, freeze, judge, score_reviews
from alive.evaluation.self_correction import Correction, count_corrections, self_correct
from alive.evaluation.statistics import estimate, proportion
from alive.evaluation.suites import Suite, as_task
from alive.protocols import Sampler
from alive.seeding import derive
from alive.types import Attempt, Review, Task

if TYPE_CHECKING:
    from alive.prompts.render import Renderer

__all__ = ["evaluate"]

Found = TypeVar("Found")


async def evaluate(
    sampler: Sampler,
    renderer: Renderer,
    suites: Sequence[Suite],
    sampling: SamplingConfig,
    seed: int,
    *,
    with_self_correction: bool = True,
    samples: int = 0,
    best_of: int = 0,
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
        best_of: Attempts a problem at temperature 1 of which the reviewer chooses one; 0: none.
        frozen: Attempts the reviewer is judged on, from an earlier evaluation's result; None
            takes one a problem sampled from this policy.

    Raises:
        SuiteError: Two problems have one id.
    """
    tasks = _tasks(suites, renderer.asks)
    seconds: dict[str, float] = {}
    draw = derive(seed, "greedy")
    trying = greedy_attempts(sampler, renderer, tasks, sampling, draw)
    greedy = await _timed(seconds, "attempts", trying)
    sampled: Sequence[Sequence[Attempt]] = ()
    wanted = max(samples, best_of) or int(with_self_correction and frozen is None)
    if wanted:
        draw = derive(seed, "sampled")
        drawing = sampled_attempts(sampler, renderer, tasks, wanted, sampling, draw)
        sampled = await _timed(seconds, "sampled attempts", drawing)
    chosen: Sequence[Chosen] = ()
    if best_of:
        draw, groups = derive(seed, "best"), [group[:best_of] for group in sampled]
        choosing = choose(sampler, renderer, tasks, groups, sampling, draw)
        chosen = await _timed(seconds, f"best of {best_of}", choosing)
    corrections: Sequence[Correction] = ()
    items: tuple[FrozenAttempt, ...] = tuple(frozen or ())
    reviews: Sequence[Review] = ()
    if with_self_correction:
        draw = derive(seed, "correct")
        correcting = self_correct(sampler, renderer, tasks, greedy, sampling, draw)
        corrections = await _timed(seconds, "self-correction", correcting)
        if frozen is None:
            items = freeze(tasks, sampled)
        judging = judge(sampler, renderer, items, sampling, derive(seed, "judge"))
        reviews = await _timed(seconds, "reviews of frozen attempts", judging)

    def measured(domain: str | None) -> DomainResult:
        kept = [index for index, task in enumerate(tasks) if domain in (None, task.domain)]
        pairs = zip(items, reviews, strict=True) if reviews else ()
        return _measured(
            greedy=[greedy[index] for index in kept],
            sampled=[sampled[index] for index in kept] if samples else [],
            corrections=[corrections[index] for index in kept] if corrections else [],
            chosen=[chosen[index] for index in kept] if chosen else [],
            judged=[pair for pair in pairs if domain in (None, pair[0].task.domain)],
            seed=derive(seed, "interval", domain or ""),
        )

    names = dict.fromkeys(task.domain for task in tasks)
    total = measured(None)
    drawn = sampled if samples else ()
    rows = tuple(_rows(renderer, tasks, greedy, drawn, chosen, corrections))
    notes = (
        *(suite.note for suite in suites),
        cut_attempts(rows, sampling.solve_tokens),
        cut_reviews(total.self_correction, sampling.review_tokens),
    )
    return EvaluationResult(
        total=total,
        domains={name: measured(name) for name in names},
        rows=rows,
        frozen=items,
        judged=tuple(_judged(items, reviews)),
        notes=tuple(filter(None, notes)),
        seconds=seconds,
    )


async def _timed(seconds: dict[str, float], name: str, work: Awaitable[Found]) -> Found:
    began = time.perf_counter()
    found = await work
    seconds[name] = time.perf_counter() - began
    return found


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
    chosen: Sequence[Chosen],
    judged: Sequence[tuple[FrozenAttempt, Review]],
    seed: int,
) -> DomainResult:
    shares = [sum(attempt.correct for attempt in group) / len(group) for group in sampled]
    return DomainResult(
        accuracy=proportion(sum(attempt.correct for attempt in greedy), len(greedy)),
        cut=proportion(sum(attempt.rollout.stop == "length" for attempt in greedy), len(greedy)),
        boxed=proportion(sum(attempt.answer is not None for attempt in greedy), len(greedy)),
        sampled_accuracy=estimate(shares, seed) if shares else None,
        self_correction=count_corrections(corrections, seed) if corrections else None,
        reviewer=score_reviews(*zip(*judged, strict=True)) if judged else None,
        best_of=count_best(chosen, seed) if chosen else None,
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
    renderer: Renderer,
    tasks: Sequence[Task],
    greedy: Sequence[Attempt],
    sampled: Sequence[Sequence[Attempt]],
    chosen: Sequence[Chosen],
    corrections: Sequence[Correction],
) -> Iterable[Row]:
    for index, (task, attempt) in enumerate(zip(tasks, greedy, strict=True)):
        row: dict[str, object] = {
            "id": task.id,
            "domain": task.domain,
            "question": task.passage,
            "answer": task.span,
            "prompt": renderer.show(attempt.rollout.prompt.ids),
            "completion": attempt.rollout.text,
            "tokens": len(attempt.rollout.completion_ids),
            "cut": attempt.rollout.stop == "length",
            "extracted": attempt.answer,
            "correct": attempt.correct,
        }
        if sampled:
            row["sampled"] = sum(sample.correct for sample in sampled[index]) / len(sampled[index])
        if chosen:
            one = chosen[index]
            row["best_correct"] = one.attempts[one.best].correct
            row["majority_correct"] = one.attempts[one.usual].correct
        if corrections:
            correction = corrections[index]
            revision = correction.revision
            row["review"] = correction.review.text
            row["verdict"] = correction.review.verdict
            row["score"] = correction.review.score
            row["revision"] = None if revision is None else revision.rollout.text
            row["revised_correct"] = correction.final_correct
        yield row
