"""TensorBoard, W&B and Trackio, each behind two methods. A package is imported once it is used."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping
from typing import Any

from alive.config import Config
from alive.errors import UserError
from alive.store import RunFolder

IDENTITY = "trackers.json"
"""File of the run folder with the id under which W&B and Trackio know the run."""


class TensorBoard:
    """Event files in the run's folder, one a session."""

    def __init__(self, folder: RunFolder, step: int) -> None:
        """Begins a file; ``step`` steps of the run were taken."""
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._folder, self._path = folder, folder.path / "tensorboard"
        # Written here and now: TensorBoard's own EventFileWriter has a thread, in which a full disk
        # is an exception of nobody's.
        with folder.writes(self._path):
            self._path.mkdir(exist_ok=True)
            name = f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"  # read in this order
            self._file = (self._path / name).open("xb")
        self._records = RecordWriter(self._file)
        self._write(0, file_version="brain.Event:2")
        # From the second of these on, readers drop what was written before of this step and later
        # ones: steps that are played again after a resume.
        self._write(step + 1, session_log=SessionLog(status=SessionLog.START))

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Takes numbers by name; all finite."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=number) for name, number in numbers.items()]
        self._write(step, summary=Summary(value=values))

    def close(self, code: int) -> None:
        """Ends the file."""
        with self._folder.writes(self._path):
            self._file.close()

    def _write(self, step: int, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        event = Event(wall_time=time.time(), step=step, **content)
        with self._folder.writes(self._path):
            self._records.write(event.SerializeToString())
            self._file.flush()


class WandB:
    """A run of Weights & Biases: online, or offline where ``WANDB_MODE=offline``."""

    def __init__(self, config: Config, folder: RunFolder) -> None:
        """Starts the run, or goes on with it.

        Raises:
            UserError: W&B refuses.
        """
        import wandb

        # The console shows worked examples, and a diff of the user's repository may hold a corpus.
        no_text = wandb.Settings(console="off", disable_git=True, save_code=False)
        try:
            self._run = wandb.init(
                project=config.log.project,
                name=str(folder.path)[-128:],
                id=_identity(folder),
                dir=folder.path,
                config=config.model_dump(mode="json"),
                resume="allow",
                allow_val_change=True,
                reinit="create_new",
                settings=no_text,
            )
        except wandb.Error as error:
            raise UserError(
                f"log.to: W&B does not start ({error}); log in with `wandb login`, or log without "
                "a network: WANDB_MODE=offline"
            ) from error

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Takes numbers by name; all finite."""
        # A step that is played again after a resume is there already.
        if step >= self._run.step:
            self._run.log(dict(numbers), step=step)

    def close(self, code: int) -> None:
        """Ends the run."""
        self._run.finish(exit_code=code)


class Trackio:
    """A run of Trackio: on this machine, or wherever its environment variables say."""

    def __init__(self, config: Config, folder: RunFolder) -> None:
        """Starts the run, or goes on with it.

        Raises:
            UserError: Trackio refuses.
        """
        import trackio

        try:
            self._run = trackio.init(
                project=config.log.project,
                # It finds a run that goes on by its name alone.
                name=f"{folder.path}-{_identity(folder)}",
                config=config.model_dump(mode="json"),
                resume="allow",
                embed=False,
            )
        except ValueError as error:
            raise UserError(f"log.to: Trackio does not start ({error})") from error
        self._first: int = self._run._next_step  # no public name for it; a test watches it

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Takes numbers by name; all finite."""
        # A step that is played again after a resume is there already.
        if step >= self._first:
            self._run.log(dict(numbers), step=step)

    def close(self, code: int) -> None:
        """Ends the run."""
        import trackio

        trackio.finish()


def _identity(folder: RunFolder) -> str:
    """The id of the run, drawn once and kept: runs of one seed are still different runs."""
    known = folder.read_json(IDENTITY)
    if known is None:
        known = {"id": uuid.uuid4().hex[:12]}
        folder.write_json(IDENTITY, known)
    return str(known["id"])
