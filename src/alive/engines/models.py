"""What is read of a model beside its weights: configuration, tokenizer, end tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from alive.engines.checks import explained_fault
from alive.engines.names import base_place
from alive.engines.quiet import quiet_transformers
from alive.engines.refusals import FAULTS, first_line
from alive.errors import ModelError

__all__ = [
    "base_of",
    "config_at",
    "end_tokens",
    "load_tokenizer",
    "read_config",
    "stored_end_tokens",
    "tokenizer_at",
]


def read_config(id: str, *, cached: bool = False) -> Any:
    """Reads a model's configuration alone; of adapters that of their base.

    Args:
        id: As ``resolve`` takes it.
        cached: A hub id is looked for on this machine alone.

    Raises:
        ModelError: There is none, or it is not a causal language model's.
    """
    where = base_place(id)
    with quiet_transformers():
        return config_at(where, cached=cached)


def load_tokenizer(id: str) -> Any:
    """Loads a model's tokenizer alone.

    Raises:
        ModelError: There is none, or it cannot be used.
    """
    where = base_place(id)
    with quiet_transformers():
        return tokenizer_at(where)


def end_tokens(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Returns the ids at which a model's own settings end a completion.

    A lone id that is an ordinary piece of text is a default that nobody chose: an architecture's
    own, for a vocabulary that is not this one.
    """
    return _end_tokens(getattr(base_of(model), "generation_config", None), tokenizer)


def stored_end_tokens(id: str, tokenizer: Any) -> tuple[int, ...]:
    """Returns the same of a model whose weights are not loaded."""
    where = base_place(id)
    with quiet_transformers():
        try:
            settings = GenerationConfig.from_pretrained(where)
        except OSError:  # none are stored: they follow from the configuration
            settings = GenerationConfig.from_model_config(config_at(where))
    return _end_tokens(settings, tokenizer)


def _end_tokens(settings: Any, tokenizer: Any) -> tuple[int, ...]:
    ids = getattr(settings, "eos_token_id", None)
    if isinstance(ids, Sequence):
        return tuple(int(one) for one in ids)
    special = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    return (int(ids),) if ids is not None and ids in special else ()


def base_of(model: Any) -> Any:
    """Returns the transformers model inside a PEFT wrapper; any other model as it is."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def config_at(where: Path | str, *, cached: bool = False) -> Any:
    """Reads the configuration at a place, as ``read_config``."""
    try:
        config = AutoConfig.from_pretrained(where, trust_remote_code=False, local_files_only=cached)
    except FAULTS as error:
        raise explained_fault(where, error) from error
    known: set[str] = set()
    for names in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        known.update([names] if isinstance(names, str) else names)
    named = getattr(config, "architectures", None) or []
    # A model of text and images is loaded for its text.
    wraps = config.get_text_config(decoder=True) is not config
    loadable = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if named and not known.intersection(named) and not (wraps and loadable):
        raise ModelError(
            f"{where} is a {named[0]} ({config.model_type}), not a causal language model; choose a "
            "...ForCausalLM model such as Qwen/Qwen2.5-0.5B"
        )
    return config


def tokenizer_at(where: Path | str) -> Any:
    """Loads the tokenizer at a place, as ``load_tokenizer``."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"the tokenizer of {where} cannot be read: {first_line(error)}") from error
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"the tokenizer of {where} has no end token; set eos_token in tokenizer_config.json"
        )
    return tokenizer
