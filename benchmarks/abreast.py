"""Ways to use several cores: threads, ranks, or sampling beside learning; steps of the quickstart.

    python benchmarks/abreast.py [--rounds 3] [--cores 2]

The ways take turns, each as a run of its own without evaluations. Printed are the medians over the
rounds of a run's median step, without its first two, and of its seconds in all.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def ways(cores: int) -> dict[str, tuple[int, list[str]]]:
    """By name: threads of each process, and options."""
    return {
        "one thread": (1, []),
        f"{cores} threads": (cores, []),
        f"{cores} ranks of one thread": (1, ["--ranks", str(cores)]),
        "one thread samples ahead of one": (1, ["--set", "learn.staleness=1"]),
    }


def measure(out: Path, threads: int, options: list[str], steps: list[str]) -> tuple[float, float]:
    """Seconds of a run's median step, and of the run."""
    given = ["--set", "evaluate.suites=[]", "--set", "evaluate.every=0", *steps]
    given += ["--set", f"model.threads={threads}", "--out", str(out), *options]
    subprocess.run(
        [sys.executable, "-m", "alive", "train", "--preset", "quickstart", *given],
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        check=True,
        capture_output=True,
    )
    rows = map(json.loads, (out / "journal.jsonl").read_text().splitlines())
    each = [sum(row["seconds"].values()) for row in rows if row["event"] == "step"]
    summary = json.loads((out / "summary.json").read_text())
    return statistics.median(each[2:] or each), summary["seconds"]


def main() -> None:
    """Runs all ways in turn and prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--steps", type=int, default=0, help="0: the quickstart's")
    options = parser.parse_args()
    steps = ["--steps", str(options.steps)] if options.steps else []
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways(options.cores)}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(options.rounds):
            for at, (name, (threads, given)) in enumerate(ways(options.cores).items()):
                out = Path(folder, f"{turn}-{at}")
                found[name].append(measure(out, threads, given, steps))
    print(f"{'':34}{'s a step':>10}{'s in all':>10}")
    for name, figures in found.items():
        step, whole = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"{name:34}{step:10.2f}{whole:10.1f}")


if __name__ == "__main__":
    main()
