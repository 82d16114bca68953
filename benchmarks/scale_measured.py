"""Steps through 1, 2 and 3 servers: measured, and as the simulation of scale_sim.py predicts them.

    python benchmarks/scale_measured.py
    python benchmarks/scale_measured.py --mode off

The seed model learns in this process, as `alive train --sampler` does it; the servers of paced.py
sample, in a process of their own. They decode nothing: what a token costs them is set, and so is
how long completions are. The simulation is told the same, and what is measured apart: the seconds
in which weights are sent and in which a step is learned, and those of this process for a request.
What is compared is the rest: who waits for a place, for the last completion of a stage, for the
weights, and what overlaps. It is no measurement of an engine.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from scale_model import simulated
from scale_play import Costs
from timing import now

import alive
from alive import aio
from alive.config import LearnConfig, ModelConfig
from alive.engines.local import load_policy
from alive.engines.names import resolve
from alive.engines.server import ServedPolicy, open_replicas
from alive.protocols import Request, SamplingParams
from alive.settings import load_config
from alive.types import MASK

TASKS, ATTEMPTS, REVISIONS = 2, 8, 2
"""Of a document; of a task."""

ROWS = (TASKS * ATTEMPTS, TASKS * ATTEMPTS, TASKS * REVISIONS)

COSTS = Costs(
    token=0.008,
    row=0.0001,
    slots=16,
    weights=0.5,
    link=1.0,
    streams=1,
    rows=ROWS,
    requests=(TASKS, *ROWS[1:]),
    guesses=ATTEMPTS,
    median=(90.0, 60.0, 90.0),
    spread=0.4,
    limit=(240, 140, 240),
    read=1.0,
)
"""What is set: attempts, reviews and revisions, and servers that take 0.5 s to read weights."""

SIMULATED = 50
"""Steps whose mean is the prediction: lengths are drawn, and others than the servers'."""


@contextmanager
def servers(folder: Path, number: int) -> Iterator[list[str]]:
    """Servers that listen while the block runs; yields their URLs."""
    costs, paced = folder / "costs.json", Path(__file__).with_name("paced.py")
    costs.write_text(json.dumps(asdict(COSTS)))
    command = [sys.executable, str(paced), str(resolve("seed")), str(costs)]
    with subprocess.Popen(
        [*command, "--servers", str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        try:
            yield [process.stdout.readline().strip() for _ in range(number)]
        finally:
            process.stdin.close()


def stages(
    urls: Sequence[str], out: Path, mode: str, documents: int, steps: int
) -> list[dict[str, float]]:
    """Trains through servers; returns the seconds of each step by stage."""
    settings = {
        "steps": steps,
        "out": out,
        "checkpoint_every": 1000,
        "model.threads": 1,
        "game.documents_per_step": documents,
        "game.masks_per_document": TASKS,
        "game.solutions_per_mask": ATTEMPTS,
        "game.revisions_per_mask": REVISIONS,
        "game.reviews_per_document": 0,
        "game.random_share": 1.0,
        "game.conditioned": "false",
        "sampling.solve_tokens": COSTS.limit[0],
        "sampling.review_tokens": COSTS.limit[1],
        "sampling.servers": json.dumps(list(urls)),
        "learn.staleness": int(mode == "off"),
        "evaluate.suites": "[]",
        "evaluate.every": 0,
    }
    config = load_config("quickstart", overrides=[f"{k}={v}" for k, v in settings.items()])
    alive.train(config, False, Console(file=io.StringIO()))
    lines = map(json.loads, (out / "journal.jsonl").read_text("utf-8").splitlines())
    return [line["seconds"] for line in lines if line["event"] == "step"]


def apart(urls: Sequence[str], folder: Path) -> tuple[float, float]:
    """Measures what no step is needed for.

    Returns:
        Seconds in which weights are sent to all servers, and those that this process is busy for a
        request.
    """
    model = ModelConfig(id="seed", threads=1)
    learner, renderer = load_policy(model, LearnConfig(learning_rate=1e-3), copies=False)
    policy = ServedPolicy(learner, open_replicas(urls), folder / "served")
    prompt = renderer.solve(f"3 + 4 = {MASK}, and what follows.", None)

    def ask(requests: int, tokens: int) -> tuple[float, float]:
        async def together() -> None:
            asked = (Request(prompt, 1, SamplingParams(tokens), at) for at in range(requests))
            await asyncio.gather(*map(policy.sample, asked))

        began = now()
        aio.run(together())
        clock, busy = (after - before for after, before in zip(now(), began, strict=True))
        return clock, busy

    ask(1, 1)
    sent = []
    for _ in range(5):
        policy.publish()
        sent.append(ask(1, 1)[0] - COSTS.token)
    calls = 64 * len(urls)
    return median(sent), ask(calls, COSTS.limit[1])[1] / calls


def predicted(
    measured: Mapping[int, Sequence[float]], mode: str, documents: int, costs: Costs
) -> None:
    """Prints predictions beside the seconds of steps, by the number of replicas."""
    print(f"{mode}: replicas, measured s (median), predicted s, error %")
    for number, seconds in measured.items():
        step = simulated(mode, number, 1, documents, costs, 0, SIMULATED)
        error = 100 * (step.total / median(seconds) - 1)
        print(f"{number}, {median(seconds):.2f}, {step.total:.2f}, {error:+.1f}")


def main() -> None:
    """Measures, and prints predictions beside it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mode", choices=("replicas", "off"), default="replicas")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--documents", type=int, default=12, help="a step")
    parser.add_argument("--steps", type=int, default=6, help="measured, between a first and a last")
    options = parser.parse_args()
    mode, documents = options.mode, options.documents
    if len(options.replicas) < 2:
        parser.error("--replicas needs two numbers or more: what a server adds is measured so")
    measured, sent, called, learned = {}, [], [], []
    most = max(options.replicas)
    with tempfile.TemporaryDirectory() as place, servers(Path(place), most) as urls:
        for number in options.replicas:
            some, folder = urls[:number], Path(place) / str(number)
            seconds, call = apart(some, folder)
            sent.append(seconds)
            called.append(call)
            # The first begins with nothing at hand, and beside the last nothing is sampled ahead.
            took = stages(some, folder / mode, mode, documents, 2 + options.steps)[1:-1]
            measured[number] = [step["play"] + step["learn"] for step in took]
            if mode == "off":  # there the stage of learning is one of sampling too
                took = stages(some, folder / "in-turn", "replicas", documents, 4)[1:]
            learned += [step["learn"] for step in took]
            print(f"{number}: sent in {seconds:.3f} s, {1e3 * call:.2f} ms a request", flush=True)
            print("   steps, s: " + ", ".join(f"{step:.2f}" for step in measured[number]))
    each, latency = np.polyfit(options.replicas, sent, 1)
    drawn = simulated("ranks", 1, 1, documents, COSTS, 0, SIMULATED).tokens
    train = median(learned) / drawn
    costs = replace(COSTS, latency=latency, weights=each, call=median(called), train=train)
    print(
        f"told: {latency:.3f} + {each:.3f} s a server for weights, {1e3 * costs.call:.2f} ms a "
        f"request, {median(learned):.2f} s to learn a step"
    )
    predicted(measured, mode, documents, costs)


if __name__ == "__main__":
    main()
