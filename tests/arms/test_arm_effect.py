"""What words change in attempts, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_arm_alive import BAD, GOOD, HONEST_RIGHT, HONEST_WRONG, PASSAGE, Board

from alive.config import LearnConfig
from alive.effect import shifts, with_likelihoods
from alive.prompts import make_renderer
from alive.protocols import Likelihood
from alive.types import Trained


@pytest.fixture(scope="module")
def renderer(seed_tokenizer):
    return make_renderer(seed_tokenizer)


def told(board, records, outcomes, likelihoods):
    found = with_likelihoods([board.episode], outcomes, records, likelihoods, board.renderer)
    return {key: (one.plain_logprob, one.words_logprob) for key, one in found.items()}


def test_an_attempt_that_trained_under_words_and_plainly_is_known_under_both(renderer) -> None:
    board = Board(renderer)
    task = board.add(HONEST_RIGHT, HONEST_WRONG)
    board.revise(task, 1, GOOD, True)
    records, outcomes = board.records(LearnConfig(corrected_weight=1.0))
    plain = renderer.solve(PASSAGE, None).ids
    of = {"pose": -9.0, "review": -8.0}
    likelihoods = [
        Likelihood(
            of.get(one.role)
            or {("solve", 0): -1.0, ("solve", 1): -3.0}[one.role, one.attempt_index]
            if one.prompt_ids == plain or one.role in of
            else {"solve": -0.75, "revise": -2.0}[one.role]
        )
        for one in records
    ]
    assert told(board, records, outcomes, likelihoods) == {
        ("task0", 0, "solve"): (-1.0, -0.75),
        ("task0", 1, "solve"): (None, None),  # it did not train; the revision of it did
        ("task0", 1, "revise"): (-3.0, -2.0),
    }


def test_what_is_distilled_is_known_under_what_it_follows(renderer) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT, HONEST_WRONG)
    for source, under in (("review", -0.5), ("nothing", None)):
        learn = LearnConfig(distil_weight=1.0, distil_from=source)
        records, outcomes = board.records(learn, conditioned=False)
        likelihoods = [Likelihood(-1.0, -0.5 if one.loss == "distil" else None) for one in records]
        found = told(board, records, outcomes, likelihoods)
        # After nothing more there are no words that could change anything.
        assert found["task0", 1, "solve"] == (-1.0, under)
        assert found["task0", 0, "solve"] == (-1.0, None)  # the review of a wrong one is followed


def test_what_trained_under_words_alone_was_perhaps_sampled_plainly(renderer) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT, HONEST_WRONG, HONEST_WRONG)
    bare = renderer.solve(PASSAGE, None)
    first, second, third = board.attempts[0]
    board.attempts[0] = (
        first,
        second,
        replace(third, rollout=replace(third.rollout, prompt=bare, logprobs=(-0.5, -1.5))),
    )
    records, outcomes = board.records(LearnConfig(negative_weight=0.1))
    likelihoods = [Likelihood(-2.0) for _ in records]
    found = told(board, records, outcomes, likelihoods)
    assert found["task0", 1, "solve"] == (None, -2.0)
    assert found["task0", 2, "solve"] == (-1.0, -2.0)


def test_what_is_not_told_or_no_number_is_not_known(renderer) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT)
    records, outcomes = board.records()
    assert set(told(board, records, outcomes, ()).values()) == {(None, None)}
    nothing = [Likelihood(float("nan"), float("-inf"))] * len(records)
    assert set(told(board, records, outcomes, nothing).values()) == {(None, None)}


def test_a_beginning_of_an_attempt_is_not_the_attempt(renderer) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT)
    records, outcomes = board.records()
    cut = [replace(one, completion_ids=one.completion_ids[:2]) for one in records]
    likelihoods = [Likelihood(-1.0) for _ in records]
    assert set(told(board, cut, outcomes, likelihoods).values()) == {(None, None)}


def test_shifts_are_means_over_the_attempts_known_both_ways(renderer) -> None:
    board = Board(renderer)
    task = board.add(HONEST_RIGHT, HONEST_RIGHT, HONEST_WRONG, HONEST_WRONG)
    board.revise(task, 2, BAD, False)
    trained = {
        ("task0", 0, "solve"): Trained(plain_logprob=-1.0, words_logprob=-0.5),
        ("task0", 1, "solve"): Trained(plain_logprob=-1.0, words_logprob=-2.0),
        ("task0", 2, "solve"): Trained(words_logprob=-2.0),
        ("task0", 2, "revise"): Trained(plain_logprob=-3.0, words_logprob=-1.0),
    }
    assert shifts([board.episode], trained) == {"right": -0.25, "revised": 2.0}
    assert shifts([], {}) == {}
