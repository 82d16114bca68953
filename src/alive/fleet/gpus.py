"""GPUs that can be rented: memory, rates as their makers state them, and what an hour may cost."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from alive.errors import UserError

__all__ = ["GPUS", "MOST", "NODE", "Fleet", "Gpu", "parse_fleet"]

MOST = 1024
"""GPUs that are planned for at most."""

NODE = 8
"""GPUs of one machine; beyond them the network carries what ranks exchange."""

_RESERVED = 1 << 30
"""Bytes of each GPU that are not for tensors: the CUDA context, the buffers of collectives.
Inferred."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One kind of GPU.

    Attributes:
        name: As people call it.
        memory: Bytes that PyTorch reports of it.
        rate: Dense bfloat16 products, operations a second, by its data sheet.
        bandwidth: Of its memory, bytes a second, by its data sheet.
        link: Bytes a second, one way, to the GPUs of its machine: NVLink, else PCIe 4.0 x16.
        network: Bytes a second, one way, to other machines. Inferred: 400 Gb/s a GPU in usual
            machines of eight H100 or H200, 200 Gb/s in those of A100, 100 Gb/s in others.
        price: Dollars an hour.
        source: Where the price was read, and of when it is.
    """

    name: str
    memory: int
    rate: float
    bandwidth: float
    link: float
    network: float
    price: float
    source: str

    @property
    def available(self) -> int:
        """Bytes that tensors can have."""
        return self.memory - _RESERVED


def _gpu(
    name: str,
    gib: float,
    rate: float,
    bandwidth: float,
    link: float,
    network: float,
    price: float,
    source: str,
) -> Gpu:
    """Takes GiB, TFLOP/s, TB/s and GB/s."""
    return Gpu(
        name,
        int(gib * 2**30),
        rate * 1e12,
        bandwidth * 1e12,
        link * 1e9,
        network * 1e9,
        price,
        source,
    )


_INDEX = "aimultiple.com/gpu-index, median on demand, May 2026"
_MERCATUS = "mercatus-ai.com/blog/cloud-gpu-pricing, specialised providers, May 2026"
_ALLOC = "alloclabs.com/blog/a100-vs-h100-vs-l40s, lower end, February 2026"
_HUNT = "gpu-hunt.com/blog/best-gpu-for-ai-inference-2025, middle, 2025"

GPUS = {
    "H100": _gpu("H100 80GB", 79.1, 989, 3.35, 450, 50, 2.95, _INDEX),
    "H200": _gpu("H200 141GB", 139.7, 989, 4.8, 450, 50, 4.00, _MERCATUS),
    "A100": _gpu("A100 80GB", 79.1, 312, 2.04, 300, 25, 2.00, _ALLOC),
    "A100-40": _gpu("A100 40GB", 39.4, 312, 1.56, 300, 25, 1.50, _ALLOC),
    "L40S": _gpu("L40S 48GB", 44.4, 362, 0.86, 32, 12.5, 0.80, _ALLOC),
    "4090": _gpu("RTX 4090 24GB", 23.6, 165, 1.01, 32, 12.5, 0.60, _HUNT),
}
"""By the name that ``--gpus`` takes. Prices differ by provider and month: give your own."""

_ALIASES = {
    "H100-80": "H100",
    "H200-141": "H200",
    "A100-80": "A100",
    "L40S-48": "L40S",
    "RTX4090": "4090",
    "4090-24": "4090",
}

_FORM = re.compile(r"(?:(\d+)\s*[xX*]\s*)?([A-Za-z0-9][A-Za-z0-9 _-]*)")


@dataclass(frozen=True, slots=True)
class Fleet:
    """GPUs of one kind, a rank on each.

    Attributes:
        count: How many.
        gpu: What each is.
    """

    count: int
    gpu: Gpu

    def __str__(self) -> str:
        return f"{self.count} x {self.gpu.name}"

    @property
    def exchange(self) -> float:
        """Bytes a second, one way, between ranks: the slowest link a ring of them has."""
        return self.gpu.link if self.count <= NODE else self.gpu.network


def parse_fleet(text: str) -> Fleet:
    """Reads what ``--gpus`` was given, such as ``8xH100`` or ``A100-40``.

    Raises:
        UserError: It is of another form, names no GPU that is known, or too many.
    """
    known = ", ".join(GPUS)
    form = _FORM.fullmatch(text.strip())
    if form is None:
        raise UserError(f"--gpus {text}: write it as COUNTxNAME, such as 8xH100; there are {known}")
    name = re.sub(r"[ _]", "-", form[2].upper().removesuffix("GB"))
    name = _ALIASES.get(name, name)
    if name not in GPUS:
        near = difflib.get_close_matches(name, GPUS, n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UserError(f"--gpus {text}: no such GPU{hint}; there are {known}")
    count = int(form[1] or 1)
    if not 1 <= count <= MOST:
        raise UserError(f"--gpus {text}: the count must be 1 to {MOST}, not {count}")
    return Fleet(count, GPUS[name])
