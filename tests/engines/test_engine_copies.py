"""What samples reads copies of the matrices, which follow what is learned."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import gpt2, llama
from tiny_lean import needs_packing

from alive.engines import packing
from alive.engines.copies import SamplingCopy
from alive.engines.lean import LeanModel
from alive.engines.lora import with_lora
from alive.engines.packing import PackedLinear, packable
from alive.engines.precision import Precision

IDS = torch.tensor([[3, 1, 4, 1, 5]])


def parameters(model: Any) -> dict[str, torch.nn.Parameter]:
    return dict(model.named_parameters(remove_duplicate=False))


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS).logits
        return found


def learn(model: Any) -> None:
    """Moves what trains, and further where it is larger."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight += 0.05 * torch.sign(weight) + 0.1


@pytest.fixture
def small_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LEAST", 1)


@pytest.mark.parametrize("make", [llama, gpt2])
def test_a_copy_shares_all_but_the_matrices(make) -> None:
    model = make()
    made = SamplingCopy.of(model, torch.bfloat16)
    twin = made.model
    assert made.source is model
    assert not made.fused
    head = "lm_head.weight"
    for name, weight in parameters(model).items():
        copied = parameters(twin)[name]
        matrix = (
            weight.ndim == 2 and "embed" not in name and ".wte" not in name and ".wpe" not in name
        )
        if matrix or (make is gpt2 and name.endswith(".bias") and "ln_" not in name):
            assert copied.dtype == torch.bfloat16, name
            assert torch.equal(copied, weight.bfloat16())
            assert not copied.requires_grad
        else:
            assert copied is weight, name
        assert weight.dtype == torch.float32
    # Tied embeddings stay float32 where they embed; the head alone is a copy.
    assert parameters(model)[head] is model.get_input_embeddings().weight
    assert parameters(twin)[head].dtype == torch.bfloat16
    assert twin.get_input_embeddings().weight is model.get_input_embeddings().weight


def test_a_copy_computes_what_its_model_does_under_autocast() -> None:
    model = llama()
    twin = SamplingCopy.of(model, torch.bfloat16).model
    with Precision("bfloat16", "cpu").autocast():
        assert torch.equal(logits(model), logits(twin))


def test_a_copy_is_brought_up_to_date_in_place() -> None:
    model = llama()
    made = SamplingCopy.of(model, torch.bfloat16)
    twin = made.model
    place = twin.lm_head.weight.data_ptr()
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.25
    assert not torch.equal(twin.lm_head.weight, model.lm_head.weight.bfloat16())
    made.refresh()
    assert twin.lm_head.weight.data_ptr() == place
    for name, weight in parameters(model).items():
        copied = parameters(twin)[name]
        assert torch.equal(copied, weight.to(copied.dtype)), name


def test_biases_of_a_familys_own_layers_follow_too() -> None:
    model = gpt2()
    made = SamplingCopy.of(model, torch.bfloat16)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.25
    made.refresh()
    for name, weight in parameters(model).items():
        copied = parameters(made.model)[name]
        assert torch.equal(copied, weight.to(copied.dtype)), name


def test_what_is_bfloat16_already_costs_nothing() -> None:
    model = llama().bfloat16()
    twin = SamplingCopy.of(model, torch.bfloat16).model
    assert all(parameters(twin)[name] is weight for name, weight in parameters(model).items())


def test_a_put_together_copy_is_one_matrix_below_the_other() -> None:
    model = llama()
    made = SamplingCopy.of(model, torch.bfloat16, fuses=True)
    attention, mlp = "model.layers.1.self_attn", "model.layers.1.mlp"
    assert made.fused[f"{attention}.qkv_proj"] == (
        f"{attention}.q_proj",
        f"{attention}.k_proj",
        f"{attention}.v_proj",
    )
    assert made.fused[f"{mlp}.gate_up_proj"] == (f"{mlp}.gate_proj", f"{mlp}.up_proj")
    assert len(made.fused) == 4  # two in each of 2 layers
    whole = made.model.get_submodule(f"{attention}.qkv_proj").weight
    place = whole.data_ptr()
    for _ in range(2):
        own = model.model.layers[1].self_attn
        # Two query heads, a key head and a value head, of 8 each.
        assert torch.equal(whole[:16], own.q_proj.weight.bfloat16())
        assert torch.equal(whole[16:24], own.k_proj.weight.bfloat16())
        assert torch.equal(whole[24:], own.v_proj.weight.bfloat16())
        learn(model)
        made.refresh()
    assert whole.data_ptr() == place
    assert model.model.layers[0].self_attn.q_proj.weight.requires_grad


@needs_packing
@pytest.mark.usefixtures("small_ones_too")
def test_a_packed_copy_computes_the_same_and_follows() -> None:
    model = llama()
    made = SamplingCopy.of(model, torch.float32, packs=True)
    twin = made.model
    # Attention has 4 matrices, the feed-forward 3, in 2 layers; the head is one more.
    assert sum(isinstance(module, PackedLinear) for module in twin.modules()) == 15
    assert not list(packable(twin))
    assert len(list(packable(model))) == 15
    torch.testing.assert_close(logits(twin), logits(model), atol=1e-4, rtol=1e-5)
    before = logits(model)
    learn(model)
    made.refresh()
    assert (logits(model) - before).abs().max() > 0.01
    torch.testing.assert_close(logits(twin), logits(model), atol=1e-4, rtol=1e-5)


@needs_packing
@pytest.mark.usefixtures("small_ones_too")
@pytest.mark.parametrize("fuses", [False, True])
def test_what_is_frozen_is_loaded_once(monkeypatch: pytest.MonkeyPatch, fuses: bool) -> None:
    model = llama().requires_grad_(False)
    made = SamplingCopy.of(model, torch.float32, packs=True, fuses=fuses)
    # The feed-forward module has 2 matrices then in the place of 3, attention 2 in that of 4.
    packed = [module for module in made.model.modules() if isinstance(module, PackedLinear)]
    assert len(packed) == (2 * 4 if fuses else 2 * 7) + 1
    loaded: list[Any] = []
    monkeypatch.setattr(PackedLinear, "load", lambda layer, *_: loaded.append(layer))
    made.refresh()
    assert not loaded
    model.model.layers[1].self_attn.v_proj.requires_grad_(True)
    made.refresh()
    name = "qkv_proj" if fuses else "v_proj"
    assert loaded == [made.model.get_submodule(f"model.layers.1.self_attn.{name}")]


@pytest.mark.parametrize("fuses", [False, True])
def test_a_plain_matrix_that_is_frozen_is_not_written(fuses: bool) -> None:
    model = llama().requires_grad_(False)
    made = SamplingCopy.of(model, torch.bfloat16, fuses=fuses)
    copies = [w for name, w in parameters(made.model).items() if w.dtype == torch.bfloat16]
    versions = [weight._version for weight in copies]
    made.refresh()
    assert [weight._version for weight in copies] == versions


@needs_packing
@pytest.mark.usefixtures("small_ones_too")
@pytest.mark.parametrize("packs", [False, True])
@pytest.mark.parametrize("low", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("rank", [0, 2])
def test_a_lean_pass_over_a_copy_is_the_models_own(rank: int, low: bool, packs: bool) -> None:
    model = llama()
    if rank:
        model = with_lora(model, rank, 4.0)
    compute = Precision("bfloat16" if low else "float32", "cpu")
    made = SamplingCopy.of(model, compute.dtype, packs=packs, fuses=True)
    # Adapters read the parts apart.
    assert len(made.fused) == (0 if rank else 4)
    read = LeanModel(made.model, compute.dtype)
    close = 0.2 if low else 1e-4
    for _ in range(3):
        with compute.autocast():
            expected = logits(model)
            torch.testing.assert_close(logits(read), expected, atol=close, rtol=close / 10)
        learn(model)
        with compute.autocast():
            assert (logits(model) - expected).abs().max() > 3 * close
        made.refresh()
