"""ALIVE: one policy poses, solves, reviews and learns, from raw text.

``alive.train(config)`` runs the whole game; ``alive.evaluate(model, suites)`` measures a model;
``alive.solve(model, problem)`` shows an attempt, its review and its revision.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alive.api import evaluate, solve
    from alive.loop import train

__version__ = "0.1.0"
__all__ = ["__version__", "evaluate", "solve", "train"]


def __getattr__(name: str) -> Any:
    """Loads a public function on first use, so that ``import alive`` stays instant."""
    if name == "train":
        from alive.loop import train

        return train
    if name in ("evaluate", "solve"):
        from alive import api

        return getattr(api, name)
    raise AttributeError(f"module 'alive' has no attribute {name!r}")


class _CallableModule(ModuleType):
    """``alive.evaluate`` names a package and a public call; calling the package makes the call."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from alive import api

        return api.evaluate(*arguments, **options)


class _Package(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        # The import system binds a subpackage here, over the function of that name.
        if name == "evaluate" and isinstance(value, ModuleType):
            value.__class__ = _CallableModule
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
