"""Whose run folder it is: place, lock and settings."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from alive.config import Config
from alive.errors import RunError
from alive.settings import gone_in

_MAY_CHANGE = frozenset(
    {
        *("steps", "out", "checkpoint_every", "checkpoint_minutes", "keep_checkpoints", "log"),
        "sampling.servers",
    }
)
"""Settings and sections a resume may change: how long and where, not what is computed."""


_TRIES = 5
"""At a lock that somebody holds."""

_BLANK = frozenset(
    {
        *("lock", "config.json", ".config.json.tmp", "environment.json", "model.json"),
        *("journal.jsonl", "report.html", "trackers.json"),
        *("episodes", "records", "checkpoints", "served", "tensorboard", "wandb"),
    }
)
"""What a run leaves that ended before it measured or learned anything, by a mistyped corpus say;
such a folder is free to use."""


def is_run(path: str | Path) -> bool:
    """Whether a folder holds a run (a model folder has a ``config.json`` too)."""
    return (Path(path) / "config.json").is_file() and (Path(path) / "checkpoints").is_dir()


def read_config(path: str | Path) -> dict[str, Any]:
    """Reads the settings a run was started with, as nested plain values.

    Raises:
        RunError: The folder holds no run, or its ``config.json`` is damaged.
    """
    if not is_run(path):
        below = sorted(child.parent for child in Path(path).glob("*/config.json"))
        names = ", ".join(str(run) for run in below if is_run(run))
        raise RunError(f"{path} holds no run" + (f"; these below it are: {names}" if names else ""))
    file = Path(path) / "config.json"
    try:
        loaded: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise RunError(f"{file} is damaged ({error}); choose another --out") from error
    return loaded


def resumable_config(path: str | Path) -> dict[str, Any]:
    """Reads the settings of a run that is to go on.

    Raises:
        RunError: See ``read_config``; or an earlier version started it, with settings that are
            gone: each is named.
    """
    stored = read_config(path)
    if gone := gone_in(stored):
        raise RunError(
            f"an earlier version of ALIVE started {path}:\n  " + "\n  ".join(gone) + "\n"
            "Continue it with that version, or start a new run: leave out --resume and choose "
            "another --out."
        )
    return stored


def check_place(path: Path, resume: bool) -> None:
    """Refuses a folder that is not this run's.

    Raises:
        RunError: It is a file, holds another run, or (on a resume) holds none.
    """
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file; --out must name a folder")
    if resume:
        read_config(path)
        return
    if is_blank(path):
        return
    if is_run(path):
        raise RunError(
            f"{path} holds another run; continue it with --resume, or choose another --out"
        )
    if path.exists():
        raise RunError(f"{path} is not empty and holds no run; choose another --out")


def is_blank(path: Path) -> bool:
    """Whether a folder is empty, or holds a run of which nothing would be lost."""
    if not path.exists():
        return False
    names = {entry.name for entry in path.iterdir()}
    parts = [path / name for name in ("episodes", "records", "checkpoints")]
    started = any(part.is_dir() and any(part.iterdir()) for part in parts)
    # A model folder has a config.json as well, but no checkpoints.
    mine = "config.json" not in names or is_run(path)
    return names <= _BLANK and mine and not started


def begun(path: Path) -> bool:
    """Whether a folder holds a run of which something would be lost."""
    return is_run(path) and not is_blank(path)


def take_lock(path: Path) -> IO[str]:
    """Takes the folder's lock, which the system drops when the process ends, however it ends.

    Raises:
        RunError: Another process holds it; its pid is named.
    """
    handle = (path / "lock").open("a+")
    if not any(_locked(handle) for _ in range(_TRIES)):
        handle.seek(0)
        holder = handle.read().strip() or "unknown"
        handle.close()
        raise RunError(
            f"{path} is being written by another process (pid {holder}); wait for it or stop it"
        )
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


def _locked(handle: IO[str]) -> bool:
    """Tries to take the lock, which whoever looks at the run holds for a moment, too."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(0.05)
        return False
    return True


def is_running(path: Path) -> bool:
    """Whether a process is writing to the run folder now."""
    lock = path / "lock"
    if not lock.exists():
        return False
    with lock.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def check_config(path: Path, config: Config) -> None:
    """Compares the settings with those the run was started with.

    Raises:
        RunError: One that decides what is computed differs; each difference is printed.
    """
    lines = [
        line
        for line in difference(resumable_config(path), config.model_dump(mode="json"))
        if _MAY_CHANGE.isdisjoint({(key := line.split(":")[0]), key.split(".")[0]})
    ]
    if lines:
        raise RunError(
            f"{path} was started with other settings:\n  " + "\n  ".join(lines) + "\n"
            "Resume with the settings it was started with, or choose another --out."
        )


def difference(was: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Lists ``section.key: was -> now`` for every leaf that differs."""
    lines: list[str] = []
    for key in sorted({*was, *now}):
        before, after = was.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            lines += difference(before, after, f"{prefix}{key}.")
        elif before != after:
            lines.append(f"{prefix}{key}: {json.dumps(before)} -> {json.dumps(after)}")
    return lines
