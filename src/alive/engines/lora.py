"""LoRA adapters through PEFT, which is optional and imported on first use.

Adapters and their moments are float32 whatever the base. They are merged into the base on the CPU,
layer by layer, in the base's type, and only where a whole model is handed out.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from alive.errors import ModelError
from alive.learn.head import decoder_of

__all__ = [
    "ADAPTER_CONFIG",
    "attach_adapters",
    "base_name",
    "lean_adapters",
    "load_adapters",
    "merged",
    "save_adapters",
    "whole_state",
    "with_lora",
]

ADAPTER_CONFIG = "adapter_config.json"
"""Marks a folder of adapters, which names the base they belong to."""

_WEIGHTS = "adapter_model.safetensors"

_KERNELS_TAKE_WEIGHTS = {"falcon_h1", "mamba", "mamba2", "falcon_mamba", "nemotron_h"}
"""Model types whose ``out_proj`` PEFT refuses."""


def with_lora(model: Any, rank: int, alpha: float, seed: int = 0) -> Any:
    """Freezes a model and adds trainable low-rank adapters to each linear layer but the head.

    Args:
        model: A transformers causal LM.
        rank: Rank of the adapters, at least 1.
        alpha: Their scale; the update is ``alpha / rank`` times their product.
        seed: Of the adapters' first values; the product starts at zero.

    Returns:
        The model wrapped as a PEFT model, the adapters in float32.

    Raises:
        ModelError: PEFT is not installed, or the model has no layer to adapt.
    """
    peft = _peft()
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules="all-linear",
        exclude_modules=_unsuited(model) or None,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(), _quiet():
        torch.manual_seed(seed)
        try:
            return peft.get_peft_model(model, config, autocast_adapter_dtype=True)
        except ValueError as error:
            raise ModelError(f"LoRA cannot adapt {type(model).__name__}: {error}") from error


def save_adapters(model: Any, folder: Path, base: str) -> None:
    """Writes adapters alone, as ``peft.PeftModel.from_pretrained`` takes them.

    Args:
        model: A PEFT model.
        folder: An existing folder.
        base: What the written configuration calls the base model.

    Raises:
        OSError: The disk refused.
    """
    (config,) = model.peft_config.values()
    config.base_model_name_or_path = base
    # Without the flag PEFT would ask the hub whether the vocabulary of the base has grown.
    model.save_pretrained(folder, save_embedding_layers=False)


def load_adapters(model: Any, folder: Path) -> None:
    """Brings the adapters of a PEFT model back to what ``save_adapters`` wrote.

    Raises:
        ModelError: They are another model's, or of another rank.
    """
    from safetensors.torch import load_file

    state = load_file(folder / _WEIGHTS)
    try:
        report = _peft().set_peft_model_state_dict(model, state)
    except RuntimeError as error:
        raise ModelError(
            f"the adapters in {folder} do not belong to this model: {str(error).splitlines()[-1]}"
        ) from error
    if report.unexpected_keys:
        raise ModelError(
            f"the adapters in {folder} do not belong to this model: it has no "
            f"{report.unexpected_keys[0]}"
        )


def base_name(folder: Path) -> str:
    """The base model that a folder of adapters names.

    Raises:
        ModelError: It names none.
    """
    named = json.loads((folder / ADAPTER_CONFIG).read_text("utf-8")).get("base_model_name_or_path")
    if not named:
        raise ModelError(
            f"{folder / ADAPTER_CONFIG} names no base model; write its folder or hub id there as "
            "base_model_name_or_path"
        )
    return str(named)


def attach_adapters(model: Any, folder: Path) -> Any:
    """Returns a base model with the adapters of a folder on it, frozen.

    Raises:
        ModelError: PEFT is not installed, or the adapters do not belong to this base.
    """
    peft = _peft()
    with _quiet():
        try:
            return peft.PeftModel.from_pretrained(model, folder).eval()
        except (RuntimeError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(
                f"the adapters in {folder} do not fit {type(model).__name__} ({reason})"
            ) from error


def merged(model: Any) -> Any:
    """Merges the adapters of a PEFT model into its base, layer by layer, in the base's type.

    The model given is used up: call it on a copy that was loaded for this.
    """
    return model.merge_and_unload(progressbar=False)


@torch.no_grad()
def whole_state(
    model: Any, dtype: torch.dtype, whole: Callable[[torch.Tensor], torch.Tensor]
) -> dict[str, torch.Tensor]:
    """A model's weights by the names of its base, adapters merged, in one type, on the CPU.

    Sums are in float32. The model is left as it is; tensors that are tied stay one.

    Args:
        model: A transformers model, in PEFT's wrapper or not.
        dtype: Of the weights.
        whole: Returns a weight whole, where it is sharded.
    """
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    named = dict(base.named_modules())
    state: dict[str, torch.Tensor] = {}
    cast: dict[int, torch.Tensor] = {}
    for name, tensor in base.state_dict(keep_vars=True).items():
        owner, _, leaf = name.rpartition(".")
        if ".lora_" in f".{name}":
            continue
        adapted = owner.removesuffix(".base_layer")
        if id(tensor) not in cast:
            value = whole(tensor.detach())
            if adapted != owner and leaf == "weight":
                for adapter in named[adapted].active_adapters:
                    value = value.float() + named[adapted].get_delta_weight(adapter).float()
            kept = value.to("cpu", dtype if value.is_floating_point() else None)
            cast[id(tensor)] = kept.contiguous()
        state[f"{adapted}.{leaf}" if adapted else leaf] = cast[id(tensor)]
    return state


def lean_adapters(model: Any) -> None:
    """Lets adapters of a model that is only read add their product in one operation.

    PEFT's own pass multiplies, scales, adds and casts; for the few rows of a step of decoding that
    takes as long as the product with the base. Adapters of another kind are left as they are.

    Args:
        model: A PEFT model, in evaluation mode.
    """
    from peft.tuners.lora import Linear

    for module in model.modules():
        if type(module) is not Linear or module.merged or module.lora_variant:
            continue
        active = list(module.active_adapters)
        if len(active) == 1 and active[0] in module.lora_A and not module.lora_bias[active[0]]:
            module.forward = partial(_lean, module, active[0])


def _lean(module: Any, name: str, inputs: torch.Tensor) -> torch.Tensor:
    """[..., I] to [..., O]."""
    inner, outer = module.lora_A[name].weight, module.lora_B[name].weight
    inputs = inputs.to(inner.dtype)
    result: torch.Tensor = module.base_layer(inputs)
    narrow = torch.mm(inputs.reshape(-1, inputs.shape[-1]), inner.t())
    rows = result.view(-1, result.shape[-1])
    return rows.addmm_(narrow, outer.t(), alpha=module.scaling[name]).view(result.shape)


def _unsuited(model: Any) -> list[str]:
    """Names the linear layers that cannot have adapters, or should not.

    Outside the text decoder (of images, say) nothing is learned. PEFT refuses some state-space
    families, whose kernels take the weights of ``out_proj`` past its forward pass. A router of
    experts may be a linear layer by its class, and return more than its product.
    """
    decoder = {id(module) for module in decoder_of(model).modules()}
    past = model.config.model_type in _KERNELS_TAKE_WEIGHTS
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, (torch.nn.Linear, Conv1D))
        and module is not model.get_output_embeddings()
        and (
            id(module) not in decoder
            or (past and name.endswith(".out_proj"))
            or not _multiplies(module)
        )
    ]


@torch.no_grad()
def _multiplies(module: Any) -> bool:
    """Whether a layer of a family's own class returns its product and nothing else."""
    if not type(module).__module__.startswith("transformers.models."):
        return True
    weight = module.weight
    try:
        out = module(torch.zeros(1, weight.shape[1], dtype=weight.dtype, device=weight.device))
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False
    return isinstance(out, torch.Tensor) and out.shape == (1, weight.shape[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences what PEFT says of itself, not of the model."""
    with warnings.catch_warnings():
        # It still asks transformers for a property that transformers has renamed.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        # Its own pattern for fused experts names a parameter, and it looks among modules alone.
        unmatched = r"The following (rank|alpha)_pattern keys did not match"
        warnings.filterwarnings("ignore", unmatched, RuntimeWarning)
        yield


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise ModelError(
            "adapters need PEFT: pip install 'alive-rl[lora]', or set model.lora_rank=0"
        ) from error
    return peft
