"""Whether torch works on this machine, and on what."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from alive.engines.probe import choose_compute, usable_cpus

__all__ = ["TorchHealth", "examine"]


@dataclass(frozen=True, slots=True)
class TorchHealth:
    """What torch is and finds here.

    Attributes:
        version: Its version, with the build it is of.
        device: ``cpu``, or the name of the GPU a policy would be loaded on.
        dtype: The precision that ``model.dtype = "auto"`` takes there.
        cpus: CPUs this process may use.
        sees_gpu: Whether it finds a GPU.
        cpu_build: Whether this build could never use one.
    """

    version: str
    device: str
    dtype: str
    cpus: int
    sees_gpu: bool
    cpu_build: bool


def examine() -> TorchHealth:
    """Multiplies two small matrices where a policy would live, and says where that was.

    Raises:
        RuntimeError: The device refuses, or the product is wrong.
    """
    sees_gpu = torch.cuda.is_available()
    device = "cuda" if sees_gpu else "cpu"
    left = torch.tensor([[1.0, 2.0], [3.0, 4.0]], device=device)
    product = (left @ left).tolist()
    if product != [[7.0, 10.0], [15.0, 22.0]]:
        raise RuntimeError(f"[[1, 2], [3, 4]] squared came out as {product}")
    return TorchHealth(
        version=torch.__version__,
        device=torch.cuda.get_device_name() if sees_gpu else "cpu",
        dtype=choose_compute(device, 4096, 4096),
        cpus=usable_cpus(),
        sees_gpu=sees_gpu,
        cpu_build=torch.version.cuda is None and torch.version.hip is None,
    )
