"""The run folder as ranks beside the first see it: what they would write the first one writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from alive.config import Config
from alive.store.checkpoints import Checkpoint
from alive.store.episodes import Decode
from alive.store.run_folder import RunFolder
from alive.types import Episode, Trained, TrainingKey, TrainingRecord

__all__ = ["Onlooker"]


class Onlooker(RunFolder):
    """Reads a run folder that another rank holds, and writes nothing."""

    def __init__(
        self, path: Path, config: Config, resumed: bool, checkpoint: Checkpoint | None
    ) -> None:
        """Looks on.

        Args:
            path: The folder, on a disk that all ranks share.
            config: The run's settings.
            resumed: Whether it holds an earlier part of this run.
            checkpoint: What the run continues from.
        """
        super().__init__(path, config, None, resumed)
        self.checkpoint = checkpoint
        self._values: dict[str, Mapping[str, Any]] = {}

    def abandon(self) -> None:
        """Leaves the folder to the rank that made it."""

    def check_model(self, identity: Mapping[str, str]) -> None:
        """Leaves the comparison to the rank that holds the folder."""

    def write_episode(
        self,
        step: int,
        episodes: Sequence[Episode],
        training: Mapping[TrainingKey, Trained],
        decode: Decode,
    ) -> None:
        """Writes nothing."""

    def write_records(
        self,
        step: int,
        records: Sequence[TrainingRecord],
        replayed: Sequence[TrainingRecord],
        decode: Decode,
    ) -> None:
        """Writes nothing."""

    def save_checkpoint(
        self,
        step: int,
        save_model: Callable[[Path | None], None],
        tensors: Mapping[str, Any],
        state: Mapping[str, Any],
    ) -> None:
        """Takes part in what the first rank writes."""
        save_model(None)

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Keeps in mind what the first rank writes."""
        self._values[name] = value

    def write_text(self, name: str, text: str) -> None:
        """Writes nothing."""

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Reads back what the first rank wrote, in this part of the run or before it."""
        return dict(self._values[name]) if name in self._values else super().read_json(name)

    def _append(self, name: str, values: Mapping[str, Any]) -> None:
        """Writes nothing."""
