"""Likelihoods against a naive loop, on both paths and two kinds of positions."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tiny import gpt2, llama, record

from alive.learn import prefix
from alive.learn.batch import micro_batches
from alive.learn.loss import completion_logprobs, likelihood_loss

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


def batched_loss(model, records, limit: int) -> torch.Tensor:
    return sum(
        likelihood_loss(completion_logprobs(model, batch), batch.weights)
        for batch in micro_batches(records, ROLES, 0, limit)
    )


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize("records", [SINGLE, SHARED, NESTED], ids=["single", "shared", "nested"])
def test_logprobs_equal_a_naive_loop(make, records) -> None:
    model = make()
    expected = {one.completion_ids: naive(model, one) for one in records}
    [batch] = micro_batches(records, ROLES, 0, 1000)
    assert (batch.prefix_ids is None) == (records is SINGLE)
    found = completion_logprobs(model, batch)
    assert found.shape == batch.ids.shape
    assert torch.isfinite(found).all()
    for row in range(len(records)):
        completion = tuple(batch.ids[row][batch.mask[row] == 1].tolist())
        got = found[row][batch.mask[row] == 1]
        torch.testing.assert_close(got, expected[completion], atol=1e-5, rtol=0)


def test_completions_of_one_token_need_no_second_pass() -> None:
    inner, passes = llama(), []

    def spy(**inputs):
        passes.append(inputs["input_ids"].shape)
        return inner(**inputs)

    records = [record((3, 4), (5,)), record((3, 4), (6,))]
    [batch] = micro_batches(records, ROLES, 0, 1000)
    found = completion_logprobs(spy, batch)
    assert passes == [(1, 2)]
    expected = torch.stack([naive(inner, one) for one in records])
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
def test_prompt_targets_carry_no_loss(shared: bool) -> None:
    """Logits that predict prompt tokens get exactly zero gradient."""
    grads: list[tuple[int, torch.Tensor]] = []
    inner = llama()

    def spy(**inputs):
        out = inner(**inputs)
        out.logits.register_hook(lambda grad: grads.append((grad.shape[1], grad)))
        return out

    prompt = (3, 4, 5, 6)
    records = [record(prompt, (7, 8)), record(prompt if shared else (1, 2), (9, 10))]
    [batch] = micro_batches(records, ROLES, 0, 1000)
    likelihood_loss(completion_logprobs(spy, batch), batch.weights).backward()
    rows = [[bool(step.any()) for step in row] for _, grad in grads for row in grad]
    if shared:  # the prompt's last prediction alone, and one from the token fed in each row
        assert rows == [[True], [True], [True]]
    else:  # rows (1 2 9 10 pad pad) and (3 4 5 6 7 8): kept logits start where 9 is predicted
        assert rows == [
            [True, True, False, False, False],
            [False, False, True, True, False],
        ]


def test_the_loss_is_minus_the_weighted_sum() -> None:
    logprobs = torch.tensor([[-1.0, -2.0], [-3.0, -4.0]])
    weights = torch.tensor([[0.5, 0.25], [-1.0, 0.0]])
    assert likelihood_loss(logprobs, weights).item() == pytest.approx(0.5 + 0.5 - 3.0)


def test_one_pass_and_many_have_the_same_gradient() -> None:
    model = llama()
    records = [record((3, 4, i), (5, 6, i + 1)) for i in range(7, 15)]
    one = gradients(model, batched_loss(model, records, 10_000))
    many = gradients(model, batched_loss(model, records, 1))
    for name in one:
        torch.testing.assert_close(one[name], many[name], atol=1e-6, rtol=1e-4)


def test_padding_never_reaches_the_loss() -> None:
    model = llama()
    losses = [
        sum(
            likelihood_loss(completion_logprobs(model, batch), batch.weights).item()
            for batch in micro_batches(SINGLE + SHARED[2:], ROLES, pad_id, 1000)
        )
        for pad_id in (0, 17)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_spies_are_plain_callables() -> None:
    """The loss asks a model for nothing but its forward pass."""
    fixed = torch.zeros(1, 3, 32)
    [batch] = micro_batches([record((1,), (2, 3))], ROLES, 0, 10)

    def uniform(**_):
        return SimpleNamespace(logits=fixed)

    found = completion_logprobs(uniform, batch)
    assert found[0, 1:].tolist() == pytest.approx([-3.4657359, -3.4657359])
