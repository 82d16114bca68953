"""LoRA adapters through PEFT, which is optional and imported on first use."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from alive.errors import ModelError

__all__ = ["merged_state", "save_adapters", "with_lora"]

_ADAPTER = "default"


def with_lora(model: Any, rank: int, alpha: float, seed: int = 0) -> Any:
    """Freezes a model and adds trainable low-rank adapters to each linear layer but the head.

    Args:
        model: A transformers causal LM.
        rank: Rank of the adapters, at least 1.
        alpha: Their scale; the update is ``alpha / rank`` times their product.
        seed: Of the adapters' first values; the product starts at zero.

    Returns:
        The model wrapped as a PEFT model.

    Raises:
        ModelError: PEFT is not installed, or the model has no layer to adapt.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ModelError(
            "model.lora_rank needs PEFT: pip install 'alive-rl[lora]', or set model.lora_rank=0"
        ) from error
    from transformers.pytorch_utils import Conv1D

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules="all-linear",
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        # PEFT still asks transformers for a property that transformers has renamed.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        torch.manual_seed(seed)
        try:
            return get_peft_model(model, config)
        except ValueError as error:
            raise ModelError(f"LoRA cannot adapt {type(model).__name__}: {error}") from error


def merged_state(model: Any) -> dict[str, torch.Tensor]:
    """Returns the base model's state dict with the adapters added in, leaving the model alone."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    base = model.get_base_model()
    state = {
        name.replace(".base_layer.", "."): tensor
        for name, tensor in base.state_dict().items()
        if ".lora_" not in name
    }
    for name, module in base.named_modules():
        if isinstance(module, BaseTunerLayer):
            delta = module.get_delta_weight(_ADAPTER)
            state[f"{name}.weight"] = module.get_base_layer().weight.detach() + delta.detach()
    return state


def save_adapters(
    shape: Path, tensors: Mapping[str, torch.Tensor], rank: int, alpha: float, base: str, to: Path
) -> None:
    """Writes adapters alone, as ``peft.PeftModel.from_pretrained`` takes them.

    The model around them is built without weights, so this costs no more memory than they do.

    Args:
        shape: A model folder whose ``config.json`` is the base model's.
        tensors: What ``LocalPolicy.tensors`` returned; moments in it are passed over.
        rank: Their rank.
        alpha: Their scale.
        base: What the written configuration calls the base model.
        to: An existing folder.

    Raises:
        ModelError: PEFT is not installed.
        OSError: The disk refused.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    prefix = "adapter."
    adapters = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    config = AutoConfig.from_pretrained(shape, trust_remote_code=False)
    with torch.device("meta"):
        build: Any = AutoModelForCausalLM.from_config
        model = with_lora(build(config, trust_remote_code=False), rank, alpha)
    model.load_state_dict(adapters, strict=False, assign=True)
    model.peft_config[_ADAPTER].base_model_name_or_path = base
    # Without the flag PEFT would ask the hub whether the vocabulary of the base has grown.
    model.save_pretrained(to, save_embedding_layers=False)
