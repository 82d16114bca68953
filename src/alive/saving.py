"""When a run is saved, and what."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from alive.config import Config
from alive.ranks import ALONE, Ranks
from alive.state import State
from alive.store import RunFolder

if TYPE_CHECKING:
    from alive.protocols import Policy

__all__ = ["Saver"]


class Saver:
    """Saves the state of a run: after so many steps, after so many minutes, and when asked."""

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        policy: Policy,
        state: State,
        note: Callable[[str, int], None],
        ranks: Ranks = ALONE,
    ) -> None:
        """Starts the clock.

        Args:
            config: The run's settings.
            folder: Where to save; what it was resumed from is saved already.
            policy: Its weights and moments.
            state: What has happened; goes on changing.
            note: Told that a checkpoint of so many steps is there.
            ranks: Who save together: at the same steps, by the first one's clock.
        """
        self._config, self._folder, self._policy, self._state = config, folder, policy, state
        self._note, self._ranks = note, ranks
        self._saved = state.mark if folder.checkpoint else None
        self._at = monotonic()
        self._began = self._at - state.seconds

    @property
    def seconds(self) -> float:
        """What the run took so far, earlier parts of a resumed one included."""
        return monotonic() - self._began

    def save(self) -> None:
        """Saves a checkpoint, unless the last one holds all there is."""
        if self._saved == self._state.mark:
            return
        self._state.seconds = self.seconds
        self._folder.save_checkpoint(
            self._state.step, self._policy.save, self._policy.tensors(), self._state.as_json()
        )
        self._saved, self._at = self._state.mark, monotonic()
        self._note("checkpoint", self._state.step)

    def save_if_due(self, stepped: bool = False) -> None:
        """Saves after every so many steps, ``stepped`` being one, and after every so many minutes.

        To be called where the state is whole.
        """
        minutes = self._config.checkpoint_minutes
        late = self._ranks.gather(minutes > 0 and monotonic() - self._at >= 60 * minutes)[0]
        if late or (stepped and self._state.step % self._config.checkpoint_every == 0):
            self.save()
