"""What a second try is worth to a model, with and without words, its first in view or not.

Of questions that a model answers rightly in some of its attempts and wrongly in others, one wrong
attempt each is tried again: from the question alone; after words that say nothing; and after the
model's own review, in view of the answer, or of the whole working, as far as one may guide a
reviser; under the shipped prompt, and under one with the first attempt in view. Words teach where
they beat words that say nothing, and a revision is worth its tokens where it beats a new attempt.

    python benchmarks/revisions.py MODEL SUITE [--questions 60] [--wrong 24] [--samples 3]
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from prompt_variants import Variant, renderer_of
from timing import now

from alive import aio
from alive.config import ModelConfig
from alive.engines.local import LocalPolicy, load_policy
from alive.evaluation import as_task, load_suite
from alive.evaluation.statistics import estimate, paired_difference
from alive.feedback import may_guide
from alive.prompts import Renderer
from alive.protocols import SamplingParams
from alive.roles.review import TRIES, from_text, review_each
from alive.roles.solve import revise, solve
from alive.types import Attempt, Review, Task

SEED = 48

SEEN = """Task (a question, or a text in which $blank stands for a missing piece):
$passage

A first attempt:
$attempt

A review of that attempt:
$review

Use the review to try again. Please reason step by step, and put your final answer within \\boxed{}.
"""
VARIANTS = {"shipped": Variant(), "attempt in view": Variant({"revise.txt": SEEN})}

WORKING = """Here is an attempt at a task, which is a question or a text in which $blank stands for a missing piece.

Task:
$passage

Attempt:
$attempt

For your eyes only, this is how it is worked out:
$span

Compared with that the attempt is $outcome. Say to its author in one or two sentences which step is the first wrong one and what has to be worked out in its place, and why. Do not state the answer. Begin with "The attempt is $outcome because".
"""  # noqa: E501
VIEWS = {
    "own review": Variant(),
    "review of the working": Variant({"review_privileged.txt": WORKING}),
}
"""What the reviewer sees beside the attempt: the answer, or all that leads to it."""


@dataclass(frozen=True)
class Case:
    """A wrong attempt, and by view the words that may guide another; None where there are none."""

    task: Task
    wrong: Attempt
    words: dict[str, Review | None]


async def cases(
    policy: LocalPolicy, workings: dict[Task, str], limit: int, params: SamplingParams
) -> list[Case]:
    """Finds wrong attempts at questions that are answered rightly as well; has them reviewed.

    Args:
        policy: Who answers and reviews.
        workings: The questions, and what leads to each answer.
        limit: Most cases.
        params: How attempts are drawn.
    """
    tasks, renderer = list(workings), policy.renderer
    groups = await asyncio.gather(
        *(solve(policy, renderer, task, 4, params, None, SEED) for task in tasks)
    )
    chosen = [
        (task, next(a for a in group if not a.correct and a.rollout.stop == "stop"))
        for task, group in zip(tasks, groups, strict=True)
        if any(a.correct for a in group)
        and any(not a.correct and a.rollout.stop == "stop" for a in group)
    ][:limit]
    wrong = [attempt for _, attempt in chosen]
    judging = SamplingParams(160, temperature=0.0)
    views: dict[str, list[Review | None]] = {}
    for name, variant in VIEWS.items():
        shown = renderer_of(policy, variant)
        seen = [
            task if name == "own review" else replace(task, span=workings[task])
            for task, _ in chosen
        ]
        said = await review_each(policy, shown, seen, wrong, True, judging, SEED, TRIES)
        # Whatever was seen, what must not be stated is the answer.
        read = [
            from_text(task, attempt, one.text, shown.templates.said, rollout=one.rollout)
            for (task, attempt), one in zip(chosen, said, strict=True)
        ]
        views[name] = [
            one if may_guide(one, task.span) else None
            for (task, _), one in zip(chosen, read, strict=True)
        ]
    return [
        Case(task, attempt, {name: words[at] for name, words in views.items()})
        for at, (task, attempt) in enumerate(chosen)
    ]


async def revised(
    policy: LocalPolicy,
    renderer: Renderer,
    case: Case,
    said: Review,
    samples: int,
    params: SamplingParams,
) -> list[Attempt]:
    """Tries again after words."""
    return list(
        await asyncio.gather(
            *(
                revise(policy, renderer, case.task, case.wrong, said, params, SEED + at)
                for at in range(samples)
            )
        )
    )


def row(
    name: str, tries: Sequence[Sequence[Attempt]], cases: Sequence[Case], took: float
) -> list[float]:
    """Prints a line of the table.

    Returns:
        Each case's share of right ones.
    """
    shares = [sum(a.correct for a in group) / len(group) for group in tries]
    found = estimate(shares, SEED)
    flat = [(a, case) for group, case in zip(tries, cases, strict=True) for a in group]
    same = sum(a.answer is not None and a.answer == case.wrong.answer for a, case in flat)
    print(
        f"| {name} | {len(shares)} | {100 * found.mean:.0f} ({100 * found.low:.0f} to "
        f"{100 * found.high:.0f}) | {100 * same / len(flat):.0f} | {took:.0f} |",
        flush=True,
    )
    return shares


def main() -> None:
    """Prints the table and the differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a model's folder, name or hub id")
    parser.add_argument("suite", help="questions, JSON lines; not those that are reported")
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--wrong", type=int, default=24, help="most wrong attempts")
    parser.add_argument("--samples", type=int, default=3, help="second tries each")
    parser.add_argument("--tokens", type=int, default=320, help="limit of an attempt")
    parser.add_argument("--only", default="", help="names of variants, separated by ;")
    options = parser.parse_args()
    policy, _ = load_policy(ModelConfig(id=options.model))
    workings = {
        as_task(item, asks=True): item.worked or item.answer
        for item in load_suite(options.suite, options.questions).items
    }
    params = SamplingParams(options.tokens, temperature=1.0)
    found = aio.run(cases(policy, workings, options.wrong, params))
    usable = [case for case in found if all(case.words.values())]
    print(
        f"{options.model}, {len(found)} wrong attempts, {len(usable)} with words that may guide\n"
    )
    print("| second try | attempts | right, % | the first answer again, % | seconds |")
    print("|---|---:|---:|---:|---:|", flush=True)

    async def afresh() -> list[tuple[Attempt, ...]]:
        return await asyncio.gather(
            *(
                solve(policy, policy.renderer, case.task, options.samples, params, None, SEED + 1)
                for case in usable
            )
        )

    began = now()[0]
    fresh = row("the question alone", aio.run(afresh()), usable, now()[0] - began)
    names = options.only.split(";") if options.only else list(VARIANTS)
    for name in names:
        renderer = renderer_of(policy, VARIANTS[name])
        shares = {}
        for words in ("nothing", *VIEWS):

            async def tries(
                words: str = words, renderer: Renderer = renderer
            ) -> list[list[Attempt]]:
                said = [
                    case.words[words]
                    if words in VIEWS
                    else from_text(
                        case.task, case.wrong, renderer.words.content_free, privileged=False
                    )
                    for case in usable
                ]
                return await asyncio.gather(
                    *(
                        revised(policy, renderer, case, one, options.samples, params)
                        for case, one in zip(usable, said, strict=True)
                        if one is not None
                    )
                )

            began = now()[0]
            made = aio.run(tries())
            shares[words] = row(f"{name}, {words}", made, usable, now()[0] - began)
        for view in VIEWS:
            for other, what in ((shares["nothing"], "nothing"), (fresh, "question alone")):
                change = paired_difference(other, shares[view], SEED)
                ends = ", ".join(f"{100 * end:+.0f}" for end in (change.low, change.high))
                print(f"  {name}: {view} - {what} {100 * change.mean:+.0f} ({ends})", flush=True)


if __name__ == "__main__":
    main()
