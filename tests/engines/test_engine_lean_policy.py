"""A policy samples and learns through the lean pass of its model."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import tiny_models
import torch
from tiny import llama, policy, record, sample
from tiny_lean import BEGUN, CONFIG, FAMILIES, IMITATED, adapted, needs_packing
from torch.nn.functional import rms_norm

from alive.engines import packing
from alive.engines.lean import LeanDecoder, LeanModel, lean_decoder
from alive.engines.local import LocalPolicy
from alive.engines.local.layout import TOLERANCE, plain_logprobs
from alive.engines.lora import with_lora
from alive.engines.packing import PackedLinear
from alive.engines.precision import Precision
from alive.learn.batch import micro_batches
from alive.learn.loss import Forward
from alive.learn.update import role_weights
from alive.prompts import make_renderer
from alive.protocols import Request, SamplingParams
from alive.types import Prompt

PROMPTS = [(*BEGUN, 40), (*BEGUN, 41, 42), (*BEGUN, 43), (5, 6, 7), (9, 8)]


def greedy(model: Any, prompt: tuple[int, ...], stops: Any, tokens: int) -> tuple[int, ...]:
    """The likeliest tokens one by one, each after a pass over all before it."""
    written: tuple[int, ...] = ()
    while len(written) < tokens and not set(written[-1:]) & set(stops):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*prompt, *written]]), use_cache=False).logits
        written = (*written, int(logits[0, -1].argmax()))
    return written


def assert_packed(sampler: Any, packs: bool) -> None:
    """Whether the lean pass that a policy samples through reads packed matrices."""
    read = sampler._sampler.decoder.model
    assert isinstance(read, LeanModel)
    packed = any(isinstance(module, PackedLinear) for module in read._base.modules())
    assert packed == packs


@FAMILIES
@pytest.mark.parametrize(
    "how", ["learns", pytest.param("packs", marks=needs_packing), "adapters", "samples only"]
)
def test_greedy_tokens_are_the_likeliest(
    seed_tokenizer: Any, monkeypatch: pytest.MonkeyPatch, make, how: str
) -> None:
    if how == "packs":
        monkeypatch.setattr(packing, "LEAST", 1)
    model, size = make(len(seed_tokenizer)), len(seed_tokenizer)
    if how == "adapters":
        model = adapted(lambda: model)
    choices = {"packs": how == "packs"}
    if how == "samples only":  # puts layers of the model itself together
        renderer = make_renderer(seed_tokenizer)
        sampler = LocalPolicy(model, seed_tokenizer, renderer, choices=choices)
        model = make(size)
    else:
        sampler = policy(seed_tokenizer, model=model, choices=choices)
    assert_packed(sampler, how == "packs")
    requests = [
        Request(Prompt("solve", ids), 1, SamplingParams(8, temperature=0.0), at)
        for at, ids in enumerate(PROMPTS)
    ]
    for prompt, (rollout,) in zip(PROMPTS, sample(sampler, *requests), strict=True):
        stops = sampler.renderer.stop_ids
        assert rollout.completion_ids == greedy(model, prompt, stops, 8)
        expected = plain_logprobs(model, prompt, rollout.completion_ids)
        torch.testing.assert_close(torch.tensor(rollout.logprobs), expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("packs", [False, pytest.param(True, marks=needs_packing)])
def test_a_policy_samples_what_it_has_learned(
    seed_tokenizer: Any, monkeypatch: pytest.MonkeyPatch, rank: int, packs: bool
) -> None:
    """Of an update nothing is sampled until it is published; then all of it is."""
    monkeypatch.setattr(packing, "LEAST", 1)
    one = policy(seed_tokenizer, rank=rank, choices={"packs": packs})
    assert_packed(one, packs)
    request = Request(Prompt("solve", (5, 6, 7)), 2, SamplingParams(6), 3)
    for _ in range(2):
        for _ in range(3):
            one.update([record((5, 6, 7), (8, 9, 11))], 3e-2)
        one.publish()
        for rollout in sample(one, request)[0]:
            expected = plain_logprobs(one.model, (5, 6, 7), rollout.completion_ids)
            torch.testing.assert_close(torch.tensor(rollout.logprobs), expected, atol=2e-4, rtol=0)


@FAMILIES
@pytest.mark.parametrize("share", [True, False], ids=["shared", "whole"])
def test_bfloat16_rounds_by_no_more_than_sampling_may(make, share: bool) -> None:
    model, compute = make(), Precision("bfloat16", "cpu")
    own = Forward.of(model, torch.bfloat16)
    ours = Forward.of(model, torch.bfloat16, LeanDecoder(model, torch.bfloat16))
    for batch in micro_batches(IMITATED, role_weights(CONFIG), 0, 4096, share=share):
        with torch.no_grad(), compute.autocast():
            found, expected = ours.logprobs(batch), own.logprobs(batch)
        assert (found - expected).abs().max() <= TOLERANCE[torch.bfloat16]


@FAMILIES
@pytest.mark.parametrize("rank", [0, 2])
def test_a_bfloat16_base_has_a_lean_pass_too(make, rank: int) -> None:
    """As adapters are trained over; nothing warns."""
    model, compute = make().bfloat16(), Precision("bfloat16", "cpu")
    if rank:
        model = with_lora(model, rank, 4.0)
    with compute.autocast():
        found = lean_decoder(model, torch.bfloat16)
    assert found is not None


def test_norms_of_heads_are_computed_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of queries and keys of each of 2 layers, which a product gives in bfloat16."""
    types = []

    def seen(states: Any, shape: Any, weight: Any, epsilon: float) -> Any:
        if tuple(shape) == (16,):
            types.append((states.dtype, weight.dtype))
        return rms_norm(states, shape, weight, epsilon)

    monkeypatch.setattr(torch.nn.functional, "rms_norm", seen)
    compute, ids = Precision("bfloat16", "cpu"), torch.tensor([[3, 1, 4]])
    for model in (tiny_models.LEAN["qwen3"](), tiny_models.LEAN["qwen3"]().bfloat16()):
        with torch.no_grad(), compute.autocast():
            LeanDecoder(model, torch.bfloat16)(ids)
        assert types == [(torch.float32, torch.float32)] * 4
        types.clear()


def test_a_policy_that_only_samples_holds_its_matrices_once(seed_tokenizer: Any) -> None:
    """What was put together from others, or packed, leaves nothing of them behind."""
    model = llama(len(seed_tokenizer))
    parts = [
        weakref.ref(layer)
        for layer in model.modules()
        if isinstance(layer, torch.nn.Linear) and layer.in_features == 16
        and layer is not model.lm_head and layer.out_features != 16
    ]  # fmt: skip
    assert len(parts) == 2 * (2 + 2)  # keys, values, gate, up
    renderer = make_renderer(seed_tokenizer)
    sampler = LocalPolicy(model, seed_tokenizer, renderer, choices={"packs": False})
    gc.collect()
    assert isinstance(sampler._sampler.decoder.model, LeanModel)
    assert [part() for part in parts] == [None] * len(parts)
