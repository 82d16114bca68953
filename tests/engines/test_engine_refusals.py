"""What a configuration says against a model."""

import json
from pathlib import Path

import pytest
import tiny_models
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BloomConfig,
    Gemma3Config,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    MptConfig,
    OPTConfig,
    xLSTMConfig,
)

from alive.engines.footprint import activation_bytes_of
from alive.engines.refusals import check_quantised, explained, max_positions
from alive.engines.shape import read_shape
from alive.engines.weights import load_model
from alive.errors import ModelError


@pytest.mark.parametrize("method", ["gptq", "awq", "fp8", "mxfp4", "bitsandbytes", "something"])
def test_quantised_weights_are_refused_with_a_way_out(tmp_path: Path, method: str) -> None:
    LlamaConfig(quantization_config={"quant_method": method, "bits": 4}).save_pretrained(tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)

    with pytest.raises(ModelError, match=rf"quantised \({method}\).*quantised from") as refused:
        check_quantised(config)
    assert str(tmp_path) in str(refused.value)


def test_the_missing_package_is_named() -> None:
    config = LlamaConfig(quantization_config={"quant_method": "gptq"})

    with pytest.raises(ModelError, match="needs the package gptqmodel, which is not installed"):
        check_quantised(config)


def test_a_plan_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    settings = {"model_type": "llama", "quantization_config": {"quant_method": "gptq"}}
    (tmp_path / "config.json").write_text(json.dumps(settings))

    with pytest.raises(ModelError, match="quantised"):
        read_shape(str(tmp_path))


def test_a_quantised_text_model_inside_another_is_refused() -> None:
    config = Gemma3Config(text_config={"quantization_config": {"quant_method": "awq"}})

    with pytest.raises(ModelError, match="awq"):
        check_quantised(config)


def test_plain_weights_pass() -> None:
    check_quantised(LlamaConfig())
    check_quantised(Gemma3Config())


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        (GPT2Config(n_positions=64), 64),
        (LlamaConfig(max_position_embeddings=512), 512),
        (OPTConfig(max_position_embeddings=128), 128),
        (MptConfig(max_seq_len=96), 96),
        (Gemma3Config(text_config={"max_position_embeddings": 256}), 256),
        (BloomConfig(), None),
        (MambaConfig(), None),
    ],
)
def test_positions(config: object, positions: int | None) -> None:
    assert max_positions(config) == positions


def xlstm(folder: Path) -> Path:
    """A family that transformers runs only at lengths of whole chunks."""
    config = xLSTMConfig(
        vocab_size=32, hidden_size=32, num_heads=2, num_blocks=1, num_hidden_layers=1,
        chunk_size=64, mode="train",
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tiny_models.tokenizer().save_pretrained(folder)
    return folder


def test_a_family_that_cannot_be_run_is_refused_by_a_sentence(tmp_path: Path) -> None:
    folder = str(xlstm(tmp_path))

    with pytest.raises(ModelError, match=rf"{folder} cannot be run .*ValueError: Sequence length"):
        load_model(folder)
    with pytest.raises(ModelError, match="cannot be run"):
        activation_bytes_of(folder, read_shape(folder), 0, "float32")


@pytest.mark.parametrize("fault", [KeyError("x"), ImportError("needs a package"), TypeError()])
def test_whatever_a_family_raises_becomes_a_sentence(fault: Exception) -> None:
    said = rf"the model cannot be run .*{type(fault).__name__}"
    with pytest.raises(ModelError, match=said), explained("the model"):
        raise fault


def test_a_full_gpu_is_no_fault_of_the_family() -> None:
    with pytest.raises(torch.OutOfMemoryError), explained("the model"):
        raise torch.OutOfMemoryError


def test_sizes_that_do_not_belong_together_are_refused_by_a_sentence(tmp_path: Path) -> None:
    folder = tiny_models.save(tiny_models.llama(), tmp_path)
    settings = json.loads((folder / "config.json").read_text())
    settings["num_attention_heads"] = 3
    (folder / "config.json").write_text(json.dumps(settings))

    for read in (load_model, read_shape):
        with pytest.raises(ModelError, match="not a multiple of the number of attention heads"):
            read(str(folder))


def test_a_plan_of_a_family_that_cannot_be_built_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LlamaConfig().save_pretrained(tmp_path)

    def missing(*_: object, **__: object) -> None:
        raise ImportError("needs a package")

    monkeypatch.setattr(AutoModelForCausalLM, "from_config", missing)
    with pytest.raises(ModelError, match=r"size cannot be read \(needs a package\)"):
        read_shape(str(tmp_path))
