"""What the guard says, and when, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from alive.watch.guard import RULES, WINDOW, Guard

SOUND = {
    "skipped": False,
    "pass_rate": 0.5,
    "answered": 1.0,
    "cut": 0.1,
    "reviews_cut": 0.0,
    "proposed": 3,
    "refused": {"too long": 1},
    "reviews_honest": 0.9,
    "reviews_unparsed": 0.0,
    "reviews_leaking": 0.0,
    "reviews_hollow": 0.1,
    "reviews_distinct": 0.9,
}
BROKEN: dict[str, dict[str, Any]] = {
    "almost no attempt is right": {"pass_rate": 0.0},
    "nearly every attempt is right": {"pass_rate": 1.0},
    "most attempts have no answer": {"answered": 0.4},
    "a tenth of the attempts are cut at the token limit; more room: sampling.solve_tokens": {
        "cut": 0.15
    },
    "a tenth of the reviews are cut at the token limit; more room: sampling.review_tokens": {
        "reviews_cut": 0.15
    },
    "nine of ten proposals are refused": {"proposed": 1, "refused": {"too long": 6, "taken": 4}},
    "most reviews do not parse": {"reviews_unparsed": 0.6, "reviews_honest": 0.4},
    "most reviews are deceptive": {"reviews_honest": 0.4},
    "a fifth of the reviews leak": {"reviews_leaking": 0.25},
    "most reviews are hollow: they recite their prompt, contradict themselves, or quote what is "
    "not there": {"reviews_hollow": 0.6},
    "most reviews are the same words": {"reviews_distinct": 0.4},
}
WORDS = {"reviews_hollow", "reviews_distinct"}
BARE = SOUND | {"reviews_honest": 0.0, "reviews_hollow": 0.0, "reviews_distinct": 0.0}
OLDER = {key: value for key, value in SOUND.items() if key not in WORDS}


def test_every_rule_is_tried() -> None:
    assert BROKEN.keys() == RULES.keys()


@pytest.mark.parametrize("said", BROKEN)
def test_a_rule_speaks_when_it_begins_and_when_it_is_over(said: str) -> None:
    guard = Guard()
    broken = SOUND | BROKEN[said]
    assert [guard.look(broken) for _ in range(WINDOW)] == [
        *[[]] * (WINDOW - 1),
        [f"{said} (last {WINDOW} steps)"],
    ]
    assert guard.look(broken) == []
    told = [line for _ in range(WINDOW) for line in guard.look(SOUND)]
    assert told == [f"no longer: {said}"]


def test_of_a_sound_run_nothing_is_said() -> None:
    guard = Guard()
    assert [guard.look(SOUND) for _ in range(3 * WINDOW)] == [[]] * 3 * WINDOW
    # An arm that reviews nothing is not told of its reviews.
    assert [guard.look(BARE) for _ in range(WINDOW)] == [[]] * WINDOW


@pytest.mark.parametrize("silent", [BARE, OLDER])
def test_of_words_of_reviews_only_the_steps_that_tell_of_them_count(silent: dict[str, Any]) -> None:
    """Those without reviews do not, nor those of an earlier version, which lack the counts."""
    guard = Guard()
    assert [guard.look(silent) for _ in range(WINDOW)] == [[]] * WINDOW
    assert guard.look(SOUND | {"reviews_hollow": 0.5, "reviews_distinct": 0.5}) == []
    assert guard.look(SOUND | {"reviews_hollow": 0.75, "reviews_distinct": 0.25}) == [
        f"{said} (last {WINDOW} steps)" for said in BROKEN if WORDS & BROKEN[said].keys()
    ]


def test_a_skipped_step_is_told_at_once() -> None:
    guard = Guard()
    assert guard.look(SOUND | {"skipped": True}) == [
        "the loss or its gradient was not finite, so the step was skipped"
    ]
    assert guard.look(SOUND) == []


def test_one_bad_step_is_no_sign() -> None:
    guard = Guard()
    for at in range(3 * WINDOW):
        assert guard.look(SOUND | {"pass_rate": 0.0 if at == WINDOW else 0.5}) == []
