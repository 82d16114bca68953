"""Likelihoods against a naive loop, on both paths and two kinds of positions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import gpt2, llama, record

from alive.learn import prefix
from alive.learn.batch import MicroBatch, micro_batches
from alive.learn.loss import Forward, likelihood_loss

ROLES = {"pose": 0.2, "solve": 1.0, "review": 0.5, "revise": 0.5}
SINGLE = [
    record((3, 4, 5), (6, 7), 1.0, "solve"),
    record((8,), (9, 10, 11, 12), 0.5, "review"),
    record((1, 2, 3, 4, 5, 6), (7,), -0.5, "solve"),
]
SHARED = [
    record((3, 4, 5), (6, 7), 1.0, "solve"),
    record((3, 4, 5), (8,), 0.25, "solve"),
    record((9, 1, 2, 7, 7), (1, 2, 3), -0.5, "review"),
    record((9, 1, 2, 7, 7), (4, 0, 0, 0), 1.0, "review"),  # ends in the pad id
]
NESTED = [  # reviews continue the prompt of their attempt
    *SHARED,
    record((3, 4, 5, 6, 7, 2), (11, 12), 1.0, "review"),
    record((3, 4, 5, 8, 2), (13,), 1.0, "review"),
]


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any two tokens in common are shared, so that small records take the shared path."""
    monkeypatch.setattr(prefix, "LEAST", 2)


def naive(model, one) -> torch.Tensor:
    """[T] log-probabilities from one unpadded forward over prompt and completion."""
    ids = torch.tensor([one.prompt_ids + one.completion_ids])
    logits = model(input_ids=ids).logits[0, :-1]
    logprobs = torch.log_softmax(logits, -1).gather(-1, ids[0, 1:, None]).squeeze(-1)
    return logprobs[len(one.prompt_ids) - 1 :]


def naive_loss(model, records) -> torch.Tensor:
    """-sum_r lambda_r * (weighted sum of log-probabilities) / (weighted tokens), role by role."""
    total = torch.zeros(())
    for role in {one.role for one in records}:
        mine = [one for one in records if one.role == role]
        mass = sum(abs(one.weight) * len(one.completion_ids) for one in mine)
        total = total - ROLES[role] / mass * sum(
            one.weight * naive(model, one).sum() for one in mine
        )
    return total


def gradients(model, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters()}


def loss_of(forward: Forward, batch: MicroBatch) -> torch.Tensor:
    return likelihood_loss(forward.logprobs(batch), batch.weights[batch.mask.bool()])


def batched_loss(model, records, limit: int, share: bool = True, pad_id: int = 0) -> torch.Tensor:
    forward = Forward.of(model)
    return sum(
        loss_of(forward, batch)
        for batch in micro_batches(records, ROLES, pad_id, limit, share=share)
    )


def without_head(model) -> Forward:
    """As for a model whose logits have to be taken whole."""
    return Forward(model, None)


FORWARDS = pytest.mark.parametrize("forward_of", [Forward.of, without_head])


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize("records", [SINGLE, SHARED, NESTED], ids=["single", "shared", "nested"])
@FORWARDS
def test_logprobs_equal_a_naive_loop(make, records, forward_of) -> None:
    model = make()
    expected = {one.completion_ids: naive(model, one) for one in records}
    [batch] = micro_batches(records, ROLES, 0, 1000)
    assert (batch.prefix_ids is None) == (records is SINGLE)
    found = forward_of(model).logprobs(batch)
    assert found.shape == (sum(len(one.completion_ids) for one in records),)
    # Row by row.
    for row, got in enumerate(found.split(batch.mask.sum(-1).tolist())):
        completion = tuple(batch.ids[row][batch.mask[row] == 1].tolist())
        torch.testing.assert_close(got, expected[completion], atol=1e-5, rtol=0)


@FORWARDS
def test_completions_of_one_token_need_no_second_pass(forward_of) -> None:
    model, passes = llama(), []
    forward = forward_of(model)
    model.model.register_forward_pre_hook(
        lambda _, __, inputs: passes.append(inputs["input_ids"].shape), with_kwargs=True
    )
    records = [record((3, 4), (5,)), record((3, 4), (6,))]
    [batch] = micro_batches(records, ROLES, 0, 1000)
    found = forward.logprobs(batch)
    assert passes == [(1, 2)]
    expected = torch.cat([naive(model, one) for one in records])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("records", [SINGLE, SHARED, SINGLE[1:] + NESTED], ids=["1", "n", "both"])
def test_the_gradient_is_that_of_the_completions_alone(records) -> None:
    """The naive loss has no prompt target in it: equal gradients leave prompts without loss."""
    model = llama()
    expected = gradients(model, naive_loss(model, records))
    found = gradients(model, batched_loss(model, records, 1000))
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shared", [False, True])
@FORWARDS
def test_prompt_targets_carry_no_loss(shared: bool, forward_of) -> None:
    """States that predict prompt tokens get exactly zero gradient."""
    grads: list[torch.Tensor] = []
    model = llama()
    forward = forward_of(model)

    def spy(_: Any, __: Any, out: Any) -> None:
        out.last_hidden_state.register_hook(grads.append)

    model.model.register_forward_hook(spy)
    prompt = (3, 4, 5, 6)
    records = [record(prompt, (7, 8)), record(prompt if shared else (1, 2), (9, 10))]
    [batch] = micro_batches(records, ROLES, 0, 1000)
    loss_of(forward, batch).backward()
    rows = sorted([bool(step.any()) for step in row] for grad in grads for row in grad)
    if shared:  # the prompt's last state alone, and that of the token fed in each row
        assert rows == sorted([[False, False, False, True], [True], [True]])
    else:  # rows (1 2 9 10 pad pad) and (3 4 5 6 7 8), whose last place nothing follows
        assert rows == sorted(
            [[False, True, True, False, False], [False, False, False, True, True]]
        )


def test_the_loss_is_minus_the_weighted_sum() -> None:
    logprobs = torch.tensor([-1.0, -2.0, -3.0, -4.0])
    weights = torch.tensor([0.5, 0.25, -1.0, 0.0])
    assert likelihood_loss(logprobs, weights).item() == pytest.approx(0.5 + 0.5 - 3.0)


def test_one_pass_and_many_have_the_same_gradient() -> None:
    model = llama()
    records = [record((3, 4, i), (5, 6, i + 1)) for i in range(7, 15)]
    one = gradients(model, batched_loss(model, records, 10_000))
    many = gradients(model, batched_loss(model, records, 1))
    for name in one:
        torch.testing.assert_close(one[name], many[name], atol=1e-6, rtol=1e-4)


def test_beginnings_encoded_once_have_the_gradient_of_whole_rows() -> None:
    model = llama()
    shared = gradients(model, batched_loss(model, NESTED, 1000))
    whole = gradients(model, batched_loss(model, NESTED, 1000, share=False))
    for name in shared:
        torch.testing.assert_close(shared[name], whole[name], atol=1e-5, rtol=1e-4)


def test_padding_never_reaches_the_loss() -> None:
    model = llama()
    losses = [
        batched_loss(model, SINGLE + SHARED[2:], 1000, pad_id=pad_id).item() for pad_id in (0, 17)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_padding_takes_no_place_that_the_model_does_not_have() -> None:
    """Rows of 64, 64 and 4 tokens, two beginnings: 64 learned positions suffice."""
    model = gpt2()
    long, short = tuple(range(1, 31)) * 2, (1, 2, 40 % 32)
    records = [record(long, (5, 6, 7, 8)), record(long, (9,)), record((*short, 3), (4,) * 40)]
    records += [record((*short, 3), (6, 5)), record(long, (8, 8, 8, 8))]
    [batch] = micro_batches(records, ROLES, 0, 1000)
    assert batch.prefix_mask is not None
    assert int(batch.prefix_mask.sum(-1).max()) + batch.ids.shape[1] > 64
    found = Forward.of(model).logprobs(batch).split(batch.mask.sum(-1).tolist())
    expected = {one.completion_ids: naive(model, one) for one in records}
    for row, got in enumerate(found):
        completion = tuple(batch.ids[row][batch.mask[row] == 1].tolist())
        torch.testing.assert_close(got, expected[completion], atol=1e-5, rtol=0)
