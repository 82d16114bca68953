"""Ranks that learn one step together: the step of one process, up to rounding."""

from __future__ import annotations

import copy

import pytest
import torch
from ranks import on_ranks
from test_learn_update import CONFIG, RECORDS, step, weights_of
from tiny import llama, record

from alive.learn.replicas import Replicas
from alive.learn.update import make_optimiser

MORE = [
    *RECORDS,
    record((1, 2, 3), (4, 5, 6, 7), 0.5, "solve"),
    record((5, 6), (1,), -0.25, "solve"),
    record((9, 8, 7), (6, 5), 1.0, "revise"),
]


MODEL = llama()


def learned(records, ranks=None, steps: int = 3):
    model = copy.deepcopy(MODEL)
    optimiser = make_optimiser(model, CONFIG)
    more = {"replicas": Replicas(ranks)} if ranks else {}
    # Adam moves a weight as far for a gradient that is all rounding as for any other.
    stats = [step(model, optimiser, records, rate=1e-4, **more) for _ in range(steps)]
    return weights_of(model), stats


@pytest.mark.parametrize("size", [2, 3, 9])
def test_ranks_take_the_step_of_one_process(size: int) -> None:
    alone, told = learned(MORE)
    parts = on_ranks(size, lambda ranks: learned(MORE, ranks))
    for weights, stats in parts:
        for name, weight in weights.items():
            torch.testing.assert_close(weight, alone[name], rtol=1e-5, atol=1e-6)
            assert torch.equal(weight, parts[0][0][name])  # or the ranks would drift apart
        for one, other in zip(stats, told, strict=True):
            assert one.tokens == other.tokens == 15
            assert one.loss == pytest.approx(other.loss, rel=1e-5)
            assert one.role_loss == pytest.approx(other.role_loss, rel=1e-5)
            assert one.grad_norm == pytest.approx(other.grad_norm, rel=1e-4)
            assert [likely.plain for likely in one.likelihoods] == [
                pytest.approx(likely.plain, rel=1e-4) for likely in other.likelihoods
            ]
        assert [one.likelihoods for one in stats] == [one.likelihoods for one in parts[0][1]]


def test_each_batch_is_passed_through_on_one_rank() -> None:
    def mine(ranks):
        from alive.learn.batch import micro_batches
        from alive.learn.update import role_weights

        every = micro_batches(MORE, role_weights(CONFIG), 0, 8, parts=2)
        return [b.ids.tolist() for b, counts in Replicas(ranks).dealt(every) if counts]

    [alone] = on_ranks(1, mine)
    first, second = on_ranks(2, mine)
    assert sorted(first + second) == sorted(alone)
    assert first and second


def test_a_step_that_is_not_finite_on_one_rank_is_left_out_on_all() -> None:
    def work(ranks):
        model = copy.deepcopy(MODEL)
        optimiser = make_optimiser(model, CONFIG)
        if ranks.rank == 1:
            with torch.no_grad():
                model.lm_head.weight[0, 0] = float("nan")
        return step(model, optimiser, MORE, replicas=Replicas(ranks)).skipped

    assert on_ranks(2, work) == [True, True]


def test_a_weight_that_no_rank_has_a_gradient_for_is_left_alone() -> None:
    def work(ranks):
        unused = torch.nn.Parameter(torch.ones(2))
        used = torch.nn.Parameter(torch.ones(3))
        if ranks.rank == 1:
            used.grad = torch.tensor([1.0, 2.0, 3.0])
        Replicas(ranks).add_gradients([unused, used])
        return unused.grad, used.grad.tolist()

    assert on_ranks(2, work) == [(None, [1.0, 2.0, 3.0])] * 2
