"""Activations that are computed again: the same gradients for less memory."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from tiny import gpt2, llama, policy, record

from alive.config import LearnConfig
from alive.engines.checkpointing import can_recompute, recomputed
from alive.engines.lora import with_lora
from alive.engines.memory import activation_bytes

IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6], [2, 7, 1, 8, 2, 8, 1, 8]])


def gradients(model: Any) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model(input_ids=IDS, labels=IDS, use_cache=False).loss.backward()
    return {n: w.grad.clone() for n, w in model.named_parameters() if w.requires_grad}


def adapted() -> Any:
    model = with_lora(llama(), rank=2, alpha=4.0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.1)
    return model


@pytest.mark.parametrize("make", [llama, gpt2, adapted])
@pytest.mark.parametrize("low", [False, True], ids=["float32", "bfloat16"])
def test_gradients_are_those_of_kept_activations_bit_for_bit(make, low: bool) -> None:
    model = make()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
        kept = gradients(model)
        with recomputed(model):
            again = gradients(model)
    assert kept.keys() == again.keys()
    for name in kept:
        assert torch.equal(kept[name], again[name]), name
        assert kept[name].abs().max() > 0


def test_fewer_bytes_are_kept() -> None:
    model = llama()
    kept = activation_bytes(model, nullcontext())
    with recomputed(model):
        assert activation_bytes(model, nullcontext()) < kept / 4


def test_the_layers_are_as_before_whatever_happens() -> None:
    model = llama()
    layers = list(model.model.layers)
    with pytest.raises(RuntimeError, match="torn"), recomputed(model):
        assert all("forward" in vars(layer) for layer in layers)
        raise RuntimeError("torn")
    assert not any("forward" in vars(layer) for layer in layers)


def test_a_model_of_other_layers_cannot() -> None:
    assert can_recompute(llama())
    assert not can_recompute(torch.nn.Linear(2, 2))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_policy_that_recomputes_takes_the_same_step(seed_tokenizer, dtype) -> None:
    begun = tuple(range(10, 40))
    records = [record((*begun, 40 + at), (50, 51, 52 + at)) for at in range(4)]
    ends = []
    for how in ("off", "on"):
        learn = LearnConfig(learning_rate=1e-3, checkpointing=how)
        learner = policy(seed_tokenizer, learn=learn, dtype=dtype)
        assert learner.choices["recomputes"] == (how == "on")
        ends.append((learner.update(records, 1e-3), learner.model.state_dict()))
    (kept, weights), (again, others) = ends
    close = 1e-4 if dtype == "float32" else 2e-2
    assert again.loss == pytest.approx(kept.loss, rel=close)
    assert again.grad_norm == pytest.approx(kept.grad_norm, rel=3 * close)
    assert again.tokens == kept.tokens
    if dtype == "float32":
        for name in weights:
            torch.testing.assert_close(weights[name], others[name], atol=1e-5, rtol=1e-3)


def test_auto_recomputes_where_activations_would_not_fit(seed_tokenizer, monkeypatch) -> None:
    place = "alive.engines.local.policy.free_bytes"
    monkeypatch.setattr(place, lambda device: 1 << 40)
    assert not policy(seed_tokenizer).choices["recomputes"]
    monkeypatch.setattr(place, lambda device: 1 << 20)
    assert policy(seed_tokenizer).choices["recomputes"]
    assert not policy(seed_tokenizer, learn=LearnConfig(checkpointing="off")).choices["recomputes"]
