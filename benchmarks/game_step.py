"""A quickstart step, its documents side by side against one after the other, and its floor.

Both sides play the same documents with the seed and learn nothing; they alternate step by step
after an untimed first one. Then one learning step is timed.

    python benchmarks/game_step.py [--steps 4] [--threads 2]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from itertools import islice

from timing import matmul_rate, now

from alive.arms import alive as arm
from alive.config import Config
from alive.corpus import open_corpus
from alive.engines.local import LocalPolicy, load_policy
from alive.engines.probe import usable_cpus
from alive.game import Played, play
from alive.prompts import Renderer
from alive.settings import load_config
from alive.types import Document, Rollout


def rollouts(played: Sequence[Played]) -> list[Rollout]:
    """Everything the policy wrote in a step."""
    found: dict[int, Rollout] = {}
    for episode in (one.episode for one in played):
        written = list(episode.pose_rollouts)
        written += [attempt.rollout for group in episode.attempts for attempt in group]
        written += [attempt.rollout for attempt in episode.revisions]
        written += [r.rollout for group in episode.reviews for r in group if r.rollout]
        found |= {id(rollout): rollout for rollout in written}
    return list(found.values())


def race(
    policy: LocalPolicy, renderer: Renderer, config: Config, documents: list[Document], steps: int
) -> tuple[list[float], list[float], list[Played]]:
    """Returns seconds a step side by side, one after the other, and the last step's games."""
    together: list[float] = []
    apart: list[float] = []
    played: list[Played] = []
    size = config.game.documents_per_step
    for step in range(steps + 1):
        chosen = documents[step * size : (step + 1) * size]
        began = now()[0]
        played = list(play(chosen, step, policy, renderer, config))
        between = now()[0]
        for document in chosen:
            play([document], step, policy, renderer, config)
        together.append(between - began)
        apart.append(now()[0] - between)
    return together[1:], apart[1:], played


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
    together, apart, played = race(policy, renderer, config, documents, options.steps)
    records = [
        record
        for one in played
        for record in arm.records(one.episode, renderer, config.learn, config.seed)[0]
    ]
    began = now()[0]
    stats = policy.update(records, 0.0)
    learning = now()[0] - began
    weights = sum(weight.numel() for weight in policy.model.parameters())
    drawn = sum(len(rollout.completion_ids) for rollout in rollouts(played))
    rate = matmul_rate()
    one, other = statistics.median(together), statistics.median(apart)
    print(f"{weights:,} weights, {threads} threads, {options.steps} steps a side")
    print(f"side by side        {one:6.2f} s a step")
    print(f"one after the other {other:6.2f} s a step, ratio {other / one:.2f}")
    print(f"floor of sampling   {2 * weights * drawn / rate:6.2f} s for {drawn} tokens")
    print(f"learning            {learning:6.2f} s for {stats.tokens} tokens")
    print(f"its floor           {6 * weights * stats.tokens / rate:6.2f} s")


if __name__ == "__main__":
    main()
