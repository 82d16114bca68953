"""Kills processes of a run on Ray at random moments, and holds it against an undisturbed run.

    pip install 'alive-rl[ray]'
    python benchmarks/ray_kills.py --kind sampler
    python benchmarks/ray_kills.py --kind rank --kills 10 --seed 1
    python benchmarks/ray_kills.py --kind head --kills 3 --steps 20

The seed model plays a small quickstart twice: in one process that nobody disturbs (once for all
that share `--out`), and under `alive train --ray --ranks 2 --samplers 2`, where one process at a
time is killed (SIGKILL), at a moment drawn from the seed: a sampler, a rank, or the head, which is
Ray's `gcs_server` and `raylet` together. After the head the same command is given again. Each time
the next checkpoint is waited for. Printed are the seconds that took, and whether both runs have the
same episodes, records and metrics; the exit code is 1 where they differ.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load_file

from alive.store import checkpoint_names

HEAD = ("gcs_server", "raylet")
VICTIMS = {"sampler": ("ray::SamplingActor",), "rank": ("ray::Learner",), "head": HEAD}
"""How the processes of a kind are called. Of the head all are killed, of the others one."""

SMALL = (
    *("game.documents_per_step=4", "checkpoint_every=1", "model.threads=1"),
    *("evaluate.every=0", "evaluate.limit=16", "evaluate.condition_tasks=4"),
)
"""What makes a step of the quickstart last about a second, and saves the run after each."""

WITHIN = 2.0
"""Seconds after a checkpoint among which a kill's moment is drawn."""

PATIENCE = 600
"""Seconds in which what is waited for has to happen."""

ROUNDING = 0.02
"""Share by which a metric may differ: sums are in another order, and each step adds to it."""

CLOSE = 1e-3
"""The most by which a weight may differ, and a log-probability that the learner computes."""

NOTHING = 1e-4
"""What a metric may differ by whatever its size: some are differences, and near zero."""

ATTEMPT = ("step", "document_id", "task_id", "role", "attempt_index")
"""What names an attempt."""


class OverError(Exception):
    """The run is over, or does not go on."""


@dataclass
class Run:
    """A run on Ray, and the command that makes it, whatever happens to that.

    Attributes:
        folder: The run folder.
        steps: How many it has.
        begun: The command's process, as it was given last.
    """

    folder: Path
    steps: int
    begun: subprocess.Popen[bytes] = field(init=False)

    def begin(self) -> None:
        """Gives the command; what it says is added to a file beside the run folder."""
        ray = ("--ray", "--ranks", "2", "--samplers", "2")
        with self.folder.with_suffix(".log").open("ab") as log:
            self.begun = subprocess.Popen(command(self.folder, self.steps, *ray), stderr=log,
                                          stdout=log, start_new_session=True)  # fmt: skip

    def saved(self) -> int:
        """Steps of the newest checkpoint; 0: there is none."""
        names = checkpoint_names(self.folder / "checkpoints")
        return max((int(name[5:].removesuffix(".new")) for name in names), default=0)

    def later(self, step: int) -> bool:
        """Whether a checkpoint after a step is there."""
        return self.saved() > step

    def wait_for(self, done: Callable[[], object]) -> None:
        """Waits for something that the command does.

        Raises:
            OverError: It ended instead, or takes too long.
        """
        ends = time.monotonic() + PATIENCE
        while not done():
            if self.begun.poll() is not None:
                raise OverError(f"the command ended with code {self.begun.returncode}")
            if time.monotonic() > ends:
                raise OverError(f"nothing for {PATIENCE} s")
            time.sleep(0.02)

    def processes(self, names: tuple[str, ...]) -> list[psutil.Process]:
        """Those that the command has started and that are called so."""
        found = []
        for one in psutil.Process(self.begun.pid).children(recursive=True):
            try:
                called = "".join(one.cmdline()[:1]).rpartition("/")[2]
            except psutil.Error:  # ended meanwhile
                continue
            if called.startswith(names):
                found.append(one)
        return found

    def end(self) -> None:
        """Kills the command and all that it has started."""
        if self.begun.poll() is None:
            below = psutil.Process(self.begun.pid).children(recursive=True)
            self.begun.kill()
            for one in below:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            psutil.wait_procs(below)
            self.begun.wait()


def command(folder: Path, steps: int, *more: str) -> list[str]:
    """The words that make a run."""
    settings = [word for setting in SMALL for word in ("--set", setting)]
    given = ["--preset", "quickstart", "--steps", str(steps), "--out", str(folder), *settings]
    return [sys.executable, "-m", "alive", "train", *given, *more]


def kill(run: Run, kind: str, draws: random.Random) -> str:
    """Kills one process of a kind, or the head; returns what was killed.

    Raises:
        OverError: The run is over.
    """
    victims: list[psutil.Process] = []

    def found() -> bool:
        victims.extend(run.processes(VICTIMS[kind]))
        return bool(victims)

    run.wait_for(found)
    chosen = victims if kind == "head" else [draws.choice(victims)]
    for one in chosen:
        one.kill()
    return f"{kind} (pid {', '.join(str(one.pid) for one in chosen)})"


def disturbed(run: Run, kind: str, kills: int, seed: int) -> list[float]:
    """Kills until there were as many kills as asked for, or the run is over.

    Args:
        run: Has begun.
        kind: Of process.
        kills: How many.
        seed: Of the moments, and of who is killed.

    Returns:
        Of each kill the seconds until the next checkpoint.

    Raises:
        OverError: The command ended by itself before it should, or does not go on.
    """
    draws = random.Random(f"{kind} {seed}")
    seconds: list[float] = []
    run.wait_for(run.saved)
    while len(seconds) < kills:
        time.sleep(draws.uniform(0, WITHIN))
        at = run.saved()
        if at >= run.steps - 1:
            raise OverError(f"over after {len(seconds)} kills; give more --steps")
        killed, began, noticed = kill(run, kind, draws), time.monotonic(), ""
        if kind == "head":
            run.begun.wait(PATIENCE)
            noticed = f"; {time.monotonic() - began:.1f} s until the command ended"
            at = run.saved()
            run.begin()
        run.wait_for(partial(run.later, at))
        seconds.append(time.monotonic() - began)
        print(f"{killed} after step {at}: next checkpoint after {seconds[-1]:.1f} s{noticed}",
              flush=True)  # fmt: skip
    return seconds


def attempts(run: Path) -> Counter[tuple[Any, ...]]:
    """How often each attempt stands in a run's episodes."""
    found: Counter[tuple[Any, ...]] = Counter()
    for file in sorted((run / "episodes").iterdir()):
        table = pq.read_table(file, columns=list(ATTEMPT))
        found.update(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return found


def told_apart(one: Path, other: Path) -> Iterator[str]:
    """Says in what the record of a run differs from that of another."""
    first, second = attempts(one), attempts(other)
    for what, ids in (
        ("lost", first.keys() - second.keys()),
        ("added", second.keys() - first.keys()),
        ("doubled", {name for name, times in second.items() if times > 1}),
    ):
        if ids:
            yield f"{len(ids)} attempts {what}, such as {min(ids)}"
    for part in ("episodes", "records"):
        left, right = ({file.name: file for file in (run / part).iterdir()} for run in (one, other))
        apart = [
            name for name in sorted(left.keys() | right.keys())
            if name not in left or name not in right
            or not alike(pq.read_table(left[name]), pq.read_table(right[name]))
        ]  # fmt: skip
        if apart:
            yield f"{part} of {len(apart)} steps, the first in {apart[0]}"
    lines = [(run / "metrics.jsonl").read_text("utf-8").splitlines() for run in (one, other)]
    if len(lines[0]) != len(lines[1]):
        yield f"{len(lines[0])} and {len(lines[1])} lines of metrics"
    yield from (name for share, name in metrics_apart(one, other) if share > ROUNDING)


def alike(one: pa.Table, other: pa.Table) -> bool:
    """Whether rows are the same to the last bit, but what the learner computes in other batches."""
    learned = [name for name in one.column_names if name.endswith("_logprob")]
    if not one.drop_columns(learned).equals(other.drop_columns(learned)):
        return False
    values = (
        np.array(table[name].to_pylist(), float) for name in learned for table in (one, other)
    )
    return all(
        np.allclose(left, right, rtol=0, atol=CLOSE, equal_nan=True)
        for left, right in zip(values, values, strict=True)
    )


def metrics_apart(one: Path, other: Path) -> list[tuple[float, str]]:
    """By what share each metric of each step differs, and its name."""
    lines = ((run / "metrics.jsonl").read_text("utf-8").splitlines() for run in (one, other))
    steps = [(json.loads(left), json.loads(right)) for left, right in zip(*lines, strict=False)]
    return [
        (share(left.get(key), right.get(key)), f"{key} of step {left['step']}")
        for left, right in steps
        for key in {**left, **right}
    ]


def share(one: Any, other: Any) -> float:
    """By what share a number differs from another; of what else is unlike, without end."""
    if isinstance(one, float) and isinstance(other, float):
        apart = abs(other - one)
        return 0.0 if apart <= NOTHING else apart / max(abs(one), NOTHING)
    return 0.0 if one == other else math.inf


def farthest(one: Path, other: Path) -> float:
    """The largest difference of two runs' last weights."""
    left, right = (
        load_file(max((run / "checkpoints").glob("step-*")) / "model" / "model.safetensors")
        for run in (one, other)
    )
    return max(float(np.abs(left[name] - right[name]).max()) for name in left)


def main() -> int:
    """Makes both runs and prints the differences; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=VICTIMS, required=True, help="what is killed")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=0, help="of the run; 0: ten a kill")
    parser.add_argument("--seed", type=int, default=0, help="of moments and victims")
    parser.add_argument("--out", type=Path, default=Path("runs/ray-kills"), help="of all runs")
    options = parser.parse_args()
    steps = options.steps or 10 * options.kills
    alone = options.out / f"alone-{steps}"
    run = Run(options.out / f"{options.kind}-{options.seed}-{steps}", steps)
    if run.folder.exists():
        parser.error(f"{run.folder} exists; remove it, or choose another --seed or --out")
    if not (alone / "summary.json").exists():
        print(f"{steps} steps in one process, undisturbed", flush=True)
        subprocess.run(command(alone, steps), check=True, stdout=subprocess.DEVNULL)
    run.begin()
    try:
        seconds = disturbed(run, options.kind, options.kills, options.seed)
        code = run.begun.wait(PATIENCE)
    except (OverError, subprocess.TimeoutExpired) as error:
        print(f"{error}; what the run said: {run.folder.with_suffix('.log')}")
        return 1
    finally:
        run.end()
    differences = [*told_apart(alone, run.folder), *([f"exit code {code}"] if code else [])]
    worst = farthest(alone, run.folder)
    print(f"kills: {len(seconds)}; seconds to the next checkpoint: median "
          f"{statistics.median(seconds):.1f}, largest {max(seconds):.1f}")  # fmt: skip
    for line in differences:
        print(f"differs: {line}")
    if not differences:
        print(f"equal: {sum(attempts(alone).values())} attempts of {steps} steps, none lost or "
              "doubled; episodes, records and metrics of every step")  # fmt: skip
    most, name = max(metrics_apart(alone, run.folder))
    print(f"largest difference of the final weights: {worst:.1e}; of a metric: {most:.2%}, {name}")
    return int(bool(differences) or worst > CLOSE)


if __name__ == "__main__":
    sys.exit(main())
