"""Whether this machine can run ALIVE: what is here, what is missing, and the command that mends it.

Nothing is imported before it is asked for, and what cannot be imported is a finding, not an error:
this has to work where little else does. Versions come from the package's own metadata.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from typing import Literal

from alive.errors import AliveError
from alive.setup.shells import SHELLS, completion_installed, login_shell

__all__ = ["Finding", "examine"]

PACKAGE = "alive-rl"

EXTRAS = {
    "lora": "LoRA adapters (model.lora_rank)",
    "datasets": "Hugging Face datasets as a corpus",
    "gym": "suites of reasoning-gym, builtin:logic",
    "smollm2": "reading the SmolLM2 weights",
    "tensorboard": "live figures in TensorBoard",
    "wandb": "live figures in Weights & Biases",
    "trackio": "live figures in Trackio",
}
"""What a user may want an extra for; those of developers are left out."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What.
        state: ``ok``; ``missing``: the quickstart cannot run without it; ``note``: it can.
        found: What is here.
        remedy: The command or deed that mends it; empty where nothing is to be done.
    """

    subject: str
    state: Literal["ok", "missing", "note"]
    found: str
    remedy: str = ""


def examine(out: str = "runs") -> Iterator[Finding]:
    """Looks at Python, packages, torch, machine, folders, models and shell, in this order.

    Args:
        out: Where run folders would be written.
    """
    yield from _python_and_packages()
    looks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("torch", _torch),
        ("quickstart", lambda: _quickstart(out)),
        ("run folder", lambda: _writable(out)),
        ("models of worlds", _worlds),
        ("SmolLM2 weights", _smollm2),
    )
    for subject, look in looks:
        try:
            yield from look()
        except (ImportError, OSError, RuntimeError, AliveError) as error:
            # A broken package is told by the error of its import, a broken driver by torch's.
            reason = str(error).strip().splitlines() or [type(error).__name__]
            remedy = "see the packages above" if isinstance(error, ImportError) else ""
            yield Finding(subject, "note" if look is _smollm2 else "missing", reason[0], remedy)
    yield _git()
    yield from _shell()


def _python_and_packages() -> Iterator[Finding]:
    try:
        package = metadata(PACKAGE)
    except PackageNotFoundError:
        yield Finding("installation", "missing", f"{PACKAGE} is not installed", "pip install -e .")
        return
    try:
        from packaging.requirements import Requirement
        from packaging.specifiers import SpecifierSet
    except ImportError:
        yield Finding("packages", "missing", "packaging is not installed", "pip install packaging")
        return
    here, wanted = sys.version.split()[0], package["Requires-Python"]
    fits = SpecifierSet(wanted).contains(here, prereleases=True)
    remedy = "" if fits else f"make a virtual environment with Python {wanted}"
    yield Finding("Python", "ok" if fits else "missing", f"{here}, wanted {wanted}", remedy)
    requirements = [Requirement(text) for text in package.get_all("Requires-Dist") or []]
    always = [r for r in requirements if r.marker is None or r.marker.evaluate()]
    lacking = [(r, fault) for r in always if (fault := _fault(r))]
    for lacked, fault in lacking:
        remedy = f"pip install '{lacked.name}{lacked.specifier}'"
        yield Finding(lacked.name, "missing", fault, remedy)
    if not lacking:
        yield Finding("packages", "ok", f"all {len(always)} that are needed")
    for extra, purpose in EXTRAS.items():
        mine = [r for r in requirements if r.marker and r.marker.evaluate({"extra": extra})]
        faults = [fault for r in mine if r not in always and (fault := _fault(r))]
        subject = f"extra {extra}"
        if faults:
            yield Finding(
                subject, "note", f"for {purpose}: {faults[0]}", f"pip install '{PACKAGE}[{extra}]'"
            )
        else:
            yield Finding(subject, "ok", f"for {purpose}")


def _fault(requirement: object) -> str:
    """Says what is wrong with a required package; empty if nothing is."""
    from packaging.requirements import Requirement

    assert isinstance(requirement, Requirement)
    name, wanted = requirement.name, requirement.specifier
    try:
        here = version(name)
    except PackageNotFoundError:
        return f"{name} is not installed"
    if not wanted.contains(here, prereleases=True):
        return f"{name} is {here}, wanted {wanted}"
    return ""


def _torch() -> Iterator[Finding]:
    from alive.engines.health import examine as examine_torch

    health = examine_torch()
    yield Finding("torch", "ok", f"{health.version} multiplies on {health.device}, {health.dtype}")
    yield Finding("CPU", "ok", f"{health.cpus} for this process")
    if health.sees_gpu:
        yield Finding("GPU", "ok", health.device)
    elif not _nvidia_here():
        yield Finding("GPU", "note", "none seen; none is needed")
    elif health.cpu_build:
        yield Finding(
            "GPU",
            "note",
            "an NVIDIA GPU is here, but this torch is a build for CPUs alone",
            "pip uninstall torch, then install the CUDA build that PyTorch's install page names",
        )
    else:
        yield Finding(
            "GPU",
            "note",
            "an NVIDIA GPU is here, but torch cannot use it: its driver is too old, or hides it",
            "nvidia-smi says what the driver is; is CUDA_VISIBLE_DEVICES set?",
        )


def _nvidia_here() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _quickstart(out: str) -> Iterator[Finding]:
    """Memory and disk: what is free, and whether that is enough for the quickstart."""
    from alive.plan import make_plan, remedy
    from alive.settings import load_config

    config = load_config("quickstart").model_copy(update={"out": out})
    plan = make_plan(config)
    for subject, needed, free in (
        ("memory", plan.peak, plan.available),
        ("disk", plan.disk, plan.disk_free),
    ):
        space = f"{free / 1e9:,.2f} GB free; the quickstart takes {needed / 1e9:,.2f} GB"
        if needed <= free:
            yield Finding(subject, "ok", space)
        else:
            yield Finding(subject, "missing", space, remedy(plan))


def _writable(out: str) -> Iterator[Finding]:
    path = Path(out).expanduser().absolute()
    place = next(folder for folder in (path, *path.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
    except OSError as error:
        reason = f"{place} cannot be written ({error.strerror})"
        yield Finding("run folder", "missing", reason, "choose another place: --out FOLDER")
        return
    yield Finding("run folder", "ok", f"{out} can be written")


def _worlds() -> Iterator[Finding]:
    from safetensors import SafetensorError, safe_open

    from alive.doors import models
    from alive.engines.names import resolve

    for name in models():
        what = f"{name} model"
        try:
            with safe_open(Path(resolve(name)) / "model.safetensors", framework="numpy") as file:
                yield Finding(what, "ok", f"{len(file.keys())} tensors")
        except (AliveError, SafetensorError) as error:
            yield Finding(what, "missing", str(error), f"pip install --force-reinstall {PACKAGE}")


def _smollm2() -> Iterator[Finding]:
    from alive.engines.smollm2 import smollm2_here

    try:
        weights = smollm2_here()
    except AliveError as error:
        reason, _, remedy = str(error).partition("; run: ")
        yield Finding("SmolLM2 weights", "note", reason, remedy)
        return
    yield Finding("SmolLM2 weights", "ok", weights)


def _git() -> Finding:
    if shutil.which("git"):
        return Finding("git", "ok", "here; records of runs name the revision of a checkout")
    return Finding("git", "note", "not here, and not needed")


def _shell() -> Iterator[Finding]:
    shell = login_shell()
    if shell is None:
        yield Finding("completion", "note", f"no shell that it knows: {', '.join(SHELLS)}")
    elif completion_installed(shell):
        yield Finding("completion", "ok", f"installed for {shell}")
    else:
        yield Finding("completion", "note", f"not installed for {shell}", SHELLS[shell].command)
