"""What is measured of every policy of a comparison, problem by problem."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alive import aio
from alive.api import Policy
from alive.evaluation import FrozenAttempt, as_task, evaluate, load_suite
from alive.evaluation.accuracy import sampled_attempts
from alive.evaluation.self_correction import revise_without_review
from alive.seeding import derive


@dataclass(frozen=True, slots=True)
class Measuring:
    """How policies are measured.

    Attributes:
        suites: Names or files.
        limit: Problems a suite, 0 for all.
        samples: Attempts a problem at temperature 1.
        wide_problems: Problems, from the first, on which pass@k is measured.
        wide_samples: Attempts on each of those.
    """

    suites: tuple[str, ...]
    limit: int
    samples: int
    wide_problems: int
    wide_samples: int


def measure(
    policy: Policy,
    measuring: Measuring,
    seed: int,
    frozen: Sequence[Mapping[str, Any]] | None,
) -> dict[str, Any]:
    """Measures a policy.

    Args:
        policy: What is measured.
        measuring: On what.
        seed: Of the draws.
        frozen: Attempts its reviewer judges, as stored; None takes this policy's own.

    Returns:
        JSON values: ``result`` (measures in total and by domain), ``rows`` (one a problem),
        ``frozen``, ``seconds``.
    """
    return aio.run(_measure(policy, measuring, seed, frozen))


async def _measure(
    policy: Policy,
    measuring: Measuring,
    seed: int,
    frozen: Sequence[Mapping[str, Any]] | None,
) -> dict[str, Any]:
    began = time.monotonic()
    suites = [load_suite(name, measuring.limit, 0) for name in measuring.suites]
    sampler, renderer, sampling = policy.sampler, policy.renderer, policy.sampling
    result = await evaluate(
        sampler,
        renderer,
        suites,
        sampling,
        derive(seed, "compare"),
        samples=measuring.samples,
        frozen=None if frozen is None else [FrozenAttempt.from_row(row) for row in frozen],
    )
    rows = [dict(row) for row in result.rows]
    tasks = [as_task(item, renderer.asks) for suite in suites for item in suite.items]
    # The controls of self-correction: the same attempts once more, and no word of what is wrong.
    again = [(task, row) for task, row in zip(tasks, rows, strict=True) if row["revision"]]
    retried = [task for task, _ in again]
    second = await sampled_attempts(sampler, renderer, retried, 1, sampling, derive(seed, "second"))
    first = [
        FrozenAttempt.from_row({**row, "passage": row["question"]}).attempt for _, row in again
    ]
    empty = await revise_without_review(sampler, renderer, retried, first, sampling, seed)
    for (_, row), (other,), revised in zip(again, second, empty, strict=True):
        row["second_correct"], row["empty_correct"] = other.correct, revised.correct
    worded = await sampled_attempts(
        sampler, renderer, tasks, measuring.samples, sampling, derive(seed, "worded"),
        renderer.words.solve_positive,
    )  # fmt: skip
    for row, group in zip(rows, worded, strict=True):
        row["worded"] = sum(attempt.correct for attempt in group) / len(group)
    wide = tasks[: measuring.wide_problems]
    draws = await sampled_attempts(
        sampler, renderer, wide, measuring.wide_samples, sampling, derive(seed, "wide")
    )
    for row, group in zip(rows, draws, strict=False):
        row["wide"] = sum(attempt.correct for attempt in group)
    return {
        "result": result.as_dict(),
        "rows": rows,
        "frozen": [item.as_row() for item in result.frozen],
        "seconds": round(time.monotonic() - began, 1),
    }
