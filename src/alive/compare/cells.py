"""The cells of a comparison: an arm, what it is trained on, and a seed. Each is done once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alive.compare.arms import Arm, settings_of
from alive.compare.measures import Measuring, measure
from alive.config import Config
from alive.errors import RunError
from alive.store import newest_model
from alive.store.atomic import write_json

MEASURED = "measured.json"


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


def do(cell: Cell, shared: Mapping[str, Any], measuring: Measuring, base: str) -> None:
    """Trains a cell's policy, from where it was left, and measures it.

    Args:
        cell: What to do.
        shared: The settings all arms share, as plain values.
        measuring: What is measured.
        base: Folder of the base model's cell, whose attempts every reviewer judges; empty for the
            base model itself.
    """
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
