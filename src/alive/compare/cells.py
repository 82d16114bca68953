"""The cells of a comparison: an arm, what it is trained on, and a seed. Each is done once."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from alive.compare.arms import Arm, settings_of
from alive.compare.measures import Measuring, measure
from alive.config import Config
from alive.errors import RunError, Terminated
from alive.store import newest_model
from alive.store.atomic import write_json

MEASURED = "measured.json"
SETTINGS = "settings.json"
"""Of a whole comparison: what must not change between two calls on one folder."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One training run and what is measured of it.

    Attributes:
        arm: What is trained.
        trained_on: Label of the corpus: a domain, or ``all``.
        corpus: Its path; empty for the paths all arms share.
        seed: Run seed.
        rate: Learning rate; 0 for the shared one.
        budget: Tokens sampled and trained.
        folder: Where it is kept.
    """

    arm: Arm
    trained_on: str
    corpus: str
    seed: int
    rate: float
    budget: int
    folder: str

    @property
    def measured(self) -> dict[str, Any] | None:
        """What was measured; None before.

        Raises:
            RunError: It was trained at another learning rate.
        """
        path = Path(self.folder) / MEASURED
        if not path.exists():
            return None
        measured: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if measured["rate"] != self.rate:
            raise RunError(
                f"{self.folder} was trained at another learning rate ({measured['rate']:g}, 0 "
                f"is the preset's) than is asked for now ({self.rate:g}); delete it, or name "
                "another --out"
            )
        return measured


def do(
    cell: Cell,
    shared: Mapping[str, Any],
    measuring: Measuring,
    base: str,
    until: float | None = None,
) -> bool:
    """Trains a cell's policy, from where it was left, and measures it.

    Args:
        cell: What to do.
        shared: The settings all arms share, as plain values.
        measuring: What is measured.
        base: Folder of the base model's cell, whose attempts every reviewer judges; empty for the
            base model itself.
        until: When to stop, as ``time.time`` tells it; None: once it is done.

    Returns:
        Whether it is done; if not, its run was saved and goes on from there.
    """
    if until is not None and time.time() >= until:
        return False  # begun and broken off, imports would be left half done for the next cell
    with _stopped(until) as rung:
        try:
            _do(cell, shared, measuring, base)
        except Terminated:
            if not rung:
                raise  # somebody else ended it
            return False
    return True


@contextmanager
def _stopped(until: float | None) -> Iterator[list[int]]:
    """Ends its block by SIGTERM, which a run answers by saving, when it is time.

    Gives a list that holds something once the timer has gone off.
    """
    rung: list[int] = []
    if until is None:
        yield rung
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated(number)

    def ask(number: int, frame: FrameType | None) -> None:
        rung.append(number)
        signal.raise_signal(signal.SIGTERM)

    before = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGALRM)]
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGALRM, ask)
    try:
        # A timer of zero is none.
        signal.setitimer(signal.ITIMER_REAL, max(until - time.time(), 1e-6))
        yield rung
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before:
            signal.signal(number, handler)


def _do(cell: Cell, shared: Mapping[str, Any], measuring: Measuring, base: str) -> None:
    from rich.console import Console

    from alive.api import Policy
    from alive.engines.local import load_policy
    from alive.loop import train

    folder = Path(cell.folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = Config.model_validate(dict(shared))
    summary: dict[str, Any] = {}
    # The model as it comes has no adapters, a checkpoint's are merged; a process has one thread.
    model = config.model.model_copy(update={"threads": 1, "lora_rank": 0})
    if cell.arm.trains:
        run = folder / "run"
        settings = settings_of(
            cell.arm, config, rate=cell.rate, seed=cell.seed, corpus=cell.corpus,
            budget=cell.budget, out=str(run), suites=measuring.suites,
        )  # fmt: skip
        with (folder / "train.log").open("a", encoding="utf-8") as log:
            begun = (run / "config.json").exists()
            summary = train(settings, resume=begun, console=Console(file=log, width=100))
        model = model.model_copy(update={"id": str(newest_model(run))})
    frozen = None
    if base:
        frozen = json.loads((Path(base) / MEASURED).read_text("utf-8"))["frozen"]
    policy = Policy(*load_policy(model), config.sampling)
    measured = measure(policy, measuring, cell.seed, frozen)
    write_json(folder / MEASURED, {"summary": summary, "rate": cell.rate, **measured})
