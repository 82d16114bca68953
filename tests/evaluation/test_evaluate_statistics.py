from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alive.evaluation.statistics import (
    calibration_error,
    estimate,
    paired_difference,
    proportion,
)

Z2 = 3.8414588  # the square of 1.96


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        # 0 of n: z^2 / (n + z^2); n of n is its mirror image.
        (0, 50, 0.0, Z2 / (50 + Z2)),
        (50, 50, 50 / (50 + Z2), 1.0),
        (0, 1, 0.0, Z2 / (1 + Z2)),
        # 10 of 20, (.5 +- 1.96 sqrt(.25/20 + z^2/1600)) by z^2/20: .5 +- .2007.
        (10, 20, 0.299298, 0.700702),
        # 81 of 263, as in Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        # 15 of 148 and 1 of 29 of the same table.
        (15, 148, 0.0624, 0.1605),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_by_hand_and_as_published(count: int, n: int, low: float, high: float) -> None:
    found = proportion(count, n)
    assert (found.n, found.mean) == (n, count / n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    # Zeros and ones are a proportion, whatever type they have.
    assert estimate([1.0] * count + [False] * (n - count), seed=9) == found


@given(st.integers(0, 400), st.integers(1, 400))
def test_wilson_holds_the_share_within_bounds(count: int, n: int) -> None:
    count = min(count, n)
    found, mirror = proportion(count, n), proportion(n - count, n)
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.low < found.high
    assert found.low == pytest.approx(1 - mirror.high)


def test_the_interval_is_that_of_a_mean() -> None:
    # Half .2, half .4: the standard error is .1 / sqrt(100).
    found = estimate([0.2] * 50 + [0.4] * 50, seed=1)
    spread = 1.96 * 0.1 / math.sqrt(100)
    assert (found.n, found.mean) == (100, pytest.approx(0.3))
    assert found.low == pytest.approx(0.3 - spread, abs=0.004)
    assert found.high == pytest.approx(0.3 + spread, abs=0.004)
    assert found == estimate([0.2] * 50 + [0.4] * 50, seed=1)


def test_a_large_suite_is_resampled_in_blocks() -> None:
    found = estimate([0.0, 1.0] * 5_000, seed=1)
    assert found.mean == 0.5
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.5 / math.sqrt(10_000), rel=0.1)


def test_what_all_problems_gave_is_not_certain() -> None:
    # Of 20 problems none differed: up to u = z^2 / (20 + z^2) of all may, by the most there is.
    u = Z2 / (20 + Z2)
    same = estimate([0.5] * 20, seed=3)
    assert (same.low, same.high) == pytest.approx((0.5 - u / 2, 0.5 + u / 2))
    nothing = paired_difference([1, 0] * 10, [1, 0] * 10, seed=3)
    assert (nothing.mean, nothing.low, nothing.high) == (0, pytest.approx(-u), pytest.approx(u))
    everything = paired_difference([0] * 20, [1] * 20, seed=3)
    assert (everything.low, everything.high) == (pytest.approx(1 - 2 * u), 1)


def test_a_paired_difference_resamples_problems() -> None:
    # Nearly the same gain on every problem is nearly certain, however much the problems differ.
    certain = paired_difference([0, 0.5] * 20, [0.25, 0.76] * 20, seed=3)
    assert (certain.mean, certain.low, certain.high) == pytest.approx((0.255,) * 3, abs=0.002)
    changed = paired_difference([0, 0, 1, 1], [1, 0, 1, 0], seed=3)
    assert changed.mean == 0
    assert changed.low < 0 < changed.high


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30), st.integers(0))
def test_swapping_before_and_after_swaps_the_interval(
    pairs: list[tuple[bool, bool]], seed: int
) -> None:
    before, after = zip(*pairs, strict=True)
    there, back = paired_difference(before, after, seed), paired_difference(after, before, seed)
    assert there.mean == -back.mean
    assert there.low == pytest.approx(-back.high)
    assert there.low <= there.mean <= there.high


def test_calibration_error_by_hand() -> None:
    # Bin .9: two stated .95, one right: |.5 - .95| * 2. Bin .1: one stated .1, right: .9. Over 3.
    assert calibration_error([0.95, 0.95, 0.1], [True, False, True]) == pytest.approx(1.8 / 3)
    assert calibration_error([1.0, 1.0, 0.0], [True, True, False]) == 0.0
    # .7 lies in the bin that starts there, with .75: together |.5 - .725| * 2 / 2.
    assert calibration_error([0.7, 0.75], [True, False]) == pytest.approx(0.225)
    assert calibration_error([], []) is None


def test_mismatched_or_missing_values_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        estimate([], 0)
    with pytest.raises(ValueError, match="at least one"):
        proportion(0, 0)
    with pytest.raises(ValueError):
        paired_difference([1.0], [1.0, 0.0], 0)
    with pytest.raises(ValueError, match="1 confidences for 2 outcomes"):
        calibration_error([0.5], [True, False])
