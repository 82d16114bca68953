"""How a run's time and memory grow: ten times the documents, ten times the steps, longer texts.

Each row is a run of the quickstart in a process of its own, without evaluation, and is said beside
the first: the time that playing, learning and the report take for a document, and the memory. The
last rows are the seed's sampler and learner on random tokens, of some length and of four times
that.

    python benchmarks/growth.py [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import now

DOCUMENTS, STEPS = 4, 6
SHORT, LONG = 128, 512


def run(documents: int, steps: int, threads: int) -> dict[str, float]:
    """Trains, and reads what the journal says of the steps after the first.

    Returns:
        Milliseconds a document by stage, the last third of the steps beside the middle one, and MB.
    """
    settings = {
        "game.documents_per_step": documents,
        "warmup.steps": 1,
        "evaluate.suites": "[]",
        "evaluate.every": 0,
        "evaluate.condition_tasks": 4,
        "checkpoint_every": 1000,
        "model.threads": threads,
        "steps": steps,
    }
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        command = [sys.executable, "-m", "alive.cli", "train", "--preset", "quickstart"]
        command += ["--out", str(out)]
        command += [part for item in settings.items() for part in ("--set", f"{item[0]}={item[1]}")]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr[-2000:])
        lines = (out / "journal.jsonl").read_text("utf-8").splitlines()
    events = [event for event in map(json.loads, lines) if event["event"] == "step"][1:]
    third = max(1, len(events) // 3)
    count = documents * len(events)
    stages = {
        stage: 1000 * sum(event["seconds"].get(stage, 0.0) for event in events) / count
        for stage in ("play", "learn", "report")
    }
    thirds = [
        sum(sum(e["seconds"].values()) for e in part)
        for part in (events[third : 2 * third], events[-third:])
    ]
    memory = [event["memory"]["resident"] / 1e6 for event in events]
    return stages | {
        "last third / middle": thirds[1] / thirds[0],
        "MB": max(memory),
        "MB more at the end": memory[-1] - memory[len(memory) // 3],
    }


def lengths(threads: int) -> None:
    """Prints microseconds a token of the seed at two lengths."""
    from alive.config import LearnConfig, ModelConfig
    from alive.engines.local import load_policy
    from alive.engines.local.rows import Asked
    from alive.protocols import SamplingParams
    from alive.types import TrainingRecord

    policy, _ = load_policy(ModelConfig(id="seed", threads=threads), LearnConfig())
    policy.endless()
    for length in (SHORT, LONG):
        ids = tuple(3 + i % 400 for i in range(length))
        half, rows = length // 2, 8192 // length
        asked = [Asked(ids[at % 7 : half], 1, SamplingParams(half), at) for at in range(rows)]
        records = [TrainingRecord("solve", (3 + at,), ids[1:], 1.0, "d") for at in range(rows)]
        took = []
        for _ in range(4):
            began = now()[0]
            policy._sampler.decoder.draw(asked)
            middle = now()[0]
            policy.update(records, 1e-6)
            took.append((middle - began, now()[0] - middle))
        sampled, trained = (min(column) for column in zip(*took[1:], strict=True))
        print(
            f"{length} tokens: {1e6 * sampled / (rows * half):.0f} us a token sampled, "
            f"{1e6 * trained / (rows * length):.0f} trained"
        )


def main() -> None:
    """Prints the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=0, help="0: a probe chooses")
    options = parser.parse_args()
    for name, documents, steps in (
        ("base", DOCUMENTS, STEPS),
        ("10 x documents", 10 * DOCUMENTS, STEPS),
        ("10 x steps", DOCUMENTS, 10 * STEPS),
    ):
        found = run(documents, steps, options.threads)
        print(name, {key: round(value, 2) for key, value in found.items()}, flush=True)
    lengths(options.threads)


if __name__ == "__main__":
    main()
