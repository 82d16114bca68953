"""Figures of a comparison from cells worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from alive.compare.tables import (
    Measured,
    compared,
    estimated,
    figures,
    hard,
    in_domain,
    out_of_domain,
    pass_at,
    pooled,
    transfer,
)

DOMAINS = {"a": "maths", "b": "maths", "c": "code", "d": "logic"}


def cell(trained_on: str, seed: int, sampled: dict[str, float], **more: Any) -> Measured:
    rows = [
        {
            "id": name,
            "domain": domain,
            "sampled": sampled[name],
            "worded": sampled[name],
            "correct": sampled[name] > 0.5,
            "verdict": None if name == "d" else name == "a",
            "score": None if name == "d" else 8.0 if name == "a" else 2.0,
            "revised_correct": True,
            "revision": "again" if name != "a" else None,  # the review calls all but one wrong
            **({"second_correct": name == "c", "empty_correct": False} if name != "a" else {}),
            **({"wide": more["wide"][name]} if name in more.get("wide", {}) else {}),
        }
        for name, domain in DOMAINS.items()
    ]
    counts = {"n_wrong": 2, "n_right": 2, "corrected": 1, "harmed": 0, "net": 0.25}
    result = {"self_correction": counts, "reviewer_j": 0.5, "reviewer": {"ece": 0.1}}
    return Measured(trained_on, seed, rows, result, more.get("summary", {}))


MATHS = cell("maths", 0, {"a": 1.0, "b": 0.5, "c": 0.25, "d": 0.0})
CODE = cell("code", 0, {"a": 0.5, "b": 0.5, "c": 1.0, "d": 0.5})


def test_in_and_out_of_domain_follow_what_a_cell_was_trained_on() -> None:
    inside = estimated([MATHS, CODE], in_domain("sampled"), 0)
    outside = estimated([MATHS, CODE], out_of_domain("sampled"), 0)
    assert inside is not None
    assert outside is not None
    assert (inside.n, inside.mean) == (3, pytest.approx((1.0 + 0.5 + 1.0) / 3))
    assert (outside.n, outside.mean) == (5, pytest.approx((0.25 + 0.0 + 0.5 + 0.5 + 0.5) / 5))
    assert inside.low <= inside.mean <= inside.high


def test_a_run_on_everything_has_no_outside() -> None:
    everything = cell("all", 0, dict.fromkeys(DOMAINS, 1.0))
    assert estimated([everything], out_of_domain("sampled"), 0) is None
    assert transfer([everything], [everything]) is None


def test_arms_are_paired_by_seed_and_problem() -> None:
    better = [cell("maths", s, {"a": 0.75, "b": 0.25, "c": 0.0, "d": 0.0}) for s in (0, 1)]
    worse = [cell("maths", s, {"a": 0.5, "b": 0.0, "c": 0.0, "d": 0.0}) for s in (0, 1)]
    found = compared(better, worse, in_domain("sampled"), 0)
    assert found is not None
    # Every pair differs by the same: paired, that is certain, however the problems are drawn.
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


def test_seeds_are_resampled_too() -> None:
    cells = [cell("maths", s, dict.fromkeys(DOMAINS, float(s))) for s in (0, 1)]
    found = estimated(cells, in_domain("sampled"), 0)
    assert found is not None
    assert (found.low, found.mean, found.high) == (0.0, 0.5, 1.0)


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [(4, 0, 2, 0.0), (4, 4, 1, 1.0), (4, 1, 1, 0.25), (4, 1, 2, 0.5), (4, 2, 3, 1.0)],
)
def test_pass_at_k_is_unbiased(n: int, c: int, k: int, expected: float) -> None:
    assert pass_at(n, c, k) == pytest.approx(expected)


def test_hard_problems_are_those_no_attempt_of_the_base_solves() -> None:
    flat = dict.fromkeys(DOMAINS, 0.0)
    base = [
        cell("all", 0, flat, wide={"a": 0, "b": 0, "c": 3}),
        cell("all", 1, flat, wide={"a": 0, "b": 1, "c": 0}),
    ]
    assert hard(base) == {"a"}
    arm = [cell("maths", 0, flat, wide={"a": 2, "b": 4, "c": 4})]
    found = figures(arm, base, 4, 0)
    assert found["unsolved by base"].mean == 0.5
    assert found["pass@1"].mean == pytest.approx((0.5 + 1 + 1) / 3)
    assert "pass@16" not in found


def test_transfer_is_the_gain_outside_over_the_gain_inside() -> None:
    base = [cell("all", 0, dict.fromkeys(DOMAINS, 0.25))]
    arm = [cell("maths", 0, {"a": 0.75, "b": 0.75, "c": 0.5, "d": 0.5})]
    assert transfer(arm, base) == pytest.approx(0.5)
    assert transfer(base, base) is None


def test_corrections_are_pooled_over_attempts() -> None:
    spent = {
        "steps": 2, "tokens_sampled": 30, "tokens_trained": 12, "seconds": 4.0,
        "proposed_share": 0.5,
    }  # fmt: skip
    found = pooled([MATHS, cell("code", 0, dict.fromkeys(DOMAINS, 0.0), summary=spent)])
    assert found["wrong made right"] == 0.5
    assert found["right made wrong"] == 0.0
    assert (found["reviewer J"], found["calibration error"]) == (0.5, pytest.approx(0.1))
    assert (found["tokens"], found["steps"], found["seconds"]) == (42, 2, 4.0)
    assert pooled([MATHS])["tokens"] is None


def test_controls_retry_what_the_review_calls_wrong_and_nothing_else() -> None:
    """Right at first: a of MATHS. Called wrong: all but a. A second sample solves c alone."""
    found = figures([MATHS], [MATHS], 4, 0)
    assert found["after self-correction"].mean == 1.0
    assert found["with a second sample instead"].mean == pytest.approx((1 + 0 + 1 + 0) / 4)
    assert found["with a content-free critique instead"].mean == pytest.approx(1 / 4)
    assert found["net of revising"].mean == pytest.approx(3 / 4)
    assert found["more than by a second sample"].mean == pytest.approx(2 / 4)
    assert found["more than by a content-free critique"].mean == pytest.approx(3 / 4)


def test_a_gain_that_all_problems_share_may_be_a_loss_elsewhere() -> None:
    nothing = cell("all", 0, dict.fromkeys(DOMAINS, 1.0))  # all right, before and after
    found = figures([nothing], [nothing], 4, 0)["net of revising"]
    assert found.mean == 0.0
    assert found.low == -found.high < 0


def test_the_judge_of_own_attempts() -> None:
    """CODE: c alone is right, and called wrong with a score of 2; a is called right, with 8."""
    found = pooled([CODE])
    assert found["reviewer J, own attempts"] == pytest.approx(0 / 1 - 1 / 3)
    assert found["reviewer AUC, own attempts"] == pytest.approx((0 + 0.5 + 1) / 3)
    all_right = pooled([cell("all", 0, dict.fromkeys(DOMAINS, 1.0))])
    assert all_right["reviewer J, own attempts"] is None
    assert all_right["reviewer AUC, own attempts"] is None


def test_accuracy_by_domain_wherever_a_cell_was_trained() -> None:
    found = figures([MATHS, CODE], [MATHS], 4, 0)
    assert found["maths, sampled"].mean == pytest.approx((1.0 + 0.5 + 0.5 + 0.5) / 4)
    assert found["code, sampled"].mean == pytest.approx((0.25 + 1.0) / 2)
    assert found["logic, greedy"].mean == 0.0
    alone = Measured("all", 0, [row for row in MATHS.rows if row["domain"] == "maths"], {}, {})
    assert not any(name.startswith("maths") for name in figures([alone], [alone], 4, 0))


def test_without_wide_attempts_there_is_no_pass_at_k() -> None:
    found = figures([MATHS], [MATHS], 64, 0)
    assert found["pass@64"] is None
    assert found["unsolved by base"] is None
    assert found["in-domain, greedy"].mean == 0.5  # a of a and b
