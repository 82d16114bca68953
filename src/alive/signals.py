"""The signals that end a run: Ctrl-C, SIGTERM and SIGHUP.

Python runs a handler between two instructions of the main thread, so what it raises stops whatever
goes on there. Next to nothing of that changes the state of a run; what does holds signals back.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from alive.errors import Terminated

__all__ = ["Signals"]


class Signals:
    """Answers signals from ``take`` to ``give_back``.

    A first Ctrl-C waits for the next ``safe_point``; a second one, SIGTERM and SIGHUP are raised
    where the run stands, as soon as nothing holds them back. One of several processes that stop
    together lets each first signal wait.
    """

    def __init__(
        self, whole: Callable[[], bool], say: Callable[[str], None], together: bool = False
    ) -> None:
        """Answers nothing yet.

        Args:
            whole: Whether the state could be saved as it is; signals wait while it could not.
            say: Tells a person what was understood.
            together: Whether other processes have to stop at the same point.
        """
        self._whole, self._say, self._together = whole, say, together
        self._held = self._asked = 0
        self._ending = self._at_rest = False
        self._pending: BaseException | None = None
        self._before: dict[int, Any] = {}

    def take(self) -> None:
        """Takes the signals over, where this is the main thread; no other gets any."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Under nohup a closed terminal is to be ignored.
            if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._received)

    def give_back(self) -> None:
        """Lets whoever answered the signals before answer them again."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Holds signals back while its block runs, and raises what came at its end."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        self._raise()

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Lets a first Ctrl-C take effect at once while its block runs, which changes no state."""
        self._at_rest = True
        try:
            yield
        finally:
            self._at_rest = False

    @property
    def asked(self) -> int:
        """Number of the signal that waits for a safe point; 0 for none."""
        return self._asked

    def safe_point(self, asked: int = 0) -> None:
        """Lets a first Ctrl-C take effect.

        Args:
            asked: Number of a signal that another process got; 0 for none.

        Raises:
            KeyboardInterrupt: It was pressed.
            Terminated: Another signal waited for the others.
        """
        asked = self._asked or asked
        if asked and self._pending is None:
            self._pending = _error(asked)
        self._raise()

    def end(self) -> None:
        """Says that the run ends and saves: from here on signals ask for what is done already."""
        self._ending = True

    def _received(self, number: int, frame: FrameType | None) -> None:
        if self._ending:
            return
        waits = self._together or (number == signal.SIGINT and not self._at_rest)
        if waits and not self._asked:
            self._asked = number
            self._say("stopping after this stage; press Ctrl-C again to stop at once")
            return
        self._pending = _error(number)
        self._raise()

    def _raise(self) -> None:
        if self._pending is None or self._held or self._ending or not self._whole():
            return
        # A second signal must not stop the saving that this one leads to.
        self._ending = True
        raise self._pending


def _error(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)
