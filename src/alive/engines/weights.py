"""Loads whole models, and writes them: safetensors, no remote code, causal LMs only."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from alive.config import ComputeType
from alive.engines.checks import check_causal, check_finite, check_vocabulary, explained_fault
from alive.engines.lora import attach_adapters, merged
from alive.engines.models import config_at, read_config, tokenizer_at
from alive.engines.names import base_place, is_adapters, resolve
from alive.engines.quiet import quiet_transformers
from alive.engines.refusals import FAULTS, check_quantised, first_line
from alive.errors import ModelError

__all__ = ["load_model", "load_weights", "read_weights", "save_folder", "write_merged"]


def load_model(
    id: str,
    dtype: ComputeType = "float32",
    device: str = "cpu",
    *,
    bits: int = 16,
    whole: bool = False,
) -> tuple[Any, Any]:
    """Loads a causal language model and its tokenizer, in evaluation mode.

    Args:
        id: As ``resolve`` takes it. A folder of adapters loads with the base that it names.
        dtype: Of the weights.
        device: A torch device.
        bits: 4 loads the layers in 4 bits, by bitsandbytes, on a GPU.
        whole: Adapters found in the folder are merged into their base, for a model that trains.

    Returns:
        ``(model, tokenizer)``, a transformers ``PreTrainedModel`` (in PEFT's wrapper where a
        folder of adapters was named) and tokenizer.

    Raises:
        ModelError: The model is missing, pickle-only, needs remote code, is incomplete or torn,
            has no tokenizer, holds weights that are not numbers, or does not predict left to right.
    """
    named, where = resolve(id), base_place(id)
    adapters = Path(named) if is_adapters(named) else None
    with quiet_transformers():
        config = config_at(where)
        check_quantised(config)
        tokenizer = tokenizer_at(where)
        model = _load_weights(where, getattr(torch, dtype), bits, device)
        check_finite(where, model)
        if adapters is not None:
            model = attach_adapters(model, adapters)
            model = merged(model) if whole else model
    check_vocabulary(where, model, tokenizer)
    model = model.to(device) if bits == 16 else model
    check_causal(where, model)
    return model, tokenizer


def load_weights(
    model: Any, folder: Path, part: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> None:
    """Brings a model's weights back to those of a folder that ``save_folder`` wrote.

    Args:
        model: The model.
        folder: The folder.
        part: What the model holds of a whole weight that belongs to one of its own.
    """
    saved = read_weights(folder, model.dtype).state_dict()
    own = model.state_dict()
    model.load_state_dict({name: part(value, own[name]) for name, value in saved.items()})


def read_weights(folder: Path, dtype: torch.dtype) -> Any:
    """Returns the model of a folder that ``save_folder`` wrote, on the CPU, for its weights."""
    with quiet_transformers():
        return _load_weights(folder, dtype, 16, "cpu")


def save_folder(
    model: Any, tokenizer: Any, path: Path, weights: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Writes a folder that plain transformers loads: config, safetensors and tokenizer.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        path: The folder.
        weights: What is written of the model by name; None: its own.

    Raises:
        OSError: The disk refused; the caller decides what is at stake.
    """
    with quiet_transformers():
        model.save_pretrained(path, state_dict=weights)
        tokenizer.save_pretrained(path)


def write_merged(adapters: Path, path: Path) -> None:
    """Writes the whole model that a folder of adapters stands for.

    Adapters are merged on the CPU, layer by layer, in the type in which the base is stored.

    Raises:
        ModelError: The base is gone, or is not the adapters' own.
        OSError: The disk refused.
    """
    stored = getattr(read_config(str(adapters)), "dtype", None)
    dtype: ComputeType = "bfloat16" if stored == torch.bfloat16 else "float32"
    model, tokenizer = load_model(str(adapters), dtype, whole=True)
    save_folder(model, tokenizer, path)


def _load_weights(where: Path | str, dtype: torch.dtype, bits: int, device: str) -> Any:
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            where,
            dtype=dtype,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **(_four_bits(device) if bits == 4 else {}),
        )
    except SafetensorError as error:
        raise ModelError(
            f"the weights of {where} are damaged ({first_line(error)}); copy or download them again"
        ) from error
    except torch.OutOfMemoryError:
        raise
    except FAULTS as error:
        raise explained_fault(where, error) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"{where} lacks {len(missing)} of its weights ({missing[0]}, ...), which would be "
            "random; it is incomplete, or not a causal language model"
        )
    return model


def _four_bits(device: str) -> dict[str, Any]:
    if device != "cuda" or importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            "model.base_bits=4 needs a CUDA device and bitsandbytes: pip install "
            "'alive-rl[4bit]', or set model.base_bits=16"
        )
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_use_double_quant=True,
    )
    return {"quantization_config": config, "device_map": {"": 0}}
