"""A quickstart step, its documents side by side against one after the other, and its floor.

Both sides play the same documents with the seed and learn nothing; they alternate step by step
after an untimed first one. Then the last step's records are learned, as often.

    python benchmarks/game_step.py [--steps 4] [--threads 2]
"""

from __future__ import annotations

import argparse
import statistics
from itertools import islice

from timing import now

from alive import aio, arms
from alive.config import Config
from alive.corpus import open_corpus
from alive.engines.floor import measure_machine
from alive.engines.local import LocalPolicy, load_policy
from alive.engines.probe import usable_cpus
from alive.game import Played, play_all
from alive.prompts import Renderer
from alive.settings import load_config
from alive.types import Document


def race(
    policy: LocalPolicy, renderer: Renderer, config: Config, documents: list[Document], steps: int
) -> tuple[list[float], list[float], list[Played], int]:
    """Plays each step both ways, whichever went second going first at the next.

    Returns:
        Seconds a step side by side and one after the other, the last step's games, and the tokens
        drawn side by side in all timed steps.
    """
    seconds: tuple[list[float], list[float]] = ([], [])
    last: list[Played] = []
    drawn, size = 0, config.game.documents_per_step
    for step in range(steps + 1):
        chosen = documents[step * size : (step + 1) * size]
        for apart in (step % 2, 1 - step % 2):
            began, before = now()[0], policy.usage.tokens_sampled
            groups = [[document] for document in chosen] if apart else [chosen]
            played = [
                one for g in groups for one in aio.run(play_all(g, step, policy, renderer, config))
            ]
            if step:
                seconds[apart].append(now()[0] - began)
            if step and not apart:
                last, drawn = played, drawn + policy.usage.tokens_sampled - before
    return *seconds, last, drawn


def main() -> None:
    """Prints both sides, their ratio, the learning step and the floors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4, help="timed steps a side")
    parser.add_argument("--threads", type=int, default=0, help="0: all usable CPUs")
    options = parser.parse_args()
    threads = options.threads or usable_cpus()
    config = load_config(preset="quickstart", overrides=[f"model.threads={threads}"])
    policy, renderer = load_policy(config.model, config.learn, config.seed)
    corpus = open_corpus(config.corpus, renderer.count_tokens, [], config.seed)
    wanted = (options.steps + 1) * config.game.documents_per_step
    documents = list(islice(corpus.documents("train"), wanted))
    together, apart, played, drawn = race(policy, renderer, config, documents, options.steps)
    records = [
        record
        for one in played
        for record in arms.records(one.episode, renderer, config, conditioned=True, warm=False)[0]
    ]
    learned: list[float] = []
    for _ in range(options.steps + 1):
        began = now()[0]
        stats = policy.update(records, 0.0)
        learned.append(now()[0] - began)
    weights = sum(weight.numel() for weight in policy.model.parameters())
    rate = measure_machine("cpu").float32
    one, other, learning = map(statistics.median, (together, apart, learned[1:]))
    sampling = 2 * weights * drawn / options.steps / rate
    print(f"{weights:,} weights, {threads} threads, {options.steps} steps a side")
    print(f"side by side        {one:6.2f} s a step")
    print(f"one after the other {other:6.2f} s a step, ratio {other / one:.2f}")
    print(f"floor of sampling   {sampling:6.2f} s for {drawn / options.steps:.0f} tokens")
    print(f"learning            {learning:6.2f} s for {stats.tokens} tokens")
    print(f"its floor           {6 * weights * stats.tokens / rate:6.2f} s")


if __name__ == "__main__":
    main()
