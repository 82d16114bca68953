"""Adapters: float32 whatever the base, alone in their folder, merged where a whole is wanted."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from safetensors.torch import load_file, save_file
from tiny import built, policy, record
from transformers import (
    AutoModelForCausalLM,
    FalconConfig,
    Gemma3Config,
    Gemma3TextConfig,
    MambaConfig,
    MixtralConfig,
    PhimoeConfig,
    SiglipVisionConfig,
)

from alive.engines.copies import SamplingCopy
from alive.engines.lora import (
    attach_adapters,
    base_name,
    lean_adapters,
    load_adapters,
    merged,
    save_adapters,
    with_lora,
)
from alive.engines.models import load_tokenizer, read_config
from alive.engines.weights import load_model, save_folder
from alive.errors import ModelError

IDS = torch.tensor([[1, 5, 9, 4, 7, 2]])

SHAPE: dict[str, Any] = {
    "vocab_size": 32,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=IDS).logits


def adapters_of(model: Any) -> dict[str, torch.Tensor]:
    return {name: w.detach().clone() for name, w in model.named_parameters() if "lora_" in name}


def trained(model: Any, steps: int = 3) -> Any:
    """A model with adapters that differ from their start."""
    model = with_lora(model, rank=4, alpha=8.0, seed=3)
    optimiser = torch.optim.SGD([w for w in model.parameters() if w.requires_grad], lr=0.5)
    for _ in range(steps):
        optimiser.zero_grad()
        model(input_ids=IDS, labels=IDS).loss.backward()
        optimiser.step()
    return model.eval()


@pytest.mark.parametrize("make", [tiny_models.llama, tiny_models.gpt2])
def test_adapters_alone_train_and_start_at_nothing(make) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = with_lora(make(), rank=4, alpha=8.0, seed=3)
    names = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert names
    assert all("lora_" in name for name in names)
    assert not any("lm_head" in name for name in names)
    assert torch.allclose(logits(model), logits(make()))


@pytest.mark.parametrize("make", [tiny_models.llama, tiny_models.gpt2])
@pytest.mark.parametrize("low", [False, True])
def test_lean_ones_compute_the_same_in_fewer_operations(make, low: bool) -> None:
    model = trained(make())
    twin = SamplingCopy.of(model, torch.bfloat16 if low else torch.float32).model
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
        whole = logits(model)
        with model.disable_adapter():
            bare = logits(model)
        lean_adapters(twin)
        with torch.autograd.profiler.profile() as watched:
            found = logits(twin)
    assert (whole - bare).abs().max() > 0.1
    difference = (whole - found).abs().max()
    assert difference < (0.03 if low else 1e-5)
    counts = {event.key: event.count for event in watched.key_averages()}
    assert counts["aten::addmm_"] == sum("lora_A" in name for name in adapters_of(model)) > 3


@pytest.mark.parametrize("make", [tiny_models.llama, tiny_models.gpt2])
def test_merged_they_are_a_plain_model(make, tmp_path: Path) -> None:
    model = trained(make())
    expected = logits(model)
    assert (expected - logits(make())).abs().max() > 0.01
    save_folder(merged(model), tiny_models.tokenizer(), tmp_path)
    assert not (tmp_path / "adapter_config.json").exists()
    plain = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.allclose(logits(plain), expected, atol=1e-5)


def test_the_seed_decides_the_first_values_and_leaves_the_global_stream_alone() -> None:
    models = tiny_models.llama(), tiny_models.llama()
    torch.manual_seed(5)
    one = with_lora(models[0], rank=2, alpha=4.0, seed=1)
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    two = with_lora(models[1], rank=2, alpha=4.0, seed=1)
    assert torch.equal(torch.rand(1), expected)
    first, second = adapters_of(one), adapters_of(two)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_on_a_bfloat16_base_they_are_float32_and_saved_alone(tmp_path: Path) -> None:
    model = trained(tiny_models.llama().bfloat16())
    types = {"lora_" in name: set() for name, _ in model.named_parameters()}
    for name, weight in model.named_parameters():
        types["lora_" in name].add(weight.dtype)
    assert types == {True: {torch.float32}, False: {torch.bfloat16}}
    save_adapters(model, tmp_path, "base")
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert {value.dtype for value in saved.values()} == {torch.float32}
    assert all("lora_" in name for name in saved)
    whole = merged(model)
    assert {weight.dtype for weight in whole.parameters()} == {torch.bfloat16}


def test_saved_and_loaded_they_are_the_same_bits(tmp_path: Path) -> None:
    model = trained(tiny_models.llama())
    save_adapters(model, tmp_path, "org/base")
    assert base_name(tmp_path) == "org/base"
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (4, 8.0)
    other = with_lora(tiny_models.llama(), rank=4, alpha=8.0, seed=9)
    load_adapters(other, tmp_path)
    expected, found = adapters_of(model), adapters_of(other)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    attached = attach_adapters(tiny_models.llama(), tmp_path)
    assert torch.equal(logits(attached), logits(model))
    assert not any(weight.requires_grad for weight in attached.parameters())


def test_adapters_of_another_model_are_refused(tmp_path: Path) -> None:
    save_adapters(trained(tiny_models.gpt2()), tmp_path, "base")
    with pytest.raises(ModelError, match="do not belong to this model"):
        load_adapters(with_lora(tiny_models.llama(), rank=4, alpha=8.0), tmp_path)
    with pytest.raises(ModelError, match="do not fit LlamaForCausalLM"):
        attach_adapters(tiny_models.llama(), tmp_path)


def test_adapters_of_another_width_are_refused(tmp_path: Path) -> None:
    save_adapters(trained(tiny_models.llama()), tmp_path, "base")
    with pytest.raises(ModelError, match="do not"):
        load_adapters(with_lora(tiny_models.llama(), rank=2, alpha=8.0), tmp_path)
    with pytest.raises(ModelError, match="do not fit"):
        attach_adapters(wide_llama(), tmp_path)


def wide_llama() -> Any:
    config = tiny_models.llama().config
    config.intermediate_size *= 2
    return built(config)


def test_adapters_that_name_no_base_say_so(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="names no base model"):
        base_name(tmp_path)


@pytest.mark.parametrize("whole", [False, True])
def test_a_folder_of_adapters_is_a_model(tmp_path: Path, whole: bool) -> None:
    """What ``alive export --adapters`` writes can be evaluated and trained on."""
    base = tiny_models.save(tiny_models.llama(), tmp_path / "base")
    model = trained(tiny_models.llama())
    (tmp_path / "adapters").mkdir()
    save_adapters(model, tmp_path / "adapters", str(base))
    loaded, tokenizer = load_model(str(tmp_path / "adapters"), whole=whole)
    assert torch.allclose(logits(loaded), logits(model), atol=1e-5)
    assert hasattr(loaded, "peft_config") != whole
    assert not loaded.training
    assert len(tokenizer) == len(load_tokenizer(str(tmp_path / "adapters"))) == tiny_models.SIZE
    assert read_config(str(tmp_path / "adapters")).model_type == "llama"


def test_a_mixture_of_experts_trains_saves_and_resumes(seed_tokenizer, tmp_path: Path) -> None:
    def make() -> Any:
        config = MixtralConfig(
            vocab_size=len(seed_tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_local_experts=4,
            num_experts_per_tok=2,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
        )
        return policy(seed_tokenizer, model=built(config), rank=4)

    records = [record((5, 6, 7, 8), (9, 10, 11)), record((5, 6), (12, 13), role="review")]
    straight = make()
    losses = [straight.update(records, 1e-2).loss for _ in range(6)]
    assert losses[-1] < losses[0]
    straight.save(tmp_path)
    save_file(straight.tensors(), tmp_path / "state.safetensors")
    resumed = make()
    resumed.restore(tmp_path, load_file(tmp_path / "state.safetensors"), version=6)
    assert resumed.update(records, 1e-2) == straight.update(records, 1e-2)
    expected, found = adapters_of(straight.model), adapters_of(resumed.model)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def adapted_layers(model: Any) -> set[str]:
    """Names of the base's layers that have adapters."""
    return {
        name.removeprefix("base_model.model.").partition(".lora_")[0]
        for name, _ in model.named_parameters()
        if ".lora_" in name
    }


def test_routers_that_return_more_than_a_product_have_none() -> None:
    config = PhimoeConfig(**SHAPE, num_local_experts=4, num_experts_per_tok=2)
    model = with_lora(built(config), rank=2, alpha=2.0)
    layers = adapted_layers(model)
    assert "model.layers.0.self_attn.q_proj" in layers
    assert not any("router" in name for name in layers)
    assert logits(model).isfinite().all()


def test_a_familys_own_linear_layers_have_adapters() -> None:
    """FalconLinear is a class of its own, and multiplies."""
    config = FalconConfig(vocab_size=32, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    layers = adapted_layers(with_lora(built(config), rank=2, alpha=2.0))
    assert "transformer.h.0.self_attention.query_key_value" in layers


def test_a_state_space_model_has_adapters_where_its_kernels_allow() -> None:
    model = with_lora(
        built(MambaConfig(vocab_size=32, hidden_size=32, num_hidden_layers=1)), 2, 2.0
    )
    layers = adapted_layers(model)
    assert {"backbone.layers.0.mixer.in_proj"} < layers
    assert not any("out_proj" in name for name in layers)


def test_what_sees_images_has_none() -> None:
    vision = SiglipVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        image_size=28, patch_size=14,
    )  # fmt: skip
    text = Gemma3TextConfig(**SHAPE, head_dim=16)
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    layers = adapted_layers(with_lora(built(config), rank=2, alpha=2.0))
    assert layers
    assert all("language_model" in name for name in layers)
