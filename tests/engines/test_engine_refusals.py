"""What a configuration says against a model."""

import json
from pathlib import Path

import pytest
from transformers import (
    AutoConfig,
    BloomConfig,
    Gemma3Config,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    MptConfig,
    OPTConfig,
)

from alive.engines.refusals import check_quantised, max_positions
from alive.engines.shape import read_shape
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
