"""Checkpoints: a transformers folder beside the state a run needs to go on.

``checkpoints/step-000020/`` holds ``model/`` (weights and tokenizer, loadable by transformers),
``state.safetensors`` (optimiser moments, RNG state), ``state.json`` (game state) and
``manifest.json`` (size and sha256 of every other file); ``checkpoints/LATEST`` names the newest.

``step-000000.new/`` is a later state of the same step, on its way to take the place of the earlier.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alive.store.atomic import sync_folder, write_bytes, write_json

_NAME = re.compile(r"step-(\d{6,})(\.new)?")
_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A sound checkpoint on disk.

    Attributes:
        step: Number of training steps taken when it was saved.
        folder: The checkpoint.
    """

    step: int
    folder: Path

    @property
    def model(self) -> Path:
        """The transformers folder."""
        return self.folder / "model"

    def tensors(self) -> dict[str, Any]:
        """Reads the saved tensors, on the CPU."""
        from safetensors.torch import load_file

        return load_file(self.folder / "state.safetensors")

    def state(self) -> dict[str, Any]:
        """Reads the saved game state."""
        loaded: dict[str, Any] = json.loads((self.folder / "state.json").read_text("utf-8"))
        return loaded


def save_checkpoint(
    root: Path,
    step: int,
    save_model: Callable[[Path | None], None],
    tensors: Mapping[str, Any],
    state: Mapping[str, Any],
) -> Path:
    """Writes a checkpoint whole or not at all, and points ``LATEST`` at it.

    Args:
        root: The run's ``checkpoints`` folder.
        step: Number of training steps taken.
        save_model: Writes the model and tokenizer into the (existing, empty) folder it is given.
        tensors: Optimiser and RNG state by name; contiguous, no two sharing memory.
        state: Anything JSON can carry exactly.

    Raises:
        OSError: When the disk refuses; older checkpoints are untouched.
    """
    from safetensors.torch import save_file

    target = root / f"step-{step:06d}"
    temporary = root / f".tmp-{target.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        (temporary / "model").mkdir(parents=True)
        save_model(temporary / "model")
        save_file(dict(tensors), temporary / "state.safetensors")
        (temporary / "state.json").write_text(json.dumps(state), "utf-8")
        _seal(temporary)
        _settle(target)
        # A folder cannot be renamed over another: where there is one of this step already, the new
        # one stands beside it until it is gone.
        at = _newer(target) if target.exists() else target
        temporary.rename(at)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(root)
    write_bytes(root / "LATEST", f"{at.name}\n".encode())
    if at != target:
        _replace(target, at)
        write_bytes(root / "LATEST", f"{target.name}\n".encode())
    return target


def _newer(target: Path) -> Path:
    return target.with_name(f"{target.name}.new")


def _settle(target: Path) -> None:
    """Ends what a kill may have left between two states of one step: the newer sound one stays."""
    newer = _newer(target)
    if newer.exists() and find_fault(newer) is None:
        _replace(target, newer)
    shutil.rmtree(newer, ignore_errors=True)


def _replace(target: Path, newer: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    newer.rename(target)
    sync_folder(target.parent)


def prune_checkpoints(root: Path, keep: int) -> None:
    """Deletes all but the ``keep`` newest checkpoints."""
    for name in checkpoint_names(root)[keep:]:
        shutil.rmtree(root / name, ignore_errors=True)


def checkpoint_names(root: Path) -> list[str]:
    """Returns the names of the checkpoints in a folder, newest first, sound or not."""
    if not root.is_dir():
        return []
    names = [entry.name for entry in root.iterdir() if _NAME.fullmatch(entry.name)]
    return sorted(names, key=lambda name: (_step(name), name), reverse=True)


def newest_checkpoint(root: Path) -> Checkpoint | None:
    """Returns the newest checkpoint whose every byte is as it was written; None without one."""
    return survey(root)[0]


def survey(root: Path) -> tuple[Checkpoint | None, list[str]]:
    """Returns the newest sound checkpoint, and what is wrong with each newer one."""
    faults: list[str] = []
    for name in checkpoint_names(root):
        fault = find_fault(root / name)
        if fault is None:
            return Checkpoint(_step(name), root / name), faults
        faults.append(f"{name}: {fault}")
    return None, faults


def find_fault(folder: Path) -> str | None:
    """Compares a checkpoint with its manifest; returns what is wrong, or None if it is sound."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text("utf-8"))
        files = {str(name): (int(size), str(sha)) for name, (size, sha) in manifest.items()}
    except FileNotFoundError:
        return "it has no manifest, so it was never finished"
    except (ValueError, TypeError, AttributeError):
        return "its manifest is torn"
    for name, (size, sha) in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size:,} of {size:,} bytes"
        if _sha256(path) != sha:
            return f"{name} has changed since it was written"
    return None


def _seal(folder: Path) -> None:
    """Syncs every file and writes the manifest last, so that its presence means completeness."""
    manifest: dict[str, tuple[int, str]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
        manifest[path.relative_to(folder).as_posix()] = (path.stat().st_size, _sha256(path))
    write_json(folder / _MANIFEST, manifest)
    sync_folder(folder / "model")


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _step(name: str) -> int:
    return int(name.removeprefix("step-").removesuffix(".new"))
