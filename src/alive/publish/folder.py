"""Hands a run's result over: a folder that other programs load, with a card that says what it is.

Named apart from ``alive.export``, the call: a module of that name would take its place.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from alive.config import Config
from alive.errors import RunError, UserError
from alive.publish.card import Card, write_card
from alive.settings import stored_config
from alive.store import Checkpoint, newest_checkpoint, read_config
from alive.store.atomic import new_folder, storage

__all__ = ["export"]


def export(run: str | Path, to: str | Path, *, adapters: bool = False) -> Path:
    """Writes the newest sound checkpoint of a run as a plain folder with a model card.

    Args:
        run: The run folder; it may still be training.
        to: The folder to write: new or empty. It appears whole or not at all.
        adapters: Write the LoRA adapters alone, for PEFT, in place of the merged model.

    Returns:
        The folder.

    Raises:
        RunError: There is no run, or none of its checkpoints is sound.
        UserError: ``to`` is taken, or the run has no adapters.
        StorageError: The disk refuses; nothing is left behind.
    """
    run, target = Path(run), Path(to).expanduser().resolve()
    config = stored_config(f"{run}/config.json", read_config(run))
    if adapters and not config.model.lora_rank:
        raise UserError(
            f"{run} trained all weights (model.lora_rank = 0), so there are no adapters; export "
            "the model instead: leave --adapters out"
        )
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise UserError(f"{to} is not an empty folder; name a new one with --to")
    checkpoint = newest_checkpoint(run / "checkpoints")
    if checkpoint is None:
        raise RunError(
            f"{run} has no sound checkpoint yet; go on with: alive train --resume --out {run}"
        )
    with storage(target, "Nothing was left behind, and the run is untouched."):
        try:
            with new_folder(target) as folder:
                if config.model.lora_rank and not adapters:
                    _write_merged(checkpoint.model, folder)
                else:
                    _copy_files(checkpoint.model, folder, "adapter_*" if adapters else "*")
                write_card(_card(run, config, checkpoint, adapters, folder), folder)
        except FileNotFoundError:
            if checkpoint.folder.exists():
                raise
            raise RunError(
                f"{run} is training, and replaced {checkpoint.folder.name} while it was read; "
                "run the command again"
            ) from None
    return target


def _copy_files(source: Path, folder: Path, pattern: str) -> None:
    # One by one: copytree gathers what the disk says into an error that hides it.
    for file in (file for file in source.rglob(pattern) if file.is_file()):
        copy = folder / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def _write_merged(adapters: Path, folder: Path) -> None:
    from alive.engines.weights import write_merged

    write_merged(adapters, folder)


def _card(run: Path, config: Config, checkpoint: Checkpoint, adapters: bool, folder: Path) -> Card:
    model = _read(folder / "config.json")
    return Card(
        config=config,
        step=checkpoint.step,
        state=checkpoint.state(),
        summary=_read(run / "summary.json"),
        versions=_read(run / "environment.json"),
        architecture=(model.get("architectures") or ["unknown"])[0],
        tokenizer=_read(checkpoint.model / "tokenizer.json"),
        adapters=adapters,
    )


def _read(path: Path) -> dict[str, Any]:
    """Reads a JSON file; empty where there is none."""
    if not path.is_file():
        return {}
    loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return loaded
