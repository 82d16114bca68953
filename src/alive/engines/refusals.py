"""What a model's configuration says against it, before a weight is read."""

from __future__ import annotations

import importlib.util
from typing import Any

from alive.errors import ModelError

__all__ = ["check_quantised", "max_positions"]

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
