"""A name for a model by what it computes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch

from alive.engines.models import base_of

__all__ = ["identity"]


def identity(model: Any, tokenizer: Any) -> str:
    """Names a model by what it computes: architecture, tokenizer and every weight.

    Two loads of one folder in one dtype agree; another weight, token or layer size does not. Take
    it before adapters are added or a step is taken. Cost: one pass over the weights (about 1 GB/s).

    Returns:
        32 hex digits.
    """
    config = {
        key: value
        for key, value in base_of(model).config.to_dict().items()
        # Where it was loaded from and by what, and what only a saved copy carries.
        if key not in {"_name_or_path", "transformers_version", "architectures", "dtype"}
    }
    digest = hashlib.blake2b(digest_size=16)
    digest.update(type(base_of(model)).__name__.encode())
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    digest.update(_tokenizer_bytes(tokenizer))
    for name, tensor in sorted(base_of(model).state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().contiguous().cpu().flatten()
        digest.update(memoryview(flat.view(torch.uint8).numpy()))
    return digest.hexdigest()


def _tokenizer_bytes(tokenizer: Any) -> bytes:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        # Padding and truncation are call-time state in the fast tokenizers, not identity.
        serial = json.loads(backend.to_str())
        serial.pop("padding", None)
        serial.pop("truncation", None)
    else:
        serial = sorted(tokenizer.get_vocab().items())
    parts = [serial, tokenizer.chat_template, tokenizer.special_tokens_map]
    return json.dumps(parts, sort_keys=True, default=str).encode()
