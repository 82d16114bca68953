"""What a model's folder and its loaded weights must satisfy before anything is done with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from alive.engines.refusals import explained, first_line
from alive.errors import ModelError

__all__ = [
    "check_causal",
    "check_finite",
    "check_folder",
    "check_vocabulary",
    "explained_fault",
]

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "*.tiktoken",
)


def check_folder(folder: Path) -> None:
    """Refuses a folder without configuration, safetensors weights or tokenizer.

    Raises:
        ModelError: Names what is missing.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} is not a model folder: it has no config.json")
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(file.name for kind in _PICKLES for file in folder.glob(kind))
        if pickles:
            raise ModelError(
                f"{folder} holds pickled weights only ({pickles[0]}), which can run code when "
                "read; convert them where you trust them: load with transformers, then "
                "model.save_pretrained(NEW_FOLDER) writes safetensors"
            )
        raise ModelError(f"{folder} has no weights: expected model.safetensors or its shards")
    if not any(True for name in _TOKENIZER_FILES for _ in folder.glob(name)):
        raise ModelError(
            f"{folder} has no tokenizer; save the model's own beside it: "
            "tokenizer.save_pretrained(FOLDER)"
        )


def check_finite(where: Path | str, model: Any) -> None:
    """Refuses weights that are not numbers, and names the first tensor that holds some.

    Raises:
        ModelError: There are some.
    """
    for name, weight in model.named_parameters():
        # A sum reads a tensor once; only where it is off is each number looked at.
        if weight.is_floating_point() and not torch.isfinite(weight.sum(dtype=torch.float32)):
            bad = int((~torch.isfinite(weight)).sum())
            if bad:
                raise ModelError(
                    f"{where}: {bad:,} of {weight.numel():,} numbers of {name} are not finite; "
                    "the file is damaged or its training diverged: take another checkpoint"
                )


def check_vocabulary(where: Path | str, model: Any, tokenizer: Any) -> None:
    """Refuses a tokenizer with more tokens than the model embeds.

    Raises:
        ModelError: It has more.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ModelError(
            f"{where}: the tokenizer has {len(tokenizer)} tokens but the model embeds {rows}; they "
            "do not belong together"
        )


def check_causal(where: Path | str, model: Any) -> None:
    """Refuses a model whose predictions depend on later tokens.

    Raises:
        ModelError: They do.
    """
    # Some encoders (BERT with a language-model head) answer to the causal interface but look ahead.
    # Change the last token: if predictions at the first move too, beyond rounding (mixtures of
    # experts and low precision have some), the model is one of them.
    ids = torch.tensor([[0, 1], [0, 2]], device=model.device)
    with torch.inference_mode(), explained(where):
        logits = model(input_ids=ids, use_cache=False).logits.float()
    first, last = (logits[0] - logits[1]).abs().amax(dim=-1).tolist()
    rounding = 1e-4 if model.dtype == torch.float32 else 1e-2
    if first > rounding * last:
        raise ModelError(
            f"{where} reads ahead ({type(model).__name__} without is_decoder): it is an encoder, "
            "not a causal language model"
        )


def explained_fault(where: Path | str, error: Exception) -> ModelError:
    """Says in a sentence why a model could not be read, and what to do about it."""
    text = str(error)
    if "custom code" in text:
        return ModelError(
            f"{where} needs code from its own repository, which ALIVE never runs; choose a model "
            "whose architecture transformers ships"
        )
    if isinstance(where, Path):
        return ModelError(f"{where} cannot be loaded: {first_line(error)}")
    if "safetensors" in text:
        return ModelError(
            f"{where} has no safetensors weights on the hub; convert a copy and name its folder"
        )
    return ModelError(
        f"no folder and no reachable hub model {where!r} ({first_line(error)}); check the spelling "
        "and the connection, or name a folder that holds the model"
    )
