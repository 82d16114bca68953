"""What the same games teach a solver, learned in each way: with words, with rewards, or by reading.

A model plays documents once a seed; every way then learns from those games, in the same batches,
and is measured on validation documents: one greedy answer each, paired with other ways by seed and
task. So what differs is what is learned of an attempt, not which attempts were drawn, and a way
costs minutes where a run of its own would cost hours. The attempts are those of the first weights
throughout, which is fair to all ways for as long as updates are few.

    python benchmarks/lessons.py MODEL CORPUS FOLDER [--seeds 3] [--ways rft,review,rft+review@1e-3]

What is done stands in FOLDER and is not done again. The ways, each at --rate or at the rate behind
an @, several joined by +:

    rft      right attempts are imitated
    grpo     each attempt has its advantage
    review   wrong attempts follow, token by token, what the model writes there once it has read its
             honest review of them
    empty    the same, having read words that say nothing
    text     all attempts follow what the model writes there with the whole text in view
    nothing  all attempts follow the model itself, only surer: a control
    read     the text that follows a question is learned as it stands: no game, no words
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from timing import now

from alive import aio
from alive.arms import alive, baselines
from alive.compare.tables import Measured, compared, estimated, in_domain
from alive.config import Config
from alive.corpus import Corpus, open_corpus
from alive.engines.local import LocalPolicy, load_policy
from alive.evaluation.accuracy import greedy_attempts
from alive.evaluation.separation import probe_tasks
from alive.evaluation.statistics import Difference, Estimate
from alive.game import play_all
from alive.prompts import Renderer
from alive.protocols import SamplingParams
from alive.store.atomic import write_json
from alive.types import Episode, Task, TrainingRecord

SEED = 56
"""Of the validation tasks, the same whatever the seed of the games, and of the intervals."""

DISTILLED = ("review", "empty", "text", "nothing")
WAYS = ("rft", "grpo", *DISTILLED, "read")
BEFORE = "before"

RAMP = 3
"""Updates over which the rate rises."""

TOGETHER = 8
"""Documents that are played side by side, and then kept."""

GAMES = TypeAdapter(tuple[int, list[Episode]])
"""Documents that were taken, and the games of those that hold a task."""


def settings(options: argparse.Namespace, seed: int, way: str = "", rate: float = 1e-4) -> Config:
    """The settings of the games, and of a way to learn from them."""
    followed = [part for part in way.split("+") if part in DISTILLED]
    learn: dict[str, Any] = {"learning_rate": rate, "micro_batch_tokens": options.pass_tokens}
    if followed:
        learn |= {"distil_weight": 1.0, "distil_follow": 0.0, "distil_from": followed[0]}
    return Config.model_validate(
        {
            "seed": seed,
            "model": {"id": options.model, "threads": options.threads, "lora_rank": options.lora},
            "corpus": {"paths": [options.corpus], "chunk_tokens": 512, "validation_share": 0.1},
            "game": {
                "masks_per_document": 1, "solutions_per_mask": options.attempts,
                "reviews_per_document": options.reviews, "revisions_per_mask": 0,
                "random_share": 1.0, "conditioned": False,
            },
            "sampling": {"solve_tokens": options.tokens, "review_tokens": 160},
            "warmup": {"steps": 0},
            "learn": learn,
        }
    )  # fmt: skip


def opened(config: Config, policy: LocalPolicy) -> Corpus:
    """The corpus of the games."""
    return open_corpus(config.corpus, policy.renderer.count_tokens, [], config.seed)


def games(options: argparse.Namespace, seed: int, path: Path) -> list[Episode]:
    """The games of a seed, played now where they are not kept yet."""
    taken, played = GAMES.validate_json(path.read_bytes()) if path.exists() else (0, [])
    if len(played) >= options.documents:
        return played
    config = settings(options, seed)
    policy, renderer = load_policy(config.model)
    stream = opened(config, policy).documents("train", taken)
    while len(played) < options.documents:
        some = list(islice(stream, TOGETHER))
        new = aio.run(play_all(some, 0, policy, renderer, config, conditioned=False))
        taken += len(some)
        played += [game.episode for game in new if game.episode.tasks]
        write_json(path, GAMES.dump_python((taken, played), mode="json"))
        right = sum(a.correct for game in played for group in game.attempts for a in group)
        print(f"  seed {seed}: {len(played)} documents, {right} attempts right", flush=True)
    return played


def records(episode: Episode, renderer: Renderer, config: Config, way: str) -> list[TrainingRecord]:
    """What a game teaches in one way, and nothing else of it."""
    if way in DISTILLED:
        made, _ = alive.records(episode, renderer, config.learn, conditioned=False)
        return [record for record in made if record.loss == "distil"]
    if way == "read":
        return read(episode, renderer)
    arm = {"grpo": baselines.grpo, "rft": baselines.rft}[way]
    # Of an attempt that was asked for its answer the likelihoods are not known; to these ways it
    # has none.
    groups = tuple(
        tuple(replace(a, correct=False) if a.asked else a for a in group)
        for group in episode.attempts
    )
    made, _ = arm(replace(episode, attempts=groups))
    return [record for record in made if record.sampling_logprobs]


def read(episode: Episode, renderer: Renderer) -> list[TrainingRecord]:
    """The text that follows its question, under the plain prompt."""
    made = []
    for task in episode.tasks:
        document = episode.document
        question, rest = document.text[: document.asked], document.text[document.asked :]
        if not question or question.strip() != task.passage.strip():
            continue
        text = f"{rest.strip()}\n\\boxed{{{task.span}}}"
        ids = renderer.complete(text)
        prompt = renderer.solve(task.passage, None)
        made.append(TrainingRecord("solve", prompt.ids, ids, 1.0, task.document_id, task.id))
    return made


def batches(played: Sequence[Episode], size: int, count: int) -> Iterator[Sequence[Episode]]:
    """Batches of documents, in turn, so many."""
    for step in range(count):
        yield [played[(step * size + at) % len(played)] for at in range(size)]


def learned(
    options: argparse.Namespace, seed: int, played: Sequence[Episode], way: str, rate: float
) -> LocalPolicy:
    """A policy that has learned from the games in one way."""
    config = settings(options, seed, way, rate)
    policy, renderer = load_policy(config.model, config.learn, seed)
    began, count = now()[0], options.updates
    for step, batch in enumerate(batches(played, options.batch, count), start=1):
        made = [
            one
            for part in way.split("+")
            for game in batch
            for one in records(game, renderer, config, part)
        ]
        if not made:
            continue
        # Up to its height, and from there on a line down to a tenth, as in a run.
        height = min(1.0, step / RAMP) * (1 - 0.9 * (step - 1) / count)
        stats = policy.update(made, rate * height)
        policy.publish()
        if step in (1, count):
            took = f"{stats.tokens} tokens, loss {stats.role_loss}, {now()[0] - began:.0f} s"
            print(f"  {way}, seed {seed}, update {step}: {took}", flush=True)
    return policy


def measured(policy: LocalPolicy, config: Config, count: int) -> list[dict[str, Any]]:
    """One greedy answer to each task of documents that no game is played on."""
    documents, params = opened(config, policy).documents("validation"), SamplingParams(1)
    tasks: list[Task] = aio.run(
        probe_tasks(policy, policy.renderer, documents, count, config.game, params, SEED)
    )
    answers = aio.run(greedy_attempts(policy, policy.renderer, tasks, config.sampling, SEED))
    return [
        {
            "id": task.id, "domain": "", "correct": answer.correct,
            "cut": answer.rollout.stop != "stop", "tokens": len(answer.rollout.completion_ids),
        }
        for task, answer in zip(tasks, answers, strict=True)
    ]  # fmt: skip


def cell(options: argparse.Namespace, seed: int, named: str) -> Measured:
    """What is measured of one way and seed, done now where it is not kept yet."""
    way, _, rate = named.partition("@")
    # Before it learns, the model is the same whatever the seed.
    folder = Path(options.folder) / ("" if way == BEFORE else f"seed-{seed}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{named}.json"
    if not path.exists():
        config = settings(options, seed)
        if way == BEFORE:
            policy, _ = load_policy(config.model)
        else:
            played = games(options, seed, folder / "games.json")
            policy = learned(options, seed, played, way, float(rate))
        write_json(path, measured(policy, config, options.held))
    return Measured("all", seed, json.loads(path.read_text("utf-8")), {}, {})


def row(name: str, cells: Sequence[Measured], others: Sequence[Sequence[Measured]]) -> str:
    """A line of the table: right, and minus others; cut at the limit, and tokens."""
    value = in_domain("correct")
    figures: list[Estimate | Difference | None] = [estimated(cells, value, SEED)]
    figures += [compared(cells, other, value, SEED) for other in others]
    shown = [
        f"{100 * one.mean:.1f} [{100 * one.low:.1f}, {100 * one.high:.1f}]"
        if one is not None and one.low is not None and one.high is not None
        else "-"
        for one in figures
    ]
    rows = [row for cell in cells for row in cell.rows]
    cut, tokens = (sum(row[key] for row in rows) / len(rows) for key in ("cut", "tokens"))
    return f"| {name} | {' | '.join(shown)} | {100 * cut:.0f} | {tokens:.0f} |"


def claim(options: argparse.Namespace) -> None:
    """Refuses a folder that holds games or measures under other settings."""
    free = ("folder", "ways", "rate", "against", "seeds", "seed", "threads", "pass_tokens")
    kept = {name: value for name, value in vars(options).items() if name not in free}
    path = Path(options.folder) / "settings.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and json.loads(path.read_text("utf-8")) != kept:
        raise SystemExit(f"{options.folder} holds lessons with other settings; name another one")
    write_json(path, kept)


def named(way: str, rate: float) -> str:
    """A way with its rate, spelled in one way only; refuses what cannot be learned."""
    parts, _, own = way.partition("@")
    for part in parts.split("+"):
        if part not in WAYS:
            raise SystemExit(f"there is no way {part!r}; there are {', '.join(WAYS)}")
    if sum(part in DISTILLED for part in parts.split("+")) > 1:
        raise SystemExit(f"{parts}: one of {', '.join(DISTILLED)} at a time")
    return f"{parts}@{float(own or rate):g}"


def parsed() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a model's folder, name or hub id")
    parser.add_argument("corpus", help="texts")
    parser.add_argument("folder", help="where games and measures are kept")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--against", default="rft", help="the way that others are compared with")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=SEED, help="the first")
    parser.add_argument("--documents", type=int, default=48)
    parser.add_argument("--attempts", type=int, default=8, help="a document")
    parser.add_argument("--reviews", type=int, default=3, help="a document")
    parser.add_argument("--tokens", type=int, default=320, help="an attempt, at most")
    parser.add_argument("--updates", type=int, default=8)
    parser.add_argument("--batch", type=int, default=6, help="documents an update")
    parser.add_argument("--held", type=int, default=160, help="validation tasks, at most")
    parser.add_argument("--lora", type=int, default=16, help="rank of adapters; 0: all weights")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pass-tokens", type=int, default=2048, help="a GPU takes 32768")
    return parser.parse_args()


def main() -> None:
    """Does what is not done, and prints the table."""
    options = parsed()
    claim(options)
    ways = [named(way, options.rate) for way in options.ways.split(",")]
    seeds = range(options.seed, options.seed + options.seeds)
    # Seed by seed, so that an early look sees whole rows.
    done = [{name: cell(options, seed, name) for name in (BEFORE, *ways)} for seed in seeds]
    cells = {name: [one[name] for one in done] for name in (BEFORE, *ways)}
    against = next((name for name in ways if options.against in (name, name.split("@")[0])), None)
    others = [cells[name] for name in (BEFORE, against) if name]
    names = ["before", *([against] if against else [])]
    print(
        f"| way @ rate | right, % | {' | '.join(f'- {name}' for name in names)} | cut, % | tokens |"
    )
    print(f"|---|{'---:|' * (3 + len(names))}")
    for name, some in cells.items():
        print(row(name, some, others))


if __name__ == "__main__":
    main()
