"""How a blind reviewer learns best from the view that knows the answer, on attempts of a file.

Every way has the same attempts in the same batches, and as many tokens to sample and to train (what
a teacher reads is not counted). Blind verdicts are measured on other questions, before and after: J
of the greedy verdict, AUC of its probability.

    python benchmarks/reviewers.py MODEL FILE.jsonl --gather SUITE --questions 120
    python benchmarks/reviewers.py MODEL FILE.jsonl [--ways imitate,follow,...] [--tokens 16000]

The first writes FILE.jsonl as `alive judge` reads it; the second learns adapters. The ways:

    imitate         the privileged view's honest critiques are learned under the blind prompt
    follow          the blind view writes; its distribution follows the privileged view's, token by
                    token, as the weights of the beginning have it
    follow-live     the same, as the weights of the moment have it
    both            imitate and follow
    verdict         the blind view writes; a policy gradient on its verdict being right
    follow+verdict  follow, and that gradient at a third
    name            no review is drawn: the true verdict is learned as the beginning of one
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from timing import now

from alive import aio
from alive.arms.baselines import advantages
from alive.config import LearnConfig, ModelConfig, SamplingConfig
from alive.engines.local import LocalPolicy, load_policy
from alive.evaluation import as_task, load_suite
from alive.evaluation.reviewer import FrozenAttempt, judge, score_reviews
from alive.evaluation.rows import answered_rows
from alive.evaluation.statistics import area_under_roc
from alive.feedback import keep_review
from alive.protocols import SamplingParams
from alive.roles.review import TRIES, review_each
from alive.roles.solve import solve
from alive.types import Attempt, Prompt, Review, Rollout, Task, TrainingRecord

SEED = 16
WAYS = ("imitate", "follow", "follow-live", "both", "verdict", "follow+verdict", "name")
SMALL = 0.3
"""Weight of the policy gradient beside a distribution that is followed."""

OPENING = SamplingConfig(review_tokens=12)
"""A verdict stands at the beginning of a chat model's review; the rest is not needed to measure it.
Reviews that have none so soon are counted as mute."""

RESAMPLES = 2_000


@dataclass(frozen=True)
class Measured:
    """Blind verdicts on held-out attempts.

    Attributes:
        frozen: The attempts.
        reviews: One of each.
    """

    frozen: Sequence[FrozenAttempt]
    reviews: Sequence[Review]

    def values(self, chosen: Sequence[int]) -> tuple[float, float]:
        """J and AUC on some of them."""
        right = [self.frozen[i].attempt.correct for i in chosen]
        passed = [self.reviews[i].verdict is True for i in chosen]
        auc = area_under_roc([self.reviews[i].score or 0.0 for i in chosen], right)
        if auc is None:
            return np.nan, np.nan
        tpr = sum(p for p, r in zip(passed, right, strict=True) if r) / sum(right)
        fpr = sum(p for p, r in zip(passed, right, strict=True) if not r) / (
            len(right) - sum(right)
        )
        return tpr - fpr, auc


def read(path: str) -> list[FrozenAttempt]:
    """The attempts of a file whose rows say whether they are right; questions by their ids."""
    kept = []
    for number, row in enumerate(answered_rows(Path(path))):
        if row.correct is None:
            raise SystemExit(f"{path}: row {row.id} does not say whether it is correct")
        task = Task(row.id, "", row.question, row.reference, "random")
        rollout = Rollout(Prompt("solve", ()), (), (), row.attempt, "stop", 0)
        kept.append(FrozenAttempt(task, Attempt(row.id, number, rollout, None, row.correct)))
    return kept


def gather(model: str, path: str, suite: str, questions: int, a_question: int) -> None:
    """Writes finished attempts of the model, a few questions at a time; at most two of a kind."""
    policy, renderer = load_policy(ModelConfig(id=model))
    items = load_suite(suite, questions).items
    params = SamplingParams(320, temperature=0.7)
    with open(path, "w") as file:
        for at in range(0, len(items), 15):
            tasks = [as_task(item, asks=True) for item in items[at : at + 15]]

            async def groups(tasks: Sequence[Task] = tasks) -> list[tuple[Attempt, ...]]:
                return await asyncio.gather(
                    *(solve(policy, renderer, t, a_question, params, None, SEED) for t in tasks)
                )

            for task, group in zip(tasks, aio.run(groups()), strict=True):
                ended = [a for a in group if a.answer and a.rollout.stop == "stop"]
                for correct in (True, False):
                    texts = dict.fromkeys(a.rollout.text for a in ended if a.correct is correct)
                    for text in list(texts)[:2]:
                        row: dict[str, str | bool] = {
                            "id": task.id,
                            "question": task.passage,
                            "answer": task.span,
                        }
                        row |= {"attempt": text, "correct": correct}
                        file.write(json.dumps(row) + "\n")
            file.flush()
            print(f"{at + len(tasks)} questions", flush=True)


def parted(items: Sequence[FrozenAttempt]) -> tuple[list[FrozenAttempt], list[FrozenAttempt]]:
    """Attempts to learn from, and those of every third question."""
    questions = list(dict.fromkeys(item.task.id for item in items))
    held = set(questions[::3])
    return [i for i in items if i.task.id not in held], [i for i in items if i.task.id in held]


def batches(items: Sequence[FrozenAttempt], size: int) -> Iterator[list[FrozenAttempt]]:
    """Endless batches, half of them right, each attempt in turn."""
    rng = random.Random(SEED)

    def turns(correct: bool) -> Iterator[FrozenAttempt]:
        own = [item for item in items if item.attempt.correct is correct]
        while True:
            rng.shuffle(own)
            yield from own

    right, wrong = turns(True), turns(False)
    while True:
        yield [next(side) for _ in range(size // 2) for side in (right, wrong)]


def measure(policy: LocalPolicy, held: Sequence[FrozenAttempt]) -> Measured:
    """Has the held-out attempts judged blind, greedily."""
    return Measured(held, aio.run(judge(policy, policy.renderer, held, OPENING, SEED)))


def records(
    policy: LocalPolicy, batch: Sequence[FrozenAttempt], way: str, tokens: int, step: int
) -> tuple[list[TrainingRecord], str]:
    """What a batch teaches, and how the reviews that were drawn for it look."""
    tasks, attempts = [i.task for i in batch], [i.attempt for i in batch]
    made: list[TrainingRecord] = []
    notes = []
    if way == "name":
        return [named(policy, item) for item in batch], f"{len(batch)} verdicts"

    def drawn(privileged: bool, temperature: float, tries: int) -> tuple[Review, ...]:
        params = SamplingParams(tokens, temperature=temperature)
        return aio.run(
            review_each(
                policy, policy.renderer, tasks, attempts, privileged, params, SEED + step, tries
            )
        )

    def record(item: FrozenAttempt, written: Review, weight: float) -> TrainingRecord:
        passage, text = item.task.passage, item.attempt.rollout.text
        prompt = policy.renderer.review(passage, text)
        rollout = written.rollout
        assert rollout is not None  # a policy wrote it
        return TrainingRecord(
            "review", prompt.ids, rollout.completion_ids, weight, item.task.id,
            sampling_logprobs=rollout.logprobs, policy_version=rollout.policy_version,
        )  # fmt: skip

    if way in ("imitate", "both"):
        reviews = drawn(True, 0.0, TRIES)
        kept = [
            pair
            for pair in zip(batch, reviews, strict=True)
            if keep_review(pair[1], pair[0].attempt.correct)
        ]
        sides = {e: sum(item.attempt.correct is e for item, _ in kept) for e in (True, False)}
        if all(sides.values()):
            made += [
                record(item, said, len(kept) / (2 * sides[item.attempt.correct]))
                for item, said in kept
            ]
        notes.append(f"{len(kept)} kept")
    if way != "imitate":
        reviews = drawn(False, 1.0, 1)
        hits = [
            float(said.verdict is item.attempt.correct)
            for item, said in zip(batch, reviews, strict=True)
        ]
        notes.append(f"{sum(hits):.0f} verdicts right")
        for item, said, gain in zip(batch, reviews, advantages(hits), strict=True):
            plain = record(item, said, 1.0)
            if way != "verdict":
                informed = policy.renderer.review(
                    item.task.passage, item.attempt.rollout.text, item.task.span,
                    item.attempt.correct,
                )  # fmt: skip
                made.append(replace(plain, loss="distil", informed_prompt_ids=informed.ids))
            if "verdict" in way and gain:
                weight = gain if way == "verdict" else SMALL * gain
                made.append(replace(plain, loss="policy_gradient", weight=weight))
    return made, ", ".join(notes)


def named(policy: LocalPolicy, item: FrozenAttempt) -> TrainingRecord:
    """The true verdict as the beginning of a blind review."""
    said = "right" if item.attempt.correct else "wrong"
    renderer, text = policy.renderer, f"The attempt is {said} because"
    prompt = renderer.review(item.task.passage, item.attempt.rollout.text)
    ids = renderer.complete(text)[:-1]  # a review goes on from here
    return TrainingRecord("review", prompt.ids, ids, 1.0, item.task.id)


def learned(
    options: argparse.Namespace, way: str, items: Sequence[FrozenAttempt]
) -> Iterator[Measured]:
    """Measures a policy before and after it has learned in one way."""
    learn = LearnConfig(
        learning_rate=options.rate, review_weight=1.0, distil_weight=1.0,
        distil_follow=1.0 if way == "follow-live" else 0.0, micro_batch_tokens=2048,
    )  # fmt: skip
    model = ModelConfig(
        id=options.model, dtype=options.dtype, threads=options.threads, lora_rank=16
    )
    policy, _ = load_policy(model, learn, SEED)
    seen, held = parted(items)
    if way == options.ways.split(",")[0]:  # adapters begin at nothing: all ways begin alike
        yield measure(policy, held)
    began, start = now()[0], policy.usage
    for step, batch in enumerate(batches(seen, options.batch), start=1):
        spent = policy.usage
        if spent.tokens_sampled + spent.tokens_trained - start.tokens_sampled >= options.tokens:
            break
        if step > options.updates > 0:
            break
        made, note = records(policy, batch, way, options.review_tokens, step)
        if made:
            stats = policy.update(made, options.rate * min(1.0, step / 3))
            policy.publish()
            note += f", loss {stats.role_loss}, norm {stats.grad_norm:.2f}"
        print(f"  {way} {step}: {note}, {now()[0] - began:.0f} s", flush=True)
    yield measure(policy, held)


def row(name: str, after: Measured, before: Measured) -> None:
    """Prints a line: values with intervals, and the change, questions resampled together."""
    scores = score_reviews(after.frozen, after.reviews)
    questions = list(dict.fromkeys(item.task.id for item in after.frozen))
    where = {q: [i for i, f in enumerate(after.frozen) if f.task.id == q] for q in questions}
    rng = np.random.default_rng(SEED)
    draws = []
    for _ in range(RESAMPLES):
        picked = rng.choice(len(questions), len(questions))
        chosen = [i for at in picked for i in where[questions[at]]]
        new, old = np.array(after.values(chosen)), np.array(before.values(chosen))
        draws.append(np.concatenate([new, new - old]))
    ends = np.nanpercentile(np.array(draws), [2.5, 97.5], axis=0).T
    everything = range(len(after.frozen))
    new, old = np.array(after.values(everything)), np.array(before.values(everything))
    cells = [
        f"{value:.2f} ({low:.2f} to {high:.2f})"
        for value, (low, high) in zip([*new, *(new - old)], ends, strict=True)
    ]
    mute = sum(said.verdict is None for said in after.reviews)
    said = f"{scores.tpr:.2f}, {scores.fpr:.2f} | {mute} of {len(after.reviews)}"
    print(f"| {name} | {' | '.join(cells)} | {said} |", flush=True)


def main() -> None:
    """Gathers attempts, or prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a model's folder, name or hub id")
    parser.add_argument("file", help="attempts, JSON lines with `correct`")
    parser.add_argument("--gather", default="", help="a suite whose questions are attempted first")
    parser.add_argument("--questions", type=int, default=120)
    parser.add_argument("--attempts", type=int, default=4, help="a question")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--tokens", type=int, default=16_000, help="sampled and trained, each way")
    parser.add_argument("--updates", type=int, default=0, help="at most; 0: by tokens alone")
    parser.add_argument("--batch", type=int, default=12, help="attempts an update")
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--review-tokens", type=int, default=96)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.gather:
        gather(options.model, options.file, options.gather, options.questions, options.attempts)
        return
    items = read(options.file)
    seen, held = parted(items)
    print(
        f"{options.model}: learns from {len(seen)} attempts "
        f"({sum(i.attempt.correct for i in seen)} right), measured on {len(held)} "
        f"({sum(i.attempt.correct for i in held)} right) at other questions"
    )
    print(
        "| way | J | AUC | J - before | AUC - before | called right, of right and of wrong | mute |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
    before = None
    for way in options.ways.split(","):
        for measured in learned(options, way, items):
            if before is None:
                before = measured
                row("before", measured, measured)
            else:
                row(way, measured, before)


if __name__ == "__main__":
    main()
