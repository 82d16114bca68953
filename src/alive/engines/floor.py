"""What a machine could do with a model at most, and what share of that it does.

The floor of a stage is the shortest time that its arithmetic and its traffic with memory allow, at
the rates of a large product and a large copy on the same machine. Attention is left out of it: with
texts of some hundred tokens it is a few percent.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from alive import aio
from alive.config import LearnConfig, ModelConfig
from alive.protocols import Request, Sampler, SamplingParams
from alive.types import Prompt, TrainingRecord

__all__ = ["Machine", "Speeds", "Stage", "measure_machine", "measure_speeds"]

PROMPT, WIDTH, PASS = 128, 256, 32_768
"""Tokens of a prompt that is completed, of a record that is trained on, and of a training pass."""

_REPEATS, _ENOUGH = 5, 60.0
"""How often a stage is timed; after so many seconds it is not timed again."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Rates of a device.

    Attributes:
        device: What it is called.
        float32: Operations a second of a large product.
        bfloat16: The same in bfloat16.
        copy: Bytes a second, read and written.
    """

    device: str
    float32: float
    bfloat16: float
    copy: float

    def operations(self, dtype: str) -> float:
        """The rate of products in a type, ``float32`` or ``bfloat16``."""
        return self.bfloat16 if dtype == "bfloat16" else self.float32


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a step.

    Attributes:
        name: What is done.
        rate: Tokens a second, the median of up to five.
        floor: Tokens a second that the machine's rates allow.
    """

    name: str
    rate: float
    floor: float

    @property
    def share(self) -> float:
        """How much of the floor is reached, 0..1."""
        return self.rate / self.floor


@dataclass(frozen=True, slots=True)
class Speeds:
    """What a model does on a machine.

    Attributes:
        machine: The machine.
        parameters: All weights.
        trained: Those that train.
        dtype: What is computed in.
        stages: Sampling at several widths, and training.
        peak: Most bytes of tensors on a GPU; 0 on a CPU.
    """

    machine: Machine
    parameters: int
    trained: int
    dtype: str
    stages: tuple[Stage, ...]
    peak: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, the stages with their shares."""
        stages = [{**asdict(stage), "share": stage.share} for stage in self.stages]
        return {**asdict(self), "stages": stages}


def measure_machine(device: str) -> Machine:
    """Times large products and copies.

    Args:
        device: ``cpu`` or ``cuda``.
    """
    import torch

    size = 8192 if device == "cuda" else 1024
    rates = {}
    for dtype in (torch.float32, torch.bfloat16):
        left, right = (torch.randn(size, size, device=device).to(dtype) for _ in "ab")
        rates[dtype] = 2 * size**3 / _seconds(partial(torch.matmul, left, right), device)
    numbers = torch.randn(1 << (28 if device == "cuda" else 24), device=device)
    target = torch.empty_like(numbers)
    seconds = _seconds(lambda: target.copy_(numbers), device)
    name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU(s)"
    moved = 2 * numbers.nbytes / seconds
    return Machine(name, rates[torch.float32], rates[torch.bfloat16], moved)


def measure_speeds(
    model: ModelConfig,
    *,
    rows: Sequence[int] = (),
    new_tokens: int = 0,
    records: int = 0,
    begins: Callable[[str], None] = lambda stage: None,
) -> Speeds:
    """Loads a model, and times its sampling and its training; the weights are thrown away.

    Args:
        model: Which, and whether adapters train.
        rows: How many completions are drawn at a time; none: what suits the device.
        new_tokens: Of a completion, all of which go on to their limit; 0: what suits the device.
        records: How many are trained on, of ``WIDTH`` tokens, no two of which begin alike, in
            passes as wide as a GPU takes; 0: what suits the device.
        begins: Hears what is done next.

    Raises:
        ModelError: The model cannot be used.
    """
    from alive.engines.local import load_policy

    begins("loading the model")
    policy, _ = load_policy(model, LearnConfig(micro_batch_tokens=PASS))
    gpu = policy.model.device.type == "cuda"
    rows = rows or ((64, 256, 512) if gpu else (16, 64))
    new_tokens, records = new_tokens or (128 if gpu else 32), records or (128 if gpu else 4)
    device, dtype = policy.model.device.type, policy.choices["dtype"]
    begins("the machine")
    machine = measure_machine(device)
    sizes = _Sizes.of(policy.model)
    policy.endless()
    ids = tuple(5 + at % 90 for at in range(WIDTH))
    stages = []
    for count in rows:
        begins(f"sampling, {count} rows")
        request = Request(Prompt("solve", ids[:PROMPT]), count, SamplingParams(new_tokens), count)
        seconds = _seconds(partial(_complete, policy, request), device)
        floor = sizes.sampled(machine, dtype, count)
        stages.append(Stage(f"sampling, {count} rows", count * new_tokens / seconds, floor))
    begins("training")
    taught = [
        TrainingRecord("solve", (5 + at, *ids[1:PROMPT]), ids[PROMPT:], 1.0, "floor")
        for at in range(records)
    ]
    seconds = _seconds(lambda: policy.update(taught, 1e-6), device)
    floor = sizes.learned(machine, dtype, recomputed=policy.choices["recomputes"])
    stages.append(Stage("training", records * WIDTH / seconds, floor))
    peak = policy.usage.device_bytes
    return Speeds(machine, sizes.parameters, sizes.trained, dtype, tuple(stages), peak)


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Weights of a model: all of them, and those that train."""

    parameters: int
    trained: int

    @classmethod
    def of(cls, model: Any) -> _Sizes:
        weights = list(model.parameters())
        return cls(
            sum(weight.numel() for weight in weights),
            sum(weight.numel() for weight in weights if weight.requires_grad),
        )

    def sampled(self, machine: Machine, dtype: str, rows: int) -> float:
        """Tokens a second: two operations a weight and token, every weight read once for all."""
        width = 2 if dtype == "bfloat16" else 4
        products = 2 * self.parameters * rows / machine.operations(dtype)
        # What a copy moves is read and written; weights are read alone.
        return rows / max(products, self.parameters * width / machine.copy)

    def learned(self, machine: Machine, dtype: str, *, recomputed: bool) -> float:
        """Tokens a second: two operations a weight forward, two for inputs, two for what trains."""
        operations = (6 if recomputed else 4) * self.parameters + 2 * self.trained
        return machine.operations(dtype) / operations


def _complete(policy: Sampler, request: Request) -> None:
    aio.run(policy.sample(request))


def _seconds(call: Callable[[], Any], device: str) -> float:
    """The median of five calls after one that warms up; of fewer where they take long."""
    import torch

    taken: list[float] = []
    while len(taken) <= _REPEATS and sum(taken[1:]) < _ENOUGH:
        started = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])
