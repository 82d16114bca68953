"""Means with their uncertainty, and calibration. Everything is seeded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Difference",
    "Estimate",
    "calibration_error",
    "estimate",
    "paired_difference",
    "proportion",
    "unanimous",
]

RESAMPLES = 2_000
_Z = 1.959963984540054  # 95 % of a normal distribution lie within as many deviations
_BLOCK = 1 << 20  # values drawn at once: memory stays flat on a large suite


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over problems.

    Attributes:
        n: Problems.
        mean: Their mean.
        low: Lower end of its 95 % interval: Wilson's of a proportion, else the bootstrap's
            (percentiles of 2,000 resamples), or ``unanimous``.
        high: Its upper end.
    """

    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean of after minus before over the same problems.

    Its interval is the bootstrap's; where all problems changed alike, that of ``unanimous``.
    """

    n: int
    mean: float
    low: float
    high: float


def proportion(count: int, n: int) -> Estimate:
    """Returns a share of ``n`` problems with Wilson's score interval.

    It keeps its width at the edges, where the bootstrap has none: 0 of 50 is [0, 0.071]. Source:
    Wilson, JASA 22 (1927); for few problems recommended by Brown, Cai and DasGupta, Statistical
    Science 16 (2001).

    Raises:
        ValueError: There are no problems.
    """
    if n < 1:
        raise ValueError("a proportion needs at least one problem")
    share, weight = count / n, _Z**2 / n
    middle = (share + weight / 2) / (1 + weight)
    half = _Z * math.sqrt(share * (1 - share) / n + weight / (4 * n)) / (1 + weight)
    # At the edges the ends are 0 and 1 but for rounding.
    low = middle - half if count else 0.0
    high = middle + half if count < n else 1.0
    return Estimate(n, share, low, high)


def unanimous(value: float, n: int, least: float, most: float) -> tuple[float, float]:
    """Returns the interval of a mean where all ``n`` problems gave one value.

    Resamples know no other value. Wilson's bound for none of n says what share of all problems may
    have one, and at worst that is the least or the most there can be (inferred).

    Args:
        value: What each problem gave.
        n: Problems, at least one.
        least: The least a problem can give.
        most: The most a problem can give.
    """
    unseen = proportion(0, n).high
    return value - unseen * (value - least), value + unseen * (most - value)


def estimate(values: Sequence[float], seed: int) -> Estimate:
    """Returns the mean of one value a problem, each 0..1, with its interval.

    Raises:
        ValueError: There are no values.
    """
    if values and all(value in (0, 1) for value in values):
        return proportion(int(sum(values)), len(values))
    return Estimate(*_bootstrapped(values, seed, least=0.0))


def paired_difference(before: Sequence[float], after: Sequence[float], seed: int) -> Difference:
    """Returns the mean of after - before, resampled by problem.

    Args:
        before: One value a problem, each 0..1.
        after: The same problems in the same order.
        seed: Of the resampling.

    Raises:
        ValueError: The two differ in length, or are empty.
    """
    changes = [b - a for a, b in zip(before, after, strict=True)]
    return Difference(*_bootstrapped(changes, seed, least=-1.0))


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


def area_under_roc(scores: Sequence[float], outcomes: Sequence[bool]) -> float | None:
    """Returns the probability that a right one scores above a wrong one, ties counted half.

    Args:
        scores: Whatever is higher for right ones.
        outcomes: Whether it was right.

    Returns:
        0..1, .5 for scores that know nothing; None without any right or any wrong one.
    """
    stated, right = np.asarray(scores, dtype=float), np.asarray(outcomes, dtype=bool)
    ones, zeros = np.sort(stated[right]), np.sort(stated[~right])
    if not ones.size or not zeros.size:
        return None
    below = np.searchsorted(zeros, ones, "left") + np.searchsorted(zeros, ones, "right")
    return float(below.sum() / (2 * ones.size * zeros.size))


def _bootstrapped(
    values: Sequence[float], seed: int, least: float
) -> tuple[int, float, float, float]:
    data: NDArray[np.float64] = np.asarray(values, dtype=float)
    if data.size == 0:
        raise ValueError("a mean needs at least one value")
    if np.all(data == data[0]):
        return (len(data), float(data[0]), *unanimous(float(data[0]), len(data), least, 1.0))
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // data.size)
    means = [
        data[generator.integers(0, data.size, (min(rows, RESAMPLES - start), data.size))].mean(1)
        for start in range(0, RESAMPLES, rows)
    ]
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975))
    return int(data.size), float(data.mean()), float(low), float(high)
