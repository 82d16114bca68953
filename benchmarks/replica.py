"""How long new weights take to reach a replica that samples, and what of it is which part.

    python benchmarks/replica.py smollm2
    python benchmarks/replica.py smollm2 --lora-rank 16

A policy takes optimiser steps and publishes; after each a replica in this process (what a sampler
of `alive train --ray` holds) completes one token. The first publication of a run is the one for
which the replica loads the whole model.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import pairwise
from pathlib import Path

from timing import most_resident, now

from alive import aio
from alive.cluster.samplers import SamplingActor
from alive.config import Config, LearnConfig, ModelConfig
from alive.engines.probe import choose_threads
from alive.engines.together.replicated import load_replicated
from alive.protocols import Request, SamplingParams
from alive.ranks import ALONE
from alive.types import TrainingRecord


class Here(SamplingActor):
    """A replica in this process."""

    async def back(self) -> None:
        """Is never away."""


def main() -> None:
    """Prints the seconds of each publication."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="as `alive train --model` takes it")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--lora-rank", type=int, default=0)
    parser.add_argument("--dtype", default="auto", help="what is computed in")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    rank = options.lora_rank
    threads = choose_threads(options.threads)
    model = ModelConfig(id=options.model, lora_rank=rank, dtype=options.dtype, threads=threads)
    learn = LearnConfig(learning_rate=1e-4 if rank else 1e-5, micro_batch_tokens=512)
    with tempfile.TemporaryDirectory() as folder:
        policy, renderer = load_replicated(
            Config(learn=learn), model, Path(folder), [Here()], {}, ALONE
        )
        prompt = renderer.solve("There are \\mask{} birds on the lake.", None)
        record = TrainingRecord("solve", prompt.ids, renderer.complete("\\boxed{8}"), 1.0, "d")
        print(f"computes in {policy.choices['dtype']}")
        for step in range(options.steps):
            if step:
                policy.update([record], learn.learning_rate)
            moments = [now()]
            policy.publish()
            moments.append(now())
            for _ in range(2):  # the second time nothing is read
                aio.run(policy.sample(Request(prompt, 1, SamplingParams(1), step)))
                moments.append(now())
            wall, cpu = (
                [after - before for before, after in pairwise(each)]
                for each in zip(*moments, strict=True)
            )
            print(
                f"publication {step + 1}: {wall[0] + wall[1]:.2f} s to the first token (CPU "
                f"{cpu[0] + cpu[1]:.2f}): written in {wall[0]:.2f} s (CPU {cpu[0]:.2f}), read in "
                f"{wall[1] - wall[2]:.2f} s (CPU {cpu[1] - cpu[2]:.2f})",
                flush=True,
            )
        print(f"most memory: {most_resident() / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
