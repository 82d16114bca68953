"""Live logging: a run's numbers to TensorBoard, Weights & Biases or Trackio, as they come.

What goes out: finite numbers, their names, the run's settings and the path of its folder. Text of a
corpus or a model never does. The step of a number is how many steps were taken, as in the names of
checkpoints: 0 before training, 1 with the numbers of the first step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from typing import Any, Protocol

from alive.config import Config, LogConfig
from alive.errors import Terminated, UserError
from alive.store import RunFolder


class Tracker(Protocol):
    """Takes the numbers of one run."""

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Takes numbers by name; all finite."""
        ...

    def close(self, code: int) -> None:
        """Hands over what is still held; ``code`` as ``exit_code`` gives it."""
        ...


class Trackers:
    """The trackers of one run, none as a rule. Made by ``open_trackers``."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        """Takes over open trackers."""
        self._trackers = trackers

    def trained(self, step: int, values: Mapping[str, Any], tokens: int, seconds: float) -> None:
        """Logs a step as ``train/...``.

        Args:
            step: Steps taken, this one included.
            values: Its line of ``metrics.jsonl``. Names of documents stay here; their count goes.
            tokens: Sampled and trained in it.
            seconds: What it took on the clock.
        """
        rehearsed = sum(values["rehearsed"].values())
        speed = {"seconds": seconds, "tokens_per_second": tokens / max(seconds, 1e-9)}
        self._log(step, {"train": {**values, "rehearsed": rehearsed, **speed}})

    def measured(self, step: int, result: Mapping[str, Any]) -> None:
        """Logs what an evaluation found after ``step`` steps as ``evaluation/...``."""
        self._log(step, {"evaluation": result})

    def close(self, code: int) -> None:
        """Closes every tracker, whatever happens to one of them."""
        with ExitStack() as stack:
            for tracker in self._trackers:
                stack.callback(tracker.close, code)

    def _log(self, step: int, values: Mapping[str, Any]) -> None:
        numbers = dict(flat(values))
        for tracker in self._trackers:
            tracker.log(step, numbers)


def require_packages(log: LogConfig) -> None:
    """Imports the packages that logging needs.

    Raises:
        UserError: One is not installed.
    """
    for name in log.to:
        try:
            import_module(name)
        except ImportError as error:
            raise UserError(
                f"log.to: {name} cannot be imported ({error}); "
                f"pip install 'alive-rl[{name}]', or leave it out"
            ) from error


def open_trackers(config: Config, folder: RunFolder, step: int) -> Trackers:
    """Opens the trackers of ``config.log``; a resumed run goes on where it was.

    Args:
        config: The run's settings.
        folder: Its folder.
        step: Steps it has taken.

    Raises:
        UserError: A tracker refuses: nobody is logged in, say, or the project's name is not one.
    """
    from alive.trackers.adapters import TensorBoard, Trackio, WandB

    makers: dict[str, Callable[[], Tracker]] = {
        "tensorboard": lambda: TensorBoard(folder, step),
        "wandb": lambda: WandB(config, folder),
        "trackio": lambda: Trackio(config, folder),
    }
    opened: list[Tracker] = []
    try:
        for name in dict.fromkeys(config.log.to):
            opened.append(makers[name]())
    except BaseException:
        Trackers(opened).close(1)
        raise
    return Trackers(opened)


def exit_code(error: BaseException | None) -> int:
    """How a run ended: 0 well, 255 by Ctrl-C (W&B's own code), 128 + n by signal n, else 1."""
    if error is None:
        return 0
    if isinstance(error, Terminated):
        return error.exit_code
    return 255 if isinstance(error, KeyboardInterrupt) else 1


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yields ``outer/inner`` with its number for every number that is finite.

    Text, lists and nulls are passed over. Blanks of a name become underscores.
    """
    for key, value in values.items():
        name = prefix + "_".join(key.split())
        if isinstance(value, Mapping):
            yield from flat(value, f"{name}/")
        elif isinstance(value, int | float) and math.isfinite(value):
            yield name, value
