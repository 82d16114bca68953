"""Means with their uncertainty, and calibration. Everything is seeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Difference", "Estimate", "calibration_error", "estimate", "paired_difference"]

RESAMPLES = 2_000
_BLOCK = 1 << 20  # values drawn at once: memory stays flat on a large suite


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over problems.

    Attributes:
        n: Problems.
        mean: Their mean.
        low: Lower end of the 95 % bootstrap interval (percentiles of 2,000 resamples).
        high: Its upper end.
    """

    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean of after minus before over the same problems, with its interval as in Estimate."""

    n: int
    mean: float
    low: float
    high: float


def estimate(values: Sequence[float], seed: int) -> Estimate:
    """Returns the mean of one value a problem, with its bootstrap interval.

    Raises:
        ValueError: There are no values.
    """
    return Estimate(*_bootstrapped(values, seed))


def paired_difference(before: Sequence[float], after: Sequence[float], seed: int) -> Difference:
    """Returns the mean of after - before, resampled by problem.

    Args:
        before: One value a problem.
        after: The same problems in the same order.
        seed: Of the resampling.

    Raises:
        ValueError: The two differ in length, or are empty.
    """
    changes = [b - a for a, b in zip(before, after, strict=True)]
    return Difference(*_bootstrapped(changes, seed))


def calibration_error(
    confidences: Sequence[float], outcomes: Sequence[bool], bins: int = 10
) -> float | None:
    """Returns the expected calibration error: mean |accuracy - confidence| over equal-width bins.

    Args:
        confidences: Stated probabilities of being right, 0..1; 1 falls into the last bin.
        outcomes: Whether it was right.
        bins: Number of bins; each counts by the values in it.

    Returns:
        0..1, or None without values.
    """
    stated, right = np.asarray(confidences, dtype=float), np.asarray(outcomes, dtype=float)
    if stated.shape != right.shape:
        raise ValueError(f"{len(confidences)} confidences for {len(outcomes)} outcomes")
    if stated.size == 0:
        return None
    # Rounded, or 0.7 * 10 would fall below its own bin's edge.
    places = np.minimum(np.floor(np.round(stated * bins, 9)).astype(int), bins - 1)
    gaps = np.bincount(places, weights=right - stated, minlength=bins)
    return float(np.abs(gaps).sum() / stated.size)


def _bootstrapped(values: Sequence[float], seed: int) -> tuple[int, float, float, float]:
    data: NDArray[np.float64] = np.asarray(values, dtype=float)
    if data.size == 0:
        raise ValueError("a mean needs at least one value")
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // data.size)
    means = [
        data[generator.integers(0, data.size, (min(rows, RESAMPLES - start), data.size))].mean(1)
        for start in range(0, RESAMPLES, rows)
    ]
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975))
    return int(data.size), float(data.mean()), float(low), float(high)
