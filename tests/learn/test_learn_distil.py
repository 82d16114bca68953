"""Distillation: the plain prompt follows what is written under the words."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from tiny import llama, record
from torch.nn.functional import log_softmax

from alive.config import LearnConfig
from alive.engines.follower import Follower
from alive.engines.lora import with_lora
from alive.learn.batch import micro_batches, token_weights
from alive.learn.loss import SHARPNESS, Forward
from alive.learn.update import make_optimiser, role_weights, update

CONFIG = LearnConfig(learning_rate=1e-2, distil_weight=2.0)
PLAIN, INFORMED, ATTEMPT = (3, 4, 5), (9, 8, 7, 3, 4, 5), (6, 7, 10)
TOLD = replace(record(PLAIN, ATTEMPT), loss="distil", informed_prompt_ids=INFORMED)
SHORT = replace(record((1, 2), (11,)), loss="distil", informed_prompt_ids=(2,))


def logits_after(model, prompt, completion) -> torch.Tensor:
    row = torch.tensor([[*prompt, *completion]])
    return model(input_ids=row).logits[0, len(prompt) - 1 : -1]


def divergence(model, teacher, one) -> torch.Tensor:
    """[T], by the definition."""
    told = log_softmax(
        logits_after(teacher, one.informed_prompt_ids, one.completion_ids) / SHARPNESS, -1
    )
    own = log_softmax(logits_after(model, one.prompt_ids, one.completion_ids), -1)
    return (told.exp() * (told - own)).sum(-1)


def step(model, optimiser, records, rate=1e-2, **more):
    return update(
        Forward.of(model), optimiser, records, CONFIG, learning_rate=rate, pad_id=0, **more
    )


@pytest.mark.parametrize("whole", [False, True], ids=["sliced head", "whole logits"])
def test_the_loss_is_the_mean_divergence(whole: bool) -> None:
    """Of 3 + 1 tokens, padded on either side; with its gradients."""
    model = llama()
    expected = torch.cat([divergence(model, model, one).detach() for one in (TOLD, SHORT)])
    naive = copy.deepcopy(model)
    frozen = copy.deepcopy(model)
    values = torch.cat([divergence(naive, frozen, one) for one in (TOLD, SHORT)])
    (CONFIG.distil_weight * values.mean()).backward()
    forward = Forward(model, None) if whole else Forward.of(model)
    kept = {}
    optimiser = make_optimiser(model, CONFIG)
    for name, weight in model.named_parameters():
        weight.register_hook(lambda grad, name=name: kept.__setitem__(name, grad.clone()))
    found = update(forward, optimiser, [TOLD, SHORT], CONFIG, learning_rate=1e-9, pad_id=0)
    assert found.role_loss == {"distil": pytest.approx(expected.mean().item(), rel=1e-5)}
    assert found.loss == pytest.approx(2 * expected.mean().item(), rel=1e-5)
    assert found.tokens == 4
    for one, likely in zip((TOLD, SHORT), found.likelihoods, strict=True):
        for prompt, told in (
            (one.prompt_ids, likely.plain),
            (one.informed_prompt_ids, likely.informed),
        ):
            own = log_softmax(logits_after(frozen, prompt, one.completion_ids), -1)
            wrote = own.gather(1, torch.tensor(one.completion_ids)[:, None])
            assert told == pytest.approx(wrote.mean().item(), rel=1e-5)
    for name, weight in naive.named_parameters():
        torch.testing.assert_close(kept[name], weight.grad, atol=1e-5, rtol=1e-3)


def test_a_prompt_follows_the_words() -> None:
    """Towards a teacher that stands still, until nothing is left to follow."""
    model = llama()
    follower = Follower(model, Forward.of(model), 0.0)
    optimiser = make_optimiser(model, CONFIG)
    losses = [step(model, optimiser, [TOLD], teacher=follower.teacher).loss for _ in range(60)]
    assert losses[-1] < 0.2 * losses[0]
    told = log_softmax(logits_after(llama(), INFORMED, ATTEMPT) / SHARPNESS, -1)
    own = log_softmax(logits_after(model, PLAIN, ATTEMPT), -1)
    assert (told.exp() - own.exp()).abs().max() < 0.25


def test_what_is_distilled_is_normalised_by_itself() -> None:
    """Beside it the mean over the attempts that are imitated stays as it was."""
    imitated = record(PLAIN, (6, 7))
    weights = role_weights(CONFIG)
    assert token_weights([imitated, TOLD, SHORT], weights) == [1 / 2, 2 / 4, 2 / 4]
    batches = list(micro_batches([imitated, TOLD, SHORT], weights, 0, 1000))
    assert [batch.informed is not None for batch in batches] == [False, True]
    (small,) = {b.ids.shape[0] for b in micro_batches([TOLD, SHORT], weights, 0, 5)}
    assert small == 1  # the pass under the words counts towards its size


def test_a_teacher_follows_at_its_pace_and_is_restored() -> None:
    model = llama()
    slow = Follower(model, Forward.of(model), 0.25)
    first = {name: value.clone() for name, value in model.named_parameters()}
    with torch.no_grad():
        for weight in model.parameters():
            weight += 1
    slow.step()
    taught = dict(slow.teacher.forward.model.named_parameters())
    for name, value in first.items():
        torch.testing.assert_close(taught[name], value + 0.25)
    saved = {name: value.clone() for name, value in slow.tensors().items()}
    slow.step()
    again = Follower(llama(), Forward.of(llama()), 0.25)
    again.restore(saved)
    for name, value in dict(again.teacher.forward.model.named_parameters()).items():
        torch.testing.assert_close(value, first[name] + 0.25)
    live = Follower(model, Forward.of(model), 1.0)
    assert live.teacher.forward.model is model
    assert live.tensors() == {}


@pytest.mark.parametrize("follow", [0.0, 0.5])
def test_the_teacher_of_adapters_shares_their_base(follow: float) -> None:
    model = with_lora(llama(), 2, 8.0, 0)
    follower = Follower(model, Forward.of(model), follow)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight += 0.5
    teacher = follower.teacher
    with torch.no_grad(), teacher.speaking():
        found = teacher.forward.model(input_ids=torch.tensor([[3, 4]])).logits
    torch.testing.assert_close(found, llama()(input_ids=torch.tensor([[3, 4]])).logits)
    bases = {id(p) for n, p in model.named_parameters() if "lora" not in n}
    held = {id(p) for n, p in teacher.forward.model.named_parameters() if "lora" not in n}
    assert held == bases
    assert len(follower.tensors()) == (
        len([n for n, _ in model.named_parameters() if "lora" in n]) if follow else 0
    )
