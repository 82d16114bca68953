from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alive.evaluation.statistics import calibration_error, estimate, paired_difference


def test_the_interval_is_that_of_a_binomial() -> None:
    # 30 right of 100: the standard error is sqrt(.3 * .7 / 100) = 0.0458.
    found = estimate([True] * 30 + [False] * 70, seed=1)
    assert (found.n, found.mean) == (100, 0.3)
    spread = 1.96 * math.sqrt(0.3 * 0.7 / 100)
    assert found.low == pytest.approx(0.3 - spread, abs=0.015)
    assert found.high == pytest.approx(0.3 + spread, abs=0.015)
    assert found == estimate([True] * 30 + [False] * 70, seed=1)


def test_a_large_suite_is_resampled_in_blocks() -> None:
    found = estimate([0.0, 1.0] * 5_000, seed=1)
    assert found.mean == 0.5
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.5 / math.sqrt(10_000), rel=0.1)


def test_without_variation_there_is_no_width() -> None:
    assert (estimate([1.0], 0).low, estimate([1.0], 0).high) == (1.0, 1.0)


def test_a_paired_difference_resamples_problems() -> None:
    # The same gain on every problem is certain, however much the problems differ.
    certain = paired_difference([0, 0.5] * 20, [0.25, 0.75] * 20, seed=3)
    assert (certain.mean, certain.low, certain.high) == (0.25, 0.25, 0.25)
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
    with pytest.raises(ValueError):
        paired_difference([1.0], [1.0, 0.0], 0)
    with pytest.raises(ValueError, match="1 confidences for 2 outcomes"):
        calibration_error([0.5], [True, False])
