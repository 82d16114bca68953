"""The run folder: who may write to it, what a resume must agree with, and where things lie."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from alive.config import Config
from alive.errors import RunError
from alive.store import atomic
from alive.store.checkpoints import (
    Checkpoint,
    newest_checkpoint,
    prune_checkpoints,
    save_checkpoint,
    survey,
)
from alive.store.claim import check_config, check_place, difference, is_blank, take_lock
from alive.store.environment import describe_environment
from alive.store.episodes import EPISODE_COLUMNS, Decode, episode_rows
from alive.store.lineage import RECORD_COLUMNS, record_rows
from alive.store.shards import drop_shards, write_shard
from alive.types import Episode, Trained, TrainingKey, TrainingRecord


class RunFolder:
    """One run's folder, held by a lock until ``close``. Usable as a context manager.

    Made by ``RunFolder.create``.

    Attributes:
        path: The folder.
        resumed: Whether it holds an earlier part of this run.
        notices: What the user should be told about the folder (torn checkpoints passed over).
        checkpoint: The checkpoint to continue from; None at the start of a run.
    """

    def __init__(self, path: Path, config: Config, lock: IO[str] | None, resumed: bool) -> None:
        """Takes over a folder, locked if it is to be written; see ``create``."""
        self.path = path
        self.resumed = resumed
        self.checkpoint: Checkpoint | None = None
        self.notices: list[str] = []
        self._config, self._made = config, False
        self._lock = lock
        self._safe = "Nothing of the run was saved yet; free some space and start again."

    @classmethod
    def create(cls, path: str | Path, config: Config, resume: bool = False) -> RunFolder:
        """Makes a new run folder, or reopens one to continue it.

        An empty path stands for ``default_out``. Reopening drops what was written after the newest
        sound checkpoint (metrics, episodes), so that the continued run writes it again, once.

        Raises:
            RunError: The folder belongs to another run, is in use, or does not match the settings.
            StorageError: The disk refuses.
        """
        path = Path(path) if str(path) else default_out(config.model.id, datetime.now())
        check_place(path, resume)
        is_new = not path.exists()
        with atomic.storage(path, "Nothing was changed."):
            for name in ("episodes", "records", "checkpoints"):
                (path / name).mkdir(parents=True, exist_ok=True)
            lock = take_lock(path)
        run = cls(path, config, lock, resume)
        run._made = is_new
        try:
            if resume:
                check_config(path, config)
                run._rewind()
            with atomic.storage(path, run._safe):
                atomic.write_json(path / "config.json", config.model_dump(mode="json"))
                atomic.write_json(path / "environment.json", describe_environment())
        except BaseException:
            run.close()
            raise
        return run

    def __enter__(self) -> RunFolder:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Lets go of the folder."""
        self.close()

    def close(self) -> None:
        """Lets another process use the folder."""
        if self._lock is not None:
            self._lock.close()

    def abandon(self) -> None:
        """Lets go of the folder, and deletes it if it was made for a run that could not begin."""
        self.close()
        if self._made and is_blank(self.path):
            shutil.rmtree(self.path, ignore_errors=True)

    def check_model(self, identity: Mapping[str, str]) -> None:
        """Records the starting model, or compares it with the one the run started from.

        Args:
            identity: Digests or names by part, such as ``model``, ``tokenizer``, ``weights``.

        Raises:
            RunError: On a resume with another model; each part that differs is printed.
        """
        path = self.path / "model.json"
        if self.resumed and path.exists():
            was = json.loads(path.read_text("utf-8"))
            lines = difference(was, dict(identity))
            if lines:
                raise RunError(
                    f"{self.path} started from another model:\n  " + "\n  ".join(lines) + "\n"
                    "Resume with the model it started from, or choose another --out."
                )
            return
        self._write(path, lambda: atomic.write_json(path, dict(identity)))

    def append_metrics(self, step: int, values: Mapping[str, Any]) -> None:
        """Appends a line to ``metrics.jsonl``; it is durable from the next checkpoint on."""
        self._append("metrics.jsonl", {"step": step, **values})

    def append_journal(self, entry: Mapping[str, Any]) -> None:
        """Appends a line to ``journal.jsonl``: what depends on the clock, and is never rewound."""
        self._append("journal.jsonl", entry)

    def write_episode(
        self,
        step: int,
        episodes: Sequence[Episode],
        training: Mapping[TrainingKey, Trained],
        decode: Decode,
    ) -> None:
        """Writes a step's attempts to ``episodes/step-000012.parquet``, a row an attempt.

        Args:
            step: The training step, 0-based.
            episodes: One a document.
            training: What learning made of each attempt; attempts without an entry get weight 0.
            decode: Turns prompt ids to text, special tokens shown.
        """
        folder = self.path / "episodes"
        rows = episode_rows(episodes, training, decode)
        with atomic.storage(folder, self._safe):
            write_shard(folder, f"step-{step:06d}", rows, EPISODE_COLUMNS)

    def write_records(
        self,
        step: int,
        records: Sequence[TrainingRecord],
        replayed: Sequence[TrainingRecord],
        decode: Decode,
    ) -> None:
        """Writes what a step learned to ``records/step-000012.parquet``, a row a record.

        Args:
            step: 0-based.
            records: The step's own records.
            replayed: Earlier records that it learned again.
            decode: Turns token ids to text, special tokens shown.
        """
        folder = self.path / "records"
        rows = record_rows(step, records, replayed, decode)
        with atomic.storage(folder, self._safe):
            write_shard(folder, f"step-{step:06d}", rows, RECORD_COLUMNS)

    def save_checkpoint(
        self,
        step: int,
        save_model: Callable[[Path | None], None],
        tensors: Mapping[str, Any],
        state: Mapping[str, Any],
    ) -> None:
        """Saves a checkpoint after ``step`` steps and deletes all but the newest few.

        Args:
            step: Number of steps taken; a resume continues with this 0-based step.
            save_model: Writes model and tokenizer into the folder it is given.
            tensors: Optimiser and RNG state by name (torch tensors).
            state: Game state, JSON-able.

        Raises:
            StorageError: The disk refuses; the checkpoints before it are untouched.
        """
        root = self.path / "checkpoints"
        with atomic.storage(root / f"step-{step:06d}", self._safe):
            metrics = self.path / "metrics.jsonl"
            if metrics.exists():
                with metrics.open("rb") as handle:
                    os.fsync(handle.fileno())
            save_checkpoint(root, step, save_model, tensors, state)
        prune_checkpoints(root, self._config.keep_checkpoints)
        self._note_safe(step)

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Writes ``NAME`` (``summary.json``, ``before.json``) into the folder, atomically."""
        path = self.path / name
        self._write(path, lambda: atomic.write_json(path, value))

    def write_text(self, name: str, text: str) -> None:
        """Writes ``NAME`` (``report.html``) into the folder, atomically."""
        path = self.path / name
        self._write(path, lambda: atomic.write_bytes(path, text.encode("utf-8", "replace")))

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Reads back what ``write_json`` wrote; None if it was never written."""
        path = self.path / name
        if not path.exists():
            return None
        loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return loaded

    def _append(self, name: str, values: Mapping[str, Any]) -> None:
        path = self.path / name
        line = atomic.dumps(values) + "\n"
        self._write(path, lambda: atomic.append_bytes(path, line.encode()))

    def writes(self, path: Path) -> AbstractContextManager[None]:
        """Turns a write that the disk refuses in its block into a StorageError."""
        return atomic.storage(path, self._safe)

    def _write(self, path: Path, write: Callable[[], None]) -> None:
        with self.writes(path):
            write()

    def _note_safe(self, step: int) -> None:
        self._safe = (
            f"The checkpoint of step {step} and the records up to it are whole; "
            f"free some space and go on with: alive train --resume --out {self.path}"
        )

    def _rewind(self) -> None:
        """Finds the checkpoint to go on from and drops every record written after it."""
        root = self.path / "checkpoints"
        self.checkpoint, faults = survey(root)
        self.notices += [f"checkpoint passed over, {fault}" for fault in faults]
        if self.checkpoint is None:
            self.notices.append("no sound checkpoint yet: the run starts again from step 0")
        step = lines = self.checkpoint.step if self.checkpoint else 0
        if self.checkpoint:
            self._note_safe(step)
            # A run that stopped in between has a step but not its line, which it writes once.
            lines -= bool(self.checkpoint.state().get("unwritten"))
        with atomic.storage(self.path, self._safe):
            for leftover in root.glob(".tmp-*"):
                shutil.rmtree(leftover)
            for name in ("episodes", "records"):
                drop_shards(self.path / name, step)
            _keep_lines(self.path / "metrics.jsonl", lambda row: row["step"] < lines)
            _keep_lines(self.path / "journal.jsonl", lambda row: True)
            for name in ("after.json", "summary.json"):
                (self.path / name).unlink(missing_ok=True)


def default_out(model: str, now: datetime) -> Path:
    """Returns ``runs/<date>-<model>``, the folder of a run that was given none."""
    name = Path(model.rstrip("/")).name or "model"
    return Path("runs") / f"{now:%Y%m%d-%H%M%S}-{name}"


def newest_model(path: str | Path) -> Path:
    """Returns the model folder of a run's newest sound checkpoint, without locking the run.

    Raises:
        RunError: No checkpoint is sound.
    """
    checkpoint = newest_checkpoint(Path(path) / "checkpoints")
    if checkpoint is None:
        raise RunError(f"{path} has no sound checkpoint; continue it with: alive train --resume")
    return checkpoint.model


def _keep_lines(path: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    """Keeps the lines that are to be kept; one torn by a kill is not."""
    if not path.exists():
        return
    kept: list[bytes] = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if line.endswith(b"\n") and keep(row):
            kept.append(line)
    atomic.write_bytes(path, b"".join(kept))
