"""Parts of one comparison that several machines did, put together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alive.compare.arms import ABLATIONS, ARMS, about
from alive.compare.cells import MEASURED, SETTINGS
from alive.compare.report import write_report
from alive.compare.tables import Measured
from alive.errors import RunError
from alive.settings import leaves
from alive.store.atomic import write_bytes, write_json

if TYPE_CHECKING:
    from rich.console import Console


def merge(folders: Sequence[Path], out: Path, console: Console) -> dict[str, Any]:
    """Copies what was measured in some folders into one, and reports on all of it.

    Runs and checkpoints stay where they are. A cell that several folders hold is taken from the
    first; every reviewer was judged on the attempts of the base model of its own folder.

    Returns:
        What ``compare.json`` holds.

    Raises:
        RunError: A folder holds no comparison, or another one than the first; none of them holds
            the base model.
    """
    identity = _read(folders[0])
    others = [*folders[1:], *([out] if (out / SETTINGS).exists() else [])]
    for folder in others:
        _require_alike(folders[0], identity, folder)
    for folder in folders:
        for path in sorted(folder.glob(f"cells/*/*/seed-*/{MEASURED}")):
            kept = out / path.relative_to(folder)
            if not kept.exists():
                kept.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(kept, path.read_bytes())
            elif kept.read_bytes() != path.read_bytes():
                console.print(f"{path}: measured before; the first is kept", highlight=False)
    write_json(out / SETTINGS, identity)
    measured = _gathered(out)
    wide = identity["measuring"]["wide_samples"]
    told = {name: about(name) for name in measured}
    return write_report(out, measured, told, wide, {**identity, "merged": list(map(str, folders))})


def _read(folder: Path) -> dict[str, Any]:
    try:
        identity: dict[str, Any] = json.loads((folder / SETTINGS).read_text("utf-8"))
    except OSError:
        raise RunError(f"{folder} holds no comparison: it has no {SETTINGS}") from None
    return identity


def _require_alike(first: Path, identity: dict[str, Any], folder: Path) -> None:
    other = _read(folder)
    if other == identity:
        return
    mine, its = dict(leaves(identity)), dict(leaves(other))
    differ = sorted(key for key in mine.keys() | its.keys() if mine.get(key) != its.get(key))
    raise RunError(
        f"{folder} holds another comparison than {first}: {', '.join(differ[:5])} differ. Only "
        "parts of one comparison can be merged, made with the same settings, paths included"
    )


def _gathered(out: Path) -> dict[str, list[Measured]]:
    """What is measured in a folder, by arm, the base model first and beside every domain."""
    measured: dict[str, list[Measured]] = {"base": []}
    for path in sorted(out.glob(f"cells/*/*/seed-*/{MEASURED}")):
        arm, label, seed = path.parent.relative_to(out / "cells").parts
        values = json.loads(path.read_text("utf-8"))
        measured.setdefault(arm, []).append(
            Measured(
                label,
                int(seed.removeprefix("seed-")),
                values["rows"],
                values["result"],
                values["summary"],
            )
        )
    if not measured["base"]:
        raise RunError(f"{out}: none of the folders holds the base model, which all are held to")
    labels = sorted({cell.trained_on for name in measured for cell in measured[name]} - {"all"})
    measured["base"] = [
        replace(cell, trained_on=label) for cell in measured["base"] for label in labels or ["all"]
    ]
    known = [*ARMS, *(f"alive-{name}" for name in ABLATIONS)]
    return {name: measured[name] for name in sorted(measured, key=lambda one: _place(known, one))}


def _place(known: Sequence[str], arm: str) -> int:
    """Arms in the order of a report, a user's own last."""
    return known.index(arm) if arm in known else len(known)
