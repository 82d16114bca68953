"""What a model's configuration says against it, before a weight is read."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError

from alive.errors import ModelError

__all__ = ["FAULTS", "check_quantised", "explained", "first_line", "max_positions"]

FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    StrictDataclassError,
    TypeError,
    ValueError,
)
"""What a family's own code raises on sizes, lengths or packages that it was not written for."""

_READERS = {
    "gptq": "gptqmodel",
    "awq": "gptqmodel",
    "bitsandbytes": "bitsandbytes",
    "compressed-tensors": "compressed-tensors",
    "fp8": "",
    "mxfp4": "",
}
"""By method: the package that would read the weights."""


def check_quantised(config: Any) -> None:
    """Refuses weights that were quantised: they cannot be trained, nor adapters merged into them.

    Args:
        config: A transformers configuration.

    Raises:
        ModelError: Names the method and what to use instead.
    """
    written = _quantisation(config)
    if not written:
        return
    method = str(written.get("quant_method") or "an unnamed method").lower()
    package = _READERS.get(method, "")
    needs = ""
    if package and importlib.util.find_spec(package.replace("-", "_")) is None:
        needs = f", and reading them needs the package {package}, which is not installed"
    name = getattr(config, "_name_or_path", "") or "this model"
    raise ModelError(
        f"the weights of {name} are quantised ({method}){needs}; ALIVE trains and samples float32 "
        "and bfloat16 weights: name the folder or hub id it was quantised from (usually the same "
        "name without -GPTQ, -AWQ, -FP8 or -bnb-4bit), with model.lora_rank where memory is short"
    )


@contextmanager
def explained(name: object) -> Iterator[None]:
    """Around code of a family's own: what it raises becomes a sentence.

    Args:
        name: What the user calls the model.

    Raises:
        ModelError: The family cannot be built, or cannot be run as it is set.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except FAULTS as error:
        said = type(error).__name__ + (f": {first_line(error)}" if str(error).strip() else "")
        raise ModelError(
            f"{name} cannot be run by the transformers that is installed ({said}); choose a model "
            "of another family"
        ) from error


def first_line(error: Exception) -> str:
    """What an error says first, its own reason where it only wraps one."""
    told = error.__cause__ if isinstance(error, StrictDataclassError) else error
    lines = str(told or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def max_positions(config: Any) -> int | None:
    """Returns how many tokens a sequence may have; None where the configuration sets no end.

    A model with learned positions fails beyond them; one with rotary positions was trained no
    further, which comes to the same answers in a worse way.

    Args:
        config: A transformers configuration; one that nests a text model's is looked into.
    """
    text = config.get_text_config(decoder=True)
    # GPT-2's n_positions and Falcon's likes are mapped to the first name by transformers.
    for name in ("max_position_embeddings", "n_positions", "max_seq_len"):
        positions = getattr(text, name, None)
        if positions:
            return int(positions)
    return None


def _quantisation(config: Any) -> dict[str, Any]:
    for part in (config, config.get_text_config(decoder=True)):
        written = getattr(part, "quantization_config", None)
        if written:
            return dict(written if isinstance(written, dict) else written.to_dict())
    return {}
