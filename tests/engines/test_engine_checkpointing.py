"""Activations that are computed again: the same gradients for less memory."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from tiny import gpt2, llama, policy, record
from tiny_models import gelu

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


@pytest.mark.parametrize("make", [llama, gelu], ids=["lean", "own"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_policy_that_recomputes_takes_the_same_step(seed_tokenizer, make, dtype) -> None:
    begun = tuple(range(10, 40))
    records = [record((*begun, 40 + at), (50, 51, 52 + at)) for at in range(4)]
    ends = []
    for how in ("off", "on"):
        learn = LearnConfig(learning_rate=1e-3, checkpointing=how)
        model = make(len(seed_tokenizer))
        learner = policy(seed_tokenizer, learn=learn, dtype=dtype, model=model)
        assert learner.choices["recomputes"] == (how == "on")
        assert (learner._forward.decoder is not None) == (make is llama)
        read: list[int] = []

        def count(_: Any, inputs: Any, read: list[int] = read) -> None:
            read.append(inputs[0].shape[:-1].numel())

        model.model.layers[0].mlp.down_proj.register_forward_pre_hook(count)
        stats = learner.update(records, 1e-3)
        # The beginning and what follows it in 4 rows, and both again from behind; or, since the
        # caches of transformers would grow a second time, whole rows without their last, twice.
        again = [30, 4 * 3, 4 * 3, 30] if make is llama else [4 * 33] * 2
        assert read == ([30, 4 * 3] if how == "off" else again)
        ends.append((stats, learner.model.state_dict()))
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


def test_a_model_without_a_known_head_recomputes_its_own_layers(seed_tokenizer) -> None:
    model, read = llama(len(seed_tokenizer)), []
    model.lm_head.register_forward_hook(lambda *args: torch.tanh(args[2]))
    learn = LearnConfig(learning_rate=1e-3, checkpointing="on")
    learner = policy(seed_tokenizer, model=model, learn=learn)
    assert learner._forward.head is None
    model.model.layers[0].mlp.down_proj.register_forward_pre_hook(lambda *_: read.append(1))
    learner.update([record((3, 4, 5), (6, 7, 9))], 1e-3)
    assert len(read) == 2
