"""Whether a vLLM server computes what the learner does, before and after weights are sent to it.

    alive serve MODEL --start --python OTHER_ENV/bin/python
    python benchmarks/served.py MODEL http://127.0.0.1:8000

Completes prompts on the server, and looks each token's log-probability up in a plain pass of the
learner. Then takes optimiser steps, sends the weights after each, and compares again, and the
server's greedy completions with the local policy's. With ``--lora-rank`` adapters train, and the
server is sent them merged into their base.

Agreement says little of weights that hardly move. So what a server would show that kept the weights
from before a step stands beside it: how far its log-probabilities would be off, and how many greedy
completions the step has changed, and all steps have. Where greedy completions part, it is printed
how much likelier the learner finds its own token than the server's: next to nothing where two are
as good as equally likely.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from timing import now

from alive import aio
from alive.config import LearnConfig, ModelConfig
from alive.corpus.python_docs import topics
from alive.engines.local import LocalPolicy, load_policy
from alive.engines.server import ServedPolicy, open_replicas
from alive.prompts import Renderer
from alive.protocols import Request, Sampler, SamplingParams
from alive.types import MASK, Prompt, Rollout, TrainingRecord

CLOSE = 0.05
"""Nats between log-probabilities that agree."""


def prompts_of(renderer: Renderer, count: int) -> list[Prompt]:
    """Tasks on what Python says of itself, one word hidden."""
    words = (text.split()[:60] for _, text in topics())
    shown = (" ".join([*text[:40], MASK, *text[41:]]) for text in words if len(text) == 60)
    return [renderer.solve(passage, None) for passage in islice(shown, count)]


def sampled(
    sampler: Sampler, prompts: Sequence[Prompt], n: int, params: SamplingParams, seed: int
) -> list[Rollout]:
    """The rollouts of prompts that are completed side by side, in their order."""

    async def together() -> list[list[Rollout]]:
        requests = (Request(p, n, params, seed + at) for at, p in enumerate(prompts))
        return await asyncio.gather(*map(sampler.sample, requests))

    return [rollout for group in aio.run(together()) for rollout in group]


def apart(learner: LocalPolicy, rollouts: Sequence[Rollout]) -> torch.Tensor:
    """Nats between server and learner, of every token of every rollout, in a row."""
    gaps = []
    for one in rollouts:
        whole = learner.logprobs([*one.prompt.ids, *one.completion_ids])
        gaps.append((whole[len(one.prompt.ids) - 1 :] - torch.tensor(one.logprobs)).abs())
    return torch.cat(gaps)


def parted(learner: LocalPolicy, mine: Rollout, theirs: Rollout) -> float | None:
    """Nats between the two tokens at which completions part, to the learner; None: they do not."""
    left, right = mine.completion_ids, theirs.completion_ids
    at = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), None)
    if at is None:
        return None if left == right else float("inf")
    told = [learner.logprobs([*mine.prompt.ids, *ids[: at + 1]])[-1] for ids in (left, right)]
    return float(told[0] - told[1])


def told(what: str, gaps: torch.Tensor) -> str:
    """A line on differences."""
    share = 100 * (gaps <= CLOSE).float().mean()
    return (
        f"  {what}: {len(gaps)} tokens, {share:.2f} % within {CLOSE} nats; "
        f"mean {gaps.mean():.2g}, largest {gaps.max():.2g}"
    )


def unlike(some: Sequence[Rollout], others: Sequence[Rollout]) -> int:
    """How many completions of the same prompts differ."""
    pairs = zip(some, others, strict=True)
    return sum(a.completion_ids != b.completion_ids for a, b in pairs)


@dataclass
class Comparison:
    """A server beside the policy that learns.

    Attributes:
        policy: Samples on the server.
        prompts: What is completed.
        warm: How completions are drawn of which one learns.
        greedy: How those are drawn that have to be equal.
    """

    policy: ServedPolicy
    prompts: Sequence[Prompt]
    warm: SamplingParams
    greedy: SamplingParams

    def drawn(self, seed: int) -> list[Rollout]:
        """Draws completions on the server and prints how far their log-probabilities are off."""
        drawn = sampled(self.policy, self.prompts, 2, self.warm, seed)
        assert {one.policy_version for one in drawn} == {self.policy.version}
        print(told("temperature 1", apart(self.policy.learner, drawn)))
        return drawn

    def greedily(self, earlier: Sequence[Sequence[Rollout]]) -> list[Rollout]:
        """Completes on both sides and prints whether they are equal.

        Args:
            earlier: The learner's completions, by version.

        Returns:
            Those of now.
        """
        sides = (self.policy, self.policy.learner)
        theirs, mine = (sampled(side, self.prompts, 1, self.greedy, 0) for side in sides)
        print(told("greedy", apart(self.policy.learner, theirs)))
        gaps = [parted(self.policy.learner, *pair) for pair in zip(mine, theirs, strict=True)]
        ties = ", ".join(f"{gap:.2g}" for gap in gaps if gap is not None)
        print(f"  greedy completions equal: {gaps.count(None)} of {len(gaps)}", end="")
        print(f" (parted at tokens {ties} nats apart)" if ties else "", end="")
        if earlier:
            print(
                f"; changed by this step {unlike(mine, earlier[-1])}, since the start "
                f"{unlike(mine, earlier[0])}",
                end="",
            )
        print(flush=True)
        return mine


def learned(policy: ServedPolicy, drawn: Sequence[Rollout], rate: float) -> None:
    """Takes a step, and prints how far off a server would be that kept the weights from before."""
    records = [
        TrainingRecord("solve", one.prompt.ids, one.completion_ids, 1.0, "d") for one in drawn
    ]
    policy.update(records, rate)
    policy.publish()
    print(told("weights from before would be", apart(policy.learner, drawn)))


def parse() -> argparse.Namespace:
    """Reads the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="as `alive train --model` takes it")
    parser.add_argument("url", nargs="+", help="servers")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--lora-rank", type=int, default=0, help="0: all weights train")
    parser.add_argument("--rate", type=float, default=0.0, help="0: 1e-4 of adapters, else 1e-5")
    parser.add_argument("--dtype", default="auto", help="what the learner computes in")
    parser.add_argument("--threads", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Prints the differences at the start and after each step."""
    options = parse()
    rate = options.rate or (1e-4 if options.lora_rank else 1e-5)
    settings = ModelConfig(
        id=options.model, lora_rank=options.lora_rank, dtype=options.dtype, threads=options.threads
    )
    learn = LearnConfig(learning_rate=rate, micro_batch_tokens=1024)
    learner, renderer = load_policy(settings, learn, copies=False)
    with tempfile.TemporaryDirectory() as folder:
        policy = ServedPolicy(learner, open_replicas(options.url), Path(folder) / "served")
        sides = Comparison(
            policy,
            prompts_of(renderer, options.prompts),
            SamplingParams(options.tokens),
            SamplingParams(options.tokens, temperature=0.0),
        )
        drawn: list[Rollout] = []
        greedy: list[list[Rollout]] = []
        for step in range(options.steps + 1):
            print(f"after {step} steps:")
            if step:
                learned(policy, drawn, rate)
            began = now()[0]
            sampled(policy, sides.prompts[:1], 1, SamplingParams(1), 0)
            print(f"  weights sent and checked in {now()[0] - began:.1f} s")
            drawn = sides.drawn(100 * step)
            greedy.append(sides.greedily(greedy))


if __name__ == "__main__":
    main()
