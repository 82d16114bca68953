"""ALIVE: one policy poses, solves, reviews and learns, from raw text.

``alive.train(config)`` runs the whole game; ``alive.evaluate(model, suites)`` measures a model;
``alive.solve(model, problem)`` shows an attempt, its review and its revision;
``alive.export(run, to)`` writes a run's model as a plain folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alive.doors import register

if TYPE_CHECKING:
    from alive.api import evaluate, export, solve
    from alive.loop import train

__version__ = "0.1.0"
__all__ = ["__version__", "evaluate", "export", "solve", "train"]

# The one place that names a world; it is imported when a name of its own is looked up.
register("alive.worlds.primer:WORLD")


def __getattr__(name: str) -> Any:
    """Loads a public function on first use, so that ``import alive`` stays instant."""
    if name == "train":
        from alive.loop import train

        return train
    if name in ("evaluate", "export", "solve"):
        from alive import api

        return getattr(api, name)
    raise AttributeError(f"module 'alive' has no attribute {name!r}")
