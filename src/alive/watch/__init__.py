"""All that looks on while a run goes on: the terminal, the journal, the report, trackers."""

from alive.watch.display import Display
from alive.watch.watching import Watch

__all__ = ["Display", "Watch"]
