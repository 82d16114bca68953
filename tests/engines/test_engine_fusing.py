"""Layers that read the same are put together where they can be, and left alone where not."""

from __future__ import annotations

from typing import Any

import tiny_models
import torch
from tiny_lean import FAMILIES

from alive.engines.fusing import fuse, joined
from alive.engines.lora import with_lora


def test_matrices_stand_one_below_the_other_by_hand() -> None:
    one, two = torch.nn.Linear(2, 1), torch.nn.Linear(2, 2)
    with torch.no_grad():
        one.weight.copy_(torch.tensor([[1.0, 2.0]]))
        one.bias.copy_(torch.tensor([7.0]))
        two.weight.copy_(torch.tensor([[3.0, 4.0], [5.0, 6.0]]))
        two.bias.copy_(torch.tensor([8.0, 9.0]))
    weight, bias = joined([one, two], torch.bfloat16)
    assert weight.tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert bias is not None
    assert bias.tolist() == [7.0, 8.0, 9.0]
    assert weight.dtype == bias.dtype == torch.bfloat16
    assert not weight.requires_grad
    plain = [torch.nn.Linear(2, 1, bias=False)] * 2
    assert joined(plain, torch.float32)[1] is None


def names(attention: str, mlp: str) -> dict[str, tuple[str, ...]]:
    return {
        f"{attention}.qkv_proj": tuple(f"{attention}.{part}_proj" for part in "qkv"),
        f"{mlp}.gate_up_proj": (f"{mlp}.gate_proj", f"{mlp}.up_proj"),
    }


@FAMILIES
def test_parts_are_named_and_gone(make) -> None:
    model = make()
    before = {name: layer for name, layer in model.named_modules() if name.endswith("_proj")}
    fused = fuse(model, torch.float32)
    assert fused == {
        name: parts
        for at in (0, 1)
        for name, parts in names(f"model.layers.{at}.self_attn", f"model.layers.{at}.mlp").items()
    }
    kept = {name for name, _ in model.named_modules() if name.endswith("_proj")}
    gone = {part for parts in fused.values() for part in parts}
    assert kept == (before.keys() - gone) | fused.keys()
    for name, parts in fused.items():
        whole = model.get_submodule(name)
        inputs = torch.linspace(-1, 1, 64).reshape(2, 32)
        expected = torch.cat([before[part](inputs) for part in parts], -1)
        torch.testing.assert_close(whole(inputs), expected, atol=1e-5, rtol=1e-5)
        assert (whole.out_features, whole.in_features) == tuple(whole.weight.shape)
        assert not any(weight.requires_grad for weight in whole.parameters())


def test_layers_of_which_one_alone_has_a_bias_stay_apart() -> None:
    model = tiny_models.LEAN["llama"]()
    first = model.model.layers[0]
    first.self_attn.k_proj = torch.nn.Linear(32, 16, bias=True)
    first.mlp.gate_proj = torch.nn.Linear(32, 64, bias=True)
    fused = fuse(model, torch.float32)
    assert fused == names("model.layers.1.self_attn", "model.layers.1.mlp")
    assert {"q_proj", "k_proj", "v_proj", "o_proj"} == set(first.self_attn._modules)


class Doubled(torch.nn.Linear):
    """A layer that is more than its product."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(inputs)


def test_layers_of_another_class_stay_apart() -> None:
    model = tiny_models.LEAN["llama"]()
    model.model.layers[1].mlp.up_proj = Doubled(32, 64, bias=False)
    fused = fuse(model, torch.float32)
    assert "model.layers.1.mlp.gate_up_proj" not in fused
    assert len(fused) == 3


def test_layers_with_adapters_stay_apart() -> None:
    model: Any = with_lora(tiny_models.LEAN["qwen2"](), 2, 4.0)
    modules = [name for name, _ in model.named_modules()]
    assert fuse(model, torch.float32) == {}
    assert [name for name, _ in model.named_modules()] == modules


def test_a_family_that_has_no_such_layers_is_left_as_it_is() -> None:
    assert fuse(tiny_models.gpt2(), torch.float32) == {}
