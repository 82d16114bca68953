"""RFT, STaR and GRPO on an episode worked by hand."""

from __future__ import annotations

import pytest
from test_arm_alive import BAD, GOOD, HONEST_RIGHT, HONEST_WRONG, Board

from alive.arms.baselines import grpo, rft, star
from alive.prompts import make_renderer
from alive.types import Trained


@pytest.fixture(scope="module")
def renderer(seed_tokenizer):
    return make_renderer(seed_tokenizer)


@pytest.fixture
def board(renderer) -> Board:
    board = Board(renderer)
    board.add(HONEST_RIGHT, HONEST_WRONG, HONEST_WRONG, HONEST_WRONG)
    board.add(HONEST_WRONG, HONEST_WRONG, HONEST_WRONG, HONEST_WRONG)
    return board


def test_rft_imitates_right_attempts_under_the_prompt_they_were_sampled_from(
    board: Board, renderer
) -> None:
    [record], outcomes = rft(board.episode)
    rollout = board.attempts[0][0].rollout
    assert (record.role, record.prompt_ids) == ("solve", rollout.prompt.ids)
    assert (record.completion_ids, record.weight) == (renderer.complete(GOOD), 1.0)
    assert (record.task_id, record.attempt_index, record.loss) == ("task0", 0, "likelihood")
    assert record.sampling_logprobs == rollout.logprobs
    assert record.policy_version == rollout.policy_version
    assert outcomes["task0", 0, "solve"] == Trained(weight=1.0)
    assert outcomes["task1", 3, "solve"] == Trained(dropped="wrong")
    assert len(outcomes) == 8


def test_star_adds_what_was_right_after_the_hint_and_forgets_the_hint(
    board: Board, renderer
) -> None:
    hinted = board.revise(board.tasks[1], 2, GOOD, True)
    board.revise(board.tasks[1], 0, BAD, False)
    [right, added], outcomes = star(board.episode, renderer)
    assert right == rft(board.episode)[0][0]
    plain = renderer.solve(board.tasks[1].passage, None)
    assert (added.role, added.prompt_ids, added.weight) == ("solve", plain.ids, 1.0)
    assert added.completion_ids == hinted.completion_ids
    assert (added.task_id, added.attempt_index, added.loss) == ("task1", 2, "likelihood")
    assert outcomes["task1", 2, "revise"] == Trained(weight=1.0)
    assert outcomes["task1", 0, "revise"] == Trained(dropped="still wrong")
    assert outcomes["task1", 2, "solve"] == Trained(dropped="wrong")


def test_grpo_weighs_attempts_by_their_groups_advantage(board: Board, renderer) -> None:
    made, outcomes = grpo(board.episode)
    # Mean 1/4; the sample's standard deviation is 1/2.
    expected = [0.75 / 0.5001, *[-0.25 / 0.5001] * 3]
    assert [record.weight for record in made] == pytest.approx(expected)
    assert [record.completion_ids for record in made] == [
        renderer.complete(text) for text in (GOOD, BAD, BAD, BAD)
    ]
    assert made[1].sampling_logprobs == board.attempts[0][1].rollout.logprobs
    assert {record.loss for record in made} == {"policy_gradient"}
    assert outcomes["task0", 1, "solve"].weight == pytest.approx(expected[1])
    # Nobody solved the second task: its group says nothing.
    assert {outcomes["task1", i, "solve"] for i in range(4)} == {
        Trained(dropped="group without variance")
    }
