"""What a rank holds of a model that is sharded over N ranks: as torch lays it out, and as planned.

    python benchmarks/dry_run.py --ranks 8

The model is Qwen2.5-7B unless `--config FILE` names another's config.json. Its tensors are fake:
they have shapes and types, and no numbers, so neither weights nor memory nor GPUs are needed. The
process group is fake as well; this process is one rank of N. FSDP2 shards the layers and then the
rest, a forward and a backward pass gather and scatter for real, and torch's own tracker counts the
bytes. Ends with 1 where the plan is below what was counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

QWEN_7B = {
    # config.json of Qwen/Qwen2.5-7B.
    "model_type": "qwen2",
    "vocab_size": 152_064,
    "hidden_size": 3584,
    "intermediate_size": 18_944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "tie_word_embeddings": False,
}

TOKENS = 2
"""Of the pass: what it keeps of them is small beside the weights."""


@dataclass(frozen=True)
class Rank:
    """Bytes of one rank.

    Attributes:
        weights: Float32 shards.
        moments: Adam's two.
        gradients: Float32 shards.
        whole: What else a pass holds when it holds most: weights gathered, gradients to scatter.
    """

    weights: int
    moments: int
    gradients: int
    whole: int


def counted(values: dict[str, Any], ranks: int) -> Rank:
    """Shards a model over fake ranks and counts what one of them holds.

    Args:
        values: Of a config.json.
        ranks: How many.
    """
    import torch
    import torch.distributed as dist
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
    from transformers import AutoConfig, AutoModelForCausalLM

    rest = {key: value for key, value in values.items() if key != "model_type"}
    config = AutoConfig.for_model(values["model_type"], **rest)
    dist.init_process_group("fake", rank=0, world_size=ranks)
    try:
        mesh = init_device_mesh("cpu", (ranks,))
        precision = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        with FakeTensorMode(allow_non_fake_inputs=True):
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
            for layer in model.model.layers:
                fully_shard(layer, mesh=mesh, mp_policy=precision)
            # Embedding, norm and head are one group: a tied head may not be seen by two.
            fully_shard(model, mesh=mesh, mp_policy=precision)
            ids = torch.zeros((1, TOKENS), dtype=torch.long)
            tracker = FSDPMemTracker(model)
            tracker.track_inputs((ids,))
            with tracker:
                model(input_ids=ids, use_cache=False).logits.float().sum().backward()
            parameters = list(model.parameters())
            optimizer = torch.optim.AdamW(parameters, lr=1e-6)
            optimizer.step()
            moments = [
                state[name]
                for state in optimizer.state.values()
                for name in ("exp_avg", "exp_avg_sq")
            ]
            gradients = [parameter.grad for parameter in parameters]
            held = [local_bytes(some) for some in (parameters, moments, gradients)]
            peak = tracker.get_tracker_snapshot("peak")
    finally:
        dist.destroy_process_group()
    (kinds,) = peak.values()
    weights, moments_held, gradients_held = held
    # The optimiser was not there yet. Activations of so few tokens are next to nothing.
    return Rank(weights, moments_held, gradients_held, kinds["Total"] - weights - gradients_held)


def local_bytes(tensors: list[Any]) -> int:
    """Bytes of this rank's shards."""
    return sum(tensor.to_local().numel() * tensor.to_local().element_size() for tensor in tensors)


def planned(values: dict[str, Any], ranks: int) -> Rank:
    """What `alive plan` says of the same model."""
    from alive.engines.footprint import footprint
    from alive.engines.shape import ModelShape

    hidden, heads = values["hidden_size"], values["num_attention_heads"]
    kv_heads, wide = values["num_key_value_heads"], values["intermediate_size"]
    layers, vocabulary = values["num_hidden_layers"], values["vocab_size"]
    tied, width = values["tie_word_embeddings"], hidden // heads
    attention = 2 * hidden * hidden + 2 * hidden * kv_heads * width
    biases = hidden + 2 * kv_heads * width if values["model_type"] == "qwen2" else 0
    layer = attention + biases + 3 * hidden * wide + 2 * hidden
    parameters = layers * layer + (1 if tied else 2) * vocabulary * hidden + hidden
    shape = ModelShape(
        parameters, layers, hidden, wide, heads, kv_heads, width, vocabulary, tied=tied
    )
    parts = footprint(
        shape,
        rank=0,
        compute="bfloat16",
        pass_tokens=0,
        activation=0.0,
        recomputes=False,
        slice_bytes=0,
        cache=0,
        on_gpu=True,
        shards=ranks,
    )
    learning = parts.learning
    return Rank(
        parts.held["weights"],
        parts.held["Adam"],
        learning["gradients"],
        learning["weights gathered"] + learning["gradients to scatter"],
    )


def main() -> None:
    """Prints both, part by part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ranks", type=int, default=8)
    parser.add_argument("--config", type=Path, help="config.json of a model of the Llama kind")
    options = parser.parse_args()
    values = QWEN_7B
    if options.config:
        values = json.loads(options.config.read_text("utf-8"))
    there, plan = counted(values, options.ranks), planned(values, options.ranks)
    print(f"bytes of one of {options.ranks} ranks: counted, planned, planned / counted")
    short = False
    for name in ("weights", "moments", "gradients", "whole"):
        one, other = getattr(there, name), getattr(plan, name)
        short |= other < 0.999 * one
        print(f"{name}: {one:,}, {other:,}, {other / one:.3f}", flush=True)
    sys.exit(1 if short else 0)


if __name__ == "__main__":
    main()
