"""Packed matrices compute what plain ones do, and follow what is learned."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
import torch
from tiny import llama, policy, record, sample
from tiny_lean import needs_packing

from alive.config import LearnConfig
from alive.engines import packing
from alive.engines.packing import PackedLinear, can_pack, pack, packable
from alive.protocols import Request, SamplingParams
from alive.types import Prompt

pytestmark = needs_packing

IDS = torch.tensor([[3, 1, 4, 1, 5]])


@pytest.fixture(autouse=True)
def _small_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LEAST", 1)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS).logits
        return found


def test_the_question_draws_no_random_number() -> None:
    state = torch.get_rng_state()
    assert can_pack.__wrapped__()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 3, 64, 200])
def test_a_product_by_hand(bias: bool, rows: int) -> None:
    linear = torch.nn.Linear(8, 4, bias=bias)
    with torch.no_grad():
        linear.weight.copy_(torch.arange(32.0).reshape(4, 8))
        if bias:
            linear.bias.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    inputs = torch.zeros(rows, 2, 8)
    inputs[:, 1, 2] = 10.0
    found = PackedLinear(linear, torch.float32)(inputs)
    added = torch.tensor([1.0, 2.0, 3.0, 4.0]) if bias else torch.zeros(4)
    assert found.shape == (rows, 2, 4)
    assert torch.equal(found[:, 0], added.expand(rows, 4))
    third = torch.tensor([20.0, 100.0, 180.0, 260.0])
    assert torch.equal(found[:, 1], (third + added).expand(rows, 4))


def test_bfloat16_is_rounded_once() -> None:
    linear = torch.nn.Linear(8, 4)
    inputs = torch.linspace(-1, 1, 24).reshape(3, 8)
    found = PackedLinear(linear, torch.bfloat16)(inputs)
    assert found.dtype == torch.bfloat16
    plain = inputs.bfloat16().float() @ linear.weight.bfloat16().float().T + linear.bias
    torch.testing.assert_close(found.float(), plain, atol=2e-2, rtol=1e-2)


def test_a_matrix_can_be_read_back() -> None:
    linear = torch.nn.Linear(8, 4)
    assert torch.equal(PackedLinear(linear, torch.float32).weight, linear.weight)


def test_another_matrix_takes_its_place() -> None:
    linear, other = torch.nn.Linear(8, 4), torch.nn.Linear(8, 4)
    packed = PackedLinear(linear, torch.float32)
    packed.load(other.weight, other.bias)
    inputs = torch.linspace(-1, 1, 24).reshape(3, 8)
    torch.testing.assert_close(packed(inputs), other(inputs))
    assert torch.equal(packed.weight, other.weight)
    packed.load(other.weight, None)
    torch.testing.assert_close(packed(inputs), inputs @ other.weight.T)


def test_a_packed_model_computes_the_same() -> None:
    model = llama()
    # Attention has 4 matrices, the feed-forward 3, in 2 layers; the head is one more.
    assert len(list(packable(model))) == 15
    expected = logits(model)
    pack(model, torch.float32)
    assert sum(isinstance(module, PackedLinear) for module in model.modules()) == 15
    assert not list(packable(model))
    torch.testing.assert_close(logits(model), expected, atol=1e-4, rtol=1e-5)


def test_from_some_size_on_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    small, large = (torch.nn.Linear(1024, rows) for rows in (511, 512))
    assert list(packable(torch.nn.Sequential(small, large))) == [large]


def test_a_layer_in_two_places_stays_one() -> None:
    model = torch.nn.Sequential(linear := torch.nn.Linear(8, 8), linear)
    pack(model, torch.float32)
    assert isinstance(model[0], PackedLinear)
    assert model[0] is model[1]


@pytest.mark.parametrize("rank", [0, 2])
def test_a_policy_samples_what_it_would_unpacked_and_learns(seed_tokenizer: Any, rank: int) -> None:
    learn = LearnConfig(learning_rate=1e-2)
    plain, packed = (
        policy(seed_tokenizer, learn=learn, rank=rank, choices={"packs": packs})
        for packs in (False, True)
    )
    requests = [
        Request(Prompt("solve", ids), 2, SamplingParams(6), seed)
        for seed, ids in enumerate([(5, 6, 7), (8, 9)])
    ]
    for _ in range(2):
        for one in (plain, packed):
            one.update([record((3, 4, 5), (6, 7, 9))], 1e-2)
            one.publish()
        first, second = (chain(*sample(one, *requests)) for one in (plain, packed))
        for left, right in zip(first, second, strict=True):
            assert left.completion_ids == right.completion_ids
            assert left.logprobs == pytest.approx(right.logprobs, abs=1e-3)


def test_small_matrices_and_a_lack_of_memory_leave_a_policy_as_it_is(
    seed_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert policy(seed_tokenizer, learn=LearnConfig()).choices["packs"]
    monkeypatch.setattr("alive.engines.local.reading.worth_packing", lambda *_: False)
    assert not policy(seed_tokenizer, learn=LearnConfig()).choices["packs"]
    monkeypatch.undo()
    small = policy(seed_tokenizer, learn=LearnConfig())
    assert not small.choices["packs"]
    # The sampler reads the very weights that train.
    read = small._sampler.decoder.model._base
    assert read is small.model
    assert not any(isinstance(module, PackedLinear) for module in read.modules())
