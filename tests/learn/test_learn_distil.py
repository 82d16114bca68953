"""What a prompt with words teaches the prompt without: by hand, and against a naive loop."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tiny import llama, record

from alive.config import LearnConfig
from alive.learn import prefix
from alive.learn.batch import micro_batches
from alive.learn.loss import distillation_loss
from alive.learn.update import make_optimiser, update

PLAIN = [
    record((3, 4, 5), (6, 7, 2), 1.0, "solve"),
    record((3, 4, 5), (8, 2), 0.25, "solve"),
    record((9, 1), (5, 5, 5, 2), 0.5, "solve"),
]
TAUGHT = [
    replace(one, teacher_ids=words)
    for one, words in zip(PLAIN, [(1, 3, 4, 5), (1, 3, 4, 5, 6), (7, 7, 9, 1)], strict=True)
]


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any two tokens in common are shared, so that small records take the shared path."""
    monkeypatch.setattr(prefix, "LEAST", 2)


def distribution(model, prompt, completion) -> torch.Tensor:
    """[T, V] log-probabilities of each completion position."""
    logits = model(input_ids=torch.tensor([prompt + completion])).logits[0]
    return torch.log_softmax(logits[len(prompt) - 1 : -1], dim=-1)


def gradients(model, records, share: float, limit: int = 1000) -> dict[str, torch.Tensor]:
    """The gradients of one update, read before its step is taken."""
    found: dict[str, torch.Tensor] = {}

    class Reader(torch.optim.SGD):
        def step(self, closure=None):
            for name, weight in model.named_parameters():
                found[name] = weight.grad.clone()

    learn = LearnConfig(distil_share=share, micro_batch_tokens=limit, max_grad_norm=1e9)
    optimiser = Reader(model.parameters(), lr=0.0)
    update(model, optimiser, records, learn, learning_rate=0.0, pad_id=0)
    return found


def test_the_target_mixes_the_token_and_the_words() -> None:
    logprobs = torch.tensor([[0.5, 0.5]]).log()
    taught = torch.tensor([[0.8, 0.2]]).log()
    loss = distillation_loss(logprobs, taught, torch.tensor([1]), torch.tensor([2.0]), 0.25)
    divergence = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5)
    assert loss.item() == pytest.approx(2 * (0.75 * math.log(2) + 0.25 * divergence))


@pytest.mark.parametrize("limit", [1000, 1])
def test_gradients_equal_a_naive_loop(limit: int) -> None:
    model = llama()
    found = gradients(model, TAUGHT, 0.7, limit)
    mass = sum(one.weight * len(one.completion_ids) for one in TAUGHT)
    total = torch.zeros(())
    for one in TAUGHT:
        mine = distribution(model, one.prompt_ids, one.completion_ids)
        words = distribution(model, one.teacher_ids, one.completion_ids).detach().exp()
        sampled = torch.nn.functional.one_hot(torch.tensor(one.completion_ids), mine.shape[-1])
        target = 0.3 * sampled + 0.7 * words
        total = total - one.weight / mass * (target * mine).sum()
    model.zero_grad()
    total.backward()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(found[name], weight.grad, atol=1e-5, rtol=1e-4)


def test_without_a_share_it_is_imitation() -> None:
    expected = gradients(llama(), PLAIN, 0.0)
    found = gradients(llama(), TAUGHT, 0.0)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=1e-4)


def test_a_prompt_has_nothing_to_teach_itself() -> None:
    alike = [replace(one, teacher_ids=one.prompt_ids) for one in PLAIN]
    found = gradients(llama(), alike, 1.0)
    assert max(grad.abs().max().item() for grad in found.values()) < 1e-6


def test_no_pass_mixes_what_is_taught_with_what_is_not() -> None:
    batches = list(micro_batches([*PLAIN, *TAUGHT], {"solve": 1.0}, 0, 1000))
    assert [batch.teacher is None for batch in batches] == [True, False]
    batch = batches[1]
    assert batch.teacher is not None
    mine = [row[m.bool()].tolist() for row, m in zip(batch.ids, batch.mask, strict=True)]
    other = batch.teacher
    theirs = [row[m.bool()].tolist() for row, m in zip(other.ids, other.mask, strict=True)]
    assert mine == theirs


def test_taught_tokens_count_twice_and_the_plain_prompt_follows_the_words() -> None:
    model = llama()
    learn = LearnConfig(distil_share=1.0, learning_rate=1e-2)
    optimiser = make_optimiser(model, learn)

    def divergence() -> float:
        total = 0.0
        with torch.no_grad():
            for one in TAUGHT:
                mine = distribution(model, one.prompt_ids, one.completion_ids)
                words = distribution(model, one.teacher_ids, one.completion_ids)
                total += (words.exp() * (words - mine)).sum().item()
        return total

    before = divergence()
    for _ in range(10):
        stats = update(model, optimiser, TAUGHT, learn, learning_rate=1e-2, pad_id=0)
    assert stats.tokens == 2 * sum(len(one.completion_ids) for one in TAUGHT)
    assert divergence() < 0.7 * before
