"""Which model a name stands for, and where its files are."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from alive import doors
from alive.engines.checks import check_folder
from alive.engines.lora import ADAPTER_CONFIG, base_name
from alive.engines.smollm2 import smollm2_folder
from alive.errors import ModelError

__all__ = ["adapter_base", "base_place", "is_adapters", "resolve"]

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


def base_place(id: str) -> Path | str:
    """Where the weights of a model are: of adapters, those of their base. A folder is checked."""
    where = resolve(id)
    if is_adapters(where):
        where = resolve(adapter_base(id))
    if isinstance(where, Path):
        check_folder(where)
    return where
