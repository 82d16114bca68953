"""The command that serves a model to a run, for this machine; vLLM lives in another environment."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from alive.errors import UserError

__all__ = ["Serving", "find_python", "serving"]

_SHARED = 0.4
"""Share of a GPU's memory that a server takes beside a learner on the same GPU."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How a model is served.

    Attributes:
        arguments: Of Python: vLLM's server and its options.
        environment: Variables that have to be set.
        notes: What a person should know of them.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    notes: tuple[str, ...]

    def line(self, python: str) -> str:
        """Returns the whole as a line for a shell."""
        said = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " ".join([*said, shlex.join([python, *self.arguments])])


def serving(model: str, port: int) -> Serving:
    """Works out how a model is served on this machine.

    Args:
        model: ``seed``, ``smollm2``, a folder, a hub id, or a run folder, whose newest checkpoint
            it is then.
        port: On loopback.

    Raises:
        ModelError: There is no such model.
        UserError: It is adapters alone, which have to be merged first.
    """
    from alive.config import ModelConfig
    from alive.engines.context import room
    from alive.engines.local.loading import compute_type
    from alive.engines.memory import free_bytes
    from alive.engines.names import is_adapters, resolve
    from alive.engines.shape import gpu_count
    from alive.store import is_run, newest_model

    place = newest_model(model) if is_run(model) else resolve(model)
    if is_adapters(place):
        raise UserError(
            f"{model} is adapters alone; merge them first: alive export RUN --to FOLDER, or serve "
            "their base, for `alive train` sends what it learns"
        )
    named = str(place.absolute() if isinstance(place, Path) else place)
    gpus = gpu_count()
    dtype = compute_type(ModelConfig(id=named), "cuda" if gpus else "cpu")
    options = ["--model", named, "--host", "127.0.0.1", "--port", str(port), "--dtype", dtype]
    if positions := room(named):
        options += ["--max-model-len", str(positions)]
    # What the model's folder advises to servers is no part of the policy.
    options += ["--enable-prefix-caching", "--generation-config", "vllm"]
    options += ["--logprobs-mode", "raw_logprobs"]
    environment = {"VLLM_SERVER_DEV_MODE": "1", "VLLM_NO_USAGE_STATS": "1"}
    notes = ["In developer mode whoever reaches the port can send weights: leave it on loopback."]
    if isinstance(place, Path):
        environment["HF_HUB_OFFLINE"] = "1"
    if gpus == 1:
        options += ["--gpu-memory-utilization", str(_SHARED)]
        notes.append("The learner shares the GPU; a server that has its own may take 0.9 of it.")
    elif gpus:
        environment["CUDA_VISIBLE_DEVICES"] = "1"
        notes.append("The learner takes the first GPU; this server the second.")
    else:
        cache = max(1, min(16, free_bytes("cpu") // 4 >> 30))
        environment |= {"VLLM_CPU_KVCACHE_SPACE": str(cache)}
        notes.append("Beside a learner on the same CPUs set OMP_NUM_THREADS, and model.threads.")
        notes.append(
            "On a CPU vLLM keeps the first head of a model whose embeddings are tied to it: train "
            "adapters (model.lora_rank) of such a model."
        )
    arguments = ("-m", "vllm.entrypoints.openai.api_server", *options)
    return Serving(arguments, environment, tuple(notes))


def find_python(given: str) -> str:
    """Returns the Python that has vLLM: what is given, or that whose ``vllm`` is on PATH.

    Raises:
        UserError: There is none.
    """
    if given:
        if not os.access(given, os.X_OK) or Path(given).is_dir():
            raise UserError(f"--python {given}: there is no such program")
        return given
    found = shutil.which("vllm")
    beside = Path(found).resolve().with_name("python") if found else None
    if beside is None or not beside.is_file():
        raise UserError(
            "no vllm is on PATH; name the Python of the environment that holds it: "
            "--python OTHER_ENV/bin/python (docs/serving.md)"
        )
    return str(beside)
