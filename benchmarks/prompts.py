"""Which prompts a model understands: blanks, questions and reviews, several wordings of each.

Blanks hide one span of each validation document, the same under every wording. Questions are a
suite's. Reviews judge attempts at the questions, or at the blanks where there is no suite, the
answer in view and not. Shares come with Wilson intervals at 95 %.

    python benchmarks/prompts.py MODEL CORPUS [--ask blanks,reviews] [--documents 48] [--tokens 512]
        [--suite train.jsonl] [--only NAME,...] [--prompts FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from prompt_variants import BLANKS, CONDITIONS, POSES, QUESTIONS, REVIEWS, Variant, renderer_of
from timing import now

from alive import aio
from alive.config import CorpusConfig, GameConfig, ModelConfig
from alive.corpus import open_corpus
from alive.engines.local import LocalPolicy, load_policy
from alive.evaluation import as_task, load_suite
from alive.evaluation.statistics import proportion
from alive.feedback import keep_review, review_leaks
from alive.prompts import Renderer
from alive.protocols import Request, SamplingParams
from alive.roles.gate import invalid_reason, passage, random_spans
from alive.roles.pose import proposed_span
from alive.roles.review import review_each
from alive.roles.solve import solve
from alive.seeding import derive
from alive.types import OF_TEXT, Attempt, Context, Document, Framing, Task

SEED = 7


def blanks(documents: Sequence[Document], context: Context) -> list[Task]:
    """One task a document; the first span that suits either way of showing it."""
    tasks = []
    for document in documents:
        before = replace(document, framing=Framing("before", least_share_before=0.25))
        spans = random_spans(before, GameConfig(), (), derive(SEED, document.id))
        whole = random_spans(document, GameConfig(), (), derive(SEED, document.id))
        span = next((span for span in spans if span in whole), None)
        if span is not None:
            shown = before if context == "before" else document
            tasks.append(Task(document.id, document.id, passage(shown, span), span, "random", ""))
    return tasks


async def attempts_at(
    policy: LocalPolicy,
    renderer: Renderer,
    tasks: Sequence[Task],
    params: SamplingParams,
    words: str | None = None,
) -> list[Attempt]:
    """One attempt a task, under words if there are any."""
    groups = await asyncio.gather(
        *(solve(policy, renderer, task, 1, params, words, SEED) for task in tasks)
    )
    return [attempt for (attempt,) in groups]


def interval(count: int, n: int) -> str:
    """A share with its Wilson interval, in percent."""
    if not n:
        return "-"
    share = proportion(count, n)
    return f"{100 * share.mean:.0f} ({100 * share.low:.0f} to {100 * share.high:.0f})"


def solved_row(name: str, attempts: Sequence[Attempt], seconds: float) -> str:
    """A row of the tables of blanks and of questions."""
    n = len(attempts)
    right, boxed, cut = (
        interval(sum(flags), n)
        for flags in (
            [a.correct for a in attempts],
            [a.answer is not None for a in attempts],
            [a.rollout.stop == "length" for a in attempts],
        )
    )
    lengths = (
        sum(len(ids) for ids in written) / n
        for written in (
            [a.rollout.prompt.ids for a in attempts],
            [a.rollout.completion_ids for a in attempts],
        )
    )
    numbers = " | ".join(f"{number:.0f}" for number in (*lengths, seconds))
    return f"| {name} | {n} | {right} | {boxed} | {cut} | {numbers} |"


def print_solved(
    title: str,
    policy: LocalPolicy,
    variants: Mapping[str, Variant],
    tasks: Mapping[str, Sequence[Task]],
    params: SamplingParams,
    show: int,
) -> None:
    """Prints the table of blanks or of questions, and ``show`` attempts of each variant."""
    print(f"\n{title}, {params.max_new_tokens} tokens, temperature {params.temperature:g}\n")
    print("| prompt | n | right % | boxed % | cut % | prompt tokens | tokens | seconds |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    for name, variant in variants.items():
        started = now()[0]
        renderer = renderer_of(policy, variant)
        chosen = tasks[variant.context]
        words = renderer.words.solve_positive if variant.condition else None
        attempts = aio.run(attempts_at(policy, renderer, chosen, params, words))
        print(solved_row(name, attempts, now()[0] - started), flush=True)
        for task, attempt in list(zip(chosen, attempts, strict=True))[:show]:
            shown = renderer.show(attempt.rollout.prompt.ids)
            print(f"--- [{task.span}] {attempt.correct}\n{shown}{attempt.rollout.text}\n---")


def print_poses(
    policy: LocalPolicy,
    variants: Mapping[str, Variant],
    documents: Sequence[Document],
    temperature: float,
    show: int,
) -> None:
    """Prints how many proposals of the poser are valid, and why the others are not."""
    print(f"\nProposals, 16 tokens, temperature {temperature:g}, one a document\n")
    print("| prompt | n | valid % | numbers % | refused | seconds |")
    print("|---|---:|---:|---:|---|---:|", flush=True)
    params, game = SamplingParams(16, temperature), GameConfig()

    async def proposed(renderer: Renderer) -> list[str]:
        words = renderer.words.pose_positive
        requests = [
            Request(renderer.pose(one.text, words), 1, params, derive(SEED, "pose", one.id))
            for one in documents
        ]
        groups = await asyncio.gather(*map(policy.sample, requests))
        return [proposed_span(rollout.text) for (rollout,) in groups]

    for name, variant in variants.items():
        started = now()[0]
        spans = aio.run(proposed(renderer_of(policy, variant)))
        reasons = [
            invalid_reason(document, span, game, ())
            for document, span in zip(documents, spans, strict=True)
        ]
        valid = [span for span, reason in zip(spans, reasons, strict=True) if reason is None]
        refused = Counter(reason for reason in reasons if reason)
        said = ", ".join(f"{reason} {count}" for reason, count in refused.most_common())
        numbers = interval(sum(any(map(str.isdigit, span)) for span in valid), len(valid))
        cells = name, len(spans), interval(len(valid), len(spans)), numbers, said
        print(f"| {' | '.join(map(str, cells))} | {now()[0] - started:.0f} |", flush=True)
        print(*(f"--- {span}" for span in spans[:show]), sep="\n")


def print_reviews(
    policy: LocalPolicy,
    variants: Mapping[str, Variant],
    tasks: Sequence[Task],
    params: SamplingParams,
    views: Sequence[str],
    show: int,
) -> None:
    """Prints how reviews of one set of attempts parse and agree, and what they are good for."""
    attempts = aio.run(attempts_at(policy, policy.renderer, tasks, params))
    judging = SamplingParams(256, temperature=0.0)
    print(f"\nReviews, {judging.max_new_tokens} tokens, greedy, of attempts of which ", end="")
    print(f"{interval(sum(a.correct for a in attempts), len(attempts))} % are right\n")
    print("| prompt | n | view | parsed % | right called right % | wrong called wrong % | ", end="")
    print("leaks % | hollow % | may train % | different | tokens | seconds |")
    print(f"|---|---:|---|{'---:|' * 9}", flush=True)
    for name, variant in variants.items():
        renderer = renderer_of(policy, variant)
        for view in views:
            started, told = now()[0], view == "privileged"
            reviews = aio.run(review_each(policy, renderer, tasks, attempts, told, judging, SEED))
            n = len(reviews)
            pairs = list(zip(reviews, attempts, strict=True))
            parsed, passed, caught, leaking, hollow, kept = (
                interval(sum(flags), len(flags))
                for flags in (
                    [r.verdict is not None and r.summary != "" for r in reviews],
                    [r.verdict is True for r, a in pairs if a.correct],
                    [r.verdict is False for r, a in pairs if not a.correct],
                    [review_leaks(r.text, t.span) for r, t in zip(reviews, tasks, strict=True)],
                    [r.hollow != "" for r in reviews],
                    [keep_review(r, a.correct) for r, a in pairs],
                )
            )
            different = len({r.text for r in reviews})
            tokens = sum(len(r.rollout.completion_ids) for r in reviews if r.rollout) / n
            counted = different, f"{tokens:.0f}", f"{now()[0] - started:.0f}"
            cells = name, n, view, parsed, passed, caught, leaking, hollow, kept, *counted
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
            for task, r in list(zip(tasks, reviews, strict=True))[:show]:
                print(f"--- [{task.span}] {r.verdict}\n{r.text}\n---")


def main() -> None:
    """Prints the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a model's folder, name or hub id")
    parser.add_argument("corpus", help="a file or folder of text")
    parser.add_argument(
        "--ask", default="blanks,reviews", help="poses, blanks, conditions, questions, reviews"
    )
    parser.add_argument("--documents", type=int, default=48)
    parser.add_argument("--views", default="privileged,blind", help="of reviews")
    parser.add_argument("--tokens", type=int, default=512, help="limit of an attempt")
    parser.add_argument("--temperature", type=float, default=1.0, help="of attempts at blanks")
    parser.add_argument("--suite", default="", help="for questions: JSON lines")
    parser.add_argument("--only", default="", help="names of variants, separated by ;")
    parser.add_argument("--prompts", default="", help="a folder of your own, tried as well")
    parser.add_argument("--show", type=int, default=0, help="attempts or reviews to print of each")
    options = parser.parse_args()

    policy, _ = load_policy(ModelConfig(id=options.model))
    print(f"{options.model} in {policy.choices['dtype']}, {options.corpus}", flush=True)
    own = {}
    if options.prompts:
        files = {path.name: path.read_text() for path in Path(options.prompts).iterdir()}
        own = {options.prompts: Variant(files)}

    def chosen(variants: Mapping[str, Variant]) -> dict[str, Variant]:
        names = options.only.split(";") if options.only else [*variants, *own]
        return {name: one for name, one in ({**variants, **own}).items() if name in names}

    params = SamplingParams(options.tokens, options.temperature)
    asked, views = options.ask.split(","), options.views.split(",")
    if {"blanks", "poses"} & set(asked) or not options.suite:
        config = CorpusConfig(paths=(options.corpus,), validation_share=0.1, chunk_tokens=512)
        corpus = open_corpus(config, policy.renderer.count_tokens, (), 0)
        documents = list(islice(corpus.documents("validation"), options.documents))
        tasks = {context: blanks(documents, context) for context in ("document", "before")}
    if "poses" in asked:
        shown = [replace(one, framing=OF_TEXT) for one in documents]
        print_poses(policy, chosen(POSES), shown, options.temperature, options.show)
    if "blanks" in asked:
        print_solved("Blanks", policy, chosen(BLANKS), tasks, params, options.show)
    if "conditions" in asked:
        title = "Blanks under positive words"
        print_solved(title, policy, chosen(CONDITIONS), tasks, params, options.show)
    questions: dict[str, list[Task]] = {}
    if options.suite:
        items = load_suite(options.suite, options.documents).items
        questions = {"document": [as_task(item, asks=True) for item in items]}
    if "reviews" in asked:
        judged = questions or tasks
        print_reviews(policy, chosen(REVIEWS), judged["document"], params, views, options.show)
    if "questions" in asked:
        greedy = SamplingParams(options.tokens, 0.0)
        print_solved("Questions", policy, chosen(QUESTIONS), questions, greedy, options.show)


if __name__ == "__main__":
    main()
