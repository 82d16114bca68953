"""Finds, checks, loads, names and saves models: safetensors, no remote code, causal LMs only."""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GenerationConfig,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from alive import doors
from alive.config import ComputeType
from alive.engines.checks import (
    check_causal,
    check_finite,
    check_folder,
    check_vocabulary,
    explained_fault,
)
from alive.engines.lora import ADAPTER_CONFIG, attach_adapters, base_name, merged
from alive.engines.quiet import quiet_transformers
from alive.engines.refusals import FAULTS, check_quantised, first_line
from alive.engines.smollm2 import smollm2_folder
from alive.errors import ModelError

__all__ = [
    "adapter_base",
    "base_of",
    "end_tokens",
    "load_model",
    "load_tokenizer",
    "load_weights",
    "read_config",
    "read_weights",
    "resolve",
    "save_folder",
    "stored_end_tokens",
    "write_merged",
]

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def resolve(id: str) -> Path | str:
    """Finds the model a name stands for.

    Args:
        id: A world's model (``seed``), ``smollm2`` (converted into the user's cache on first use),
            a folder, or a hub id (``name`` or ``organisation/name``).

    Returns:
        A folder, or the hub id when no such folder exists.

    Raises:
        ModelError: The folder does not exist, is a file, or the name cannot be a hub id.
    """
    if own := doors.models().get(id):
        if not (own.folder / "config.json").is_file():
            raise ModelError(
                f"the model {id!r} is missing from {own.folder}; rebuild it: {own.rebuilt_by}"
            )
        return own.folder
    if id == "smollm2":
        return smollm2_folder()
    path = Path(id).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise ModelError(
            f"{id} is a file, not a model folder; name the folder that holds config.json and "
            "*.safetensors"
        )
    if id.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(id):
        raise ModelError(
            f"no model folder {id!r}; name 'seed', 'smollm2', a folder with config.json and "
            "*.safetensors, or a hub id such as Qwen/Qwen2.5-0.5B"
        )
    # Before the hub is asked, which takes its time to say that there is no such model.
    if path.parent.name == "runs":
        raise ModelError(f"there is no run {id!r} here")
    near = difflib.get_close_matches(id, (*doors.models(), "smollm2"), n=1, cutoff=0.7)
    if near:
        raise ModelError(f"there is no model {id!r} (did you mean {near[0]}?)")
    return id


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
    named, where = resolve(id), _base_place(id)
    adapters = Path(named) if is_adapters(named) else None
    with quiet_transformers():
        config = _read_config(where)
        check_quantised(config)
        tokenizer = _load_tokenizer(where)
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


def read_config(id: str, *, cached: bool = False) -> Any:
    """Reads a model's configuration alone; of adapters that of their base.

    Args:
        id: As ``resolve`` takes it.
        cached: A hub id is looked for on this machine alone.

    Raises:
        ModelError: There is none, or it is not a causal language model's.
    """
    where = _base_place(id)
    with quiet_transformers():
        return _read_config(where, cached=cached)


def is_adapters(where: Path | str) -> bool:
    """Tells whether a place holds adapters alone."""
    return (
        isinstance(where, Path)
        and (where / ADAPTER_CONFIG).is_file()
        and not (where / "config.json").is_file()
    )


def adapter_base(id: str) -> str:
    """What adapters trained on a model name as their base: a name, a hub id or a whole path."""
    where = resolve(id)
    if is_adapters(where):
        return base_name(Path(where))
    if id in ("seed", "smollm2") or not isinstance(where, Path):
        return id
    return str(where.absolute())


def load_tokenizer(id: str) -> Any:
    """Loads a model's tokenizer alone.

    Raises:
        ModelError: There is none, or it cannot be used.
    """
    where = _base_place(id)
    with quiet_transformers():
        return _load_tokenizer(where)


def end_tokens(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Returns the ids at which a model's own settings end a completion.

    A lone id that is an ordinary piece of text is a default that nobody chose: an architecture's
    own, for a vocabulary that is not this one.
    """
    return _end_tokens(getattr(base_of(model), "generation_config", None), tokenizer)


def stored_end_tokens(id: str, tokenizer: Any) -> tuple[int, ...]:
    """Returns the same of a model whose weights are not loaded."""
    where = _base_place(id)
    with quiet_transformers():
        try:
            settings = GenerationConfig.from_pretrained(where)
        except OSError:  # none are stored: they follow from the configuration
            settings = GenerationConfig.from_model_config(_read_config(where))
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


def _base_place(id: str) -> Path | str:
    """Where the weights of a model are: of adapters, those of their base. A folder is checked."""
    where = resolve(id)
    if is_adapters(where):
        where = resolve(adapter_base(id))
    if isinstance(where, Path):
        check_folder(where)
    return where


def _read_config(where: Path | str, *, cached: bool = False) -> Any:
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


def _load_tokenizer(where: Path | str) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"the tokenizer of {where} cannot be read: {first_line(error)}") from error
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"the tokenizer of {where} has no end token; set eos_token in tokenizer_config.json"
        )
    return tokenizer


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
