"""A run's result handed over: a folder that other programs load, and the card that explains it."""

from alive.publish.folder import export

__all__ = ["export"]
