"""The most memory a run holds, as `alive plan` predicts it and as it is.

    python benchmarks/memory.py seed smollm2 FOLDER
    python benchmarks/memory.py FOLDER --tokens 4096 --ranks 16

Each model is measured in a process of its own, full and with adapters: a batch of completions at
their limits is decoded, then one update fills a micro-batch. On a CPU what counts is the whole
process, on a GPU the tensors on it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from typing import Any

from timing import most_resident

from alive.config import Config
from alive.settings import load_config


def main() -> None:
    """Reads the options, measures each model in a process and prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+")
    parser.add_argument("--ranks", nargs="+", type=int, default=[0, 16])
    parser.add_argument("--tokens", type=int, default=2048, help="of a micro-batch")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_measured(_config(options.models[0], options.ranks[0], options.tokens))))
        return
    print("model, rank, planned GB, measured GB, planned / measured, update s, compute, recomputed")
    for model in options.models:
        for rank in options.ranks:
            command = [sys.executable, __file__, model, "--ranks", str(rank), "--one"]
            command += ["--tokens", str(options.tokens)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr[-2000:])
            row = json.loads(done.stdout.splitlines()[-1])
            share = row["planned"] / row["measured"]
            print(
                f"{model}, {rank}, {row['planned'] / 1e9:.2f}, {row['measured'] / 1e9:.2f}, "
                f"{share:.2f}, {row['update']:.1f}, {row['dtype']}, {row['recomputes']}",
                flush=True,
            )


def _config(model: str, rank: int, tokens: int) -> Config:
    return load_config(
        None,
        (),
        [
            *(f"model.id={model}", f"model.lora_rank={rank}"),
            *(f"learn.micro_batch_tokens={tokens}", "game.masks_per_document=4"),
            *("game.solutions_per_mask=4", "corpus.chunk_tokens=128"),
            *("sampling.solve_tokens=64", "sampling.review_tokens=32"),
        ],
    )


def _measured(config: Config) -> dict[str, Any]:
    from alive.engines.local import load_policy
    from alive.plan import make_plan
    from alive.protocols import Request, SamplingParams
    from alive.types import TrainingRecord

    planned = make_plan(config).peak
    policy, renderer = load_policy(config.model, config.learn)
    game, longest = config.game, config.corpus.chunk_tokens + config.sampling.solve_tokens
    word = renderer.complete("apple")[:-1]

    async def decode() -> None:
        from dataclasses import replace

        prompt = renderer.solve("apples", None)
        prompts = [
            replace(prompt, ids=(task + 5, *word * longest)[: config.corpus.chunk_tokens])
            for task in range(game.masks_per_document)
        ]
        params = SamplingParams(config.sampling.solve_tokens)
        await asyncio.gather(
            *(policy.sample(Request(p, game.solutions_per_mask, params, 1)) for p in prompts)
        )

    asyncio.run(decode())
    records = [
        TrainingRecord("solve", (at + 5, *word * longest)[: longest - 64], word * 64, 1.0, "d")
        for at in range(config.learn.micro_batch_tokens // longest)
    ]  # no two begin alike: every token is computed
    seconds = 0.0
    for _ in range(2):  # moments are there from the second update on
        started = time.perf_counter()
        policy.update(records, 1e-6)
        seconds = time.perf_counter() - started
    on_device = policy.usage.device_bytes
    return {
        "planned": planned,
        "measured": on_device or most_resident(),
        "update": seconds,
        **policy.choices,
    }


if __name__ == "__main__":
    main()
