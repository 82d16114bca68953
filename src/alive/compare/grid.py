"""A comparison: its cells, done side by side in processes, each once, and what follows of them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alive.compare.arms import ARMS, Arm
from alive.compare.cells import SETTINGS, Cell, do
from alive.compare.measures import Measuring
from alive.compare.report import write_report
from alive.compare.tables import Measured
from alive.compare.workers import gpus_here, make_workers
from alive.config import Config
from alive.errors import RunError
from alive.store.atomic import write_json
from alive.trackers import require_packages

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is to be compared.

    Attributes:
        arms: The arms; the base model is always among them.
        shared: Settings all arms share.
        corpora: Label and path of each corpus that an arm is trained on, one run each; the path
            empty for the shared ones.
        seeds: Run seeds.
        budget: Tokens sampled and trained a run.
        rates: Learning rate by arm; others take the shared one.
        measuring: What is measured.
        out: Folder of the comparison.
        workers: Processes, of one thread each, and a GPU each where there are several.
        minutes: Time limit of a call; 0 for none.
    """

    arms: Sequence[Arm]
    shared: Config
    corpora: Sequence[tuple[str, str]]
    seeds: Sequence[int]
    budget: int
    rates: dict[str, float]
    measuring: Measuring
    out: Path
    workers: int = 2
    minutes: float = 0.0

    @property
    def identity(self) -> dict[str, Any]:
        """What must not change between two calls on one folder."""
        return {
            "shared": self.shared.model_dump(mode="json", exclude={"log"}),
            "budget": self.budget,
            "measuring": json.loads(json.dumps(asdict(self.measuring))),
        }

    def cells(self) -> tuple[list[Cell], list[Cell]]:
        """Returns the base model's cells, one a seed, and those of the arms."""
        base = [self._cell(ARMS["base"], ("all", ""), seed) for seed in self.seeds]
        trained = [arm for arm in self.arms if arm.trains]
        # Seed by seed, so that an early look sees whole rows.
        others = [
            self._cell(arm, corpus, seed)
            for seed in self.seeds
            for arm in trained
            for corpus in self.corpora
        ]
        return base, others

    def _cell(self, arm: Arm, corpus: tuple[str, str], seed: int) -> Cell:
        rate = self.rates.get(arm.name, self.rates.get(arm.name.partition("-")[0], 0.0))
        folder = self.out / "cells" / arm.name / corpus[0] / f"seed-{seed}"
        return Cell(arm, *corpus, seed, rate, self.budget, str(folder))


def compare(comparison: Comparison, console: Console) -> dict[str, Any]:
    """Does every cell that is not done yet and writes ``compare.json``, ``compare.md``, plots.

    At a time limit what goes on is saved, and the report holds what is done.

    Returns:
        What ``compare.json`` holds; nothing where the time was too short for the base model.

    Raises:
        RunError: The folder holds another comparison.
        UserError: A package that ``log.to`` needs is missing.
    """
    require_packages(comparison.shared.log)
    _claim(comparison)
    until = time.time() + 60 * comparison.minutes if comparison.minutes else None
    base, others = comparison.cells()
    _do_all(comparison, base, console, until)
    done = [cell for cell in base if cell.measured]
    if len(done) == len(base):  # every reviewer judges the base model's attempts
        _do_all(comparison, others, console, until)
        done += [cell for cell in others if cell.measured]
    if len(done) < len(base) + len(others):
        console.print(
            f"time is up: {len(done)} of {len(base) + len(others)} cells are done; the same "
            "command goes on",
            highlight=False,
        )
    return _report(comparison, done) if len(done) >= len(base) else {}


def _report(comparison: Comparison, done: Sequence[Cell]) -> dict[str, Any]:
    measured: dict[str, list[Measured]] = {}
    for cell in done:
        values = cell.measured
        assert values is not None
        measured_cell = Measured(
            cell.trained_on, cell.seed, values["rows"], values["result"], values["summary"]
        )
        # The base model has no training domain: it stands beside each.
        labels = (
            [label for label, _ in comparison.corpora] if not cell.arm.trains else [cell.trained_on]
        )
        for label in labels:
            measured.setdefault(cell.arm.name, []).append(replace(measured_cell, trained_on=label))
    return write_report(
        comparison.out,
        measured,
        {arm.name: arm.about for arm in (ARMS["base"], *comparison.arms)},
        comparison.measuring.wide_samples,
        {**comparison.identity, "rates": comparison.rates, "seeds": list(comparison.seeds)},
    )


def _claim(comparison: Comparison) -> None:
    comparison.out.mkdir(parents=True, exist_ok=True)
    path = comparison.out / SETTINGS
    if path.exists() and json.loads(path.read_text("utf-8")) != comparison.identity:
        raise RunError(
            f"{comparison.out} holds a comparison with other settings; name another --out"
        )
    write_json(path, comparison.identity)


def _do_all(
    comparison: Comparison, cells: Sequence[Cell], console: Console, until: float | None
) -> None:
    """Does the cells that are not done; each worker is a process with one thread."""
    waiting = [cell for cell in cells if cell.measured is None]
    if not waiting:
        return
    shared = comparison.shared.model_dump(mode="json")
    base = {cell.seed: cell.folder for cell in comparison.cells()[0]}
    with make_workers(comparison.workers, gpus_here()) as pool:
        futures = {
            pool.submit(
                do, cell, shared, comparison.measuring,
                base[cell.seed] if cell.arm.trains else "", until,
            ): cell
            for cell in waiting
        }  # fmt: skip
        try:
            count = 0
            for future in as_completed(futures):
                if not future.result():
                    continue
                count += 1
                cell = futures[future]
                console.print(
                    f"{count}/{len(waiting)} {cell.arm.name}, trained on {cell.trained_on}, "
                    f"seed {cell.seed}",
                    highlight=False,
                )
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
