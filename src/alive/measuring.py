"""What a run measures of its policy: conditions, suites, and the summary of it all."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from alive import aio
from alive.config import LOOKS, Config
from alive.corpus import Corpus
from alive.errors import CorpusError
from alive.evaluation import EvaluationResult, FrozenAttempt, Suite, as_task, changes, evaluate
from alive.evaluation.accuracy import greedy_attempts
from alive.evaluation.separation import Separation, check_separation, probe_tasks
from alive.prompts import Renderer
from alive.protocols import Sampler, SamplingParams
from alive.roles import pose
from alive.seeding import derive
from alive.state import State
from alive.types import Document, Task

LOOKED_AT = 32
"""Documents that are looked at before a run begins."""

_Found = TypeVar("_Found")


def separation(policy: Sampler, renderer: Renderer, corpus: Corpus, config: Config) -> Separation:
    """Checks whether a positive and a negative condition separate, on validation documents.

    Raises:
        CorpusError: No document looked at has anything to hide.
    """
    sampling, n = config.sampling, config.game.solutions_per_mask
    params = SamplingParams(sampling.solve_tokens, sampling.temperature, sampling.top_p)

    wanted, seed = config.evaluate.condition_tasks, derive(config.seed, "conditions")
    posing = replace(params, max_new_tokens=sampling.pose_tokens)

    async def posed(documents: Sequence[Document]) -> list[Task]:
        probe = derive(config.seed, "probe")
        return await probe_tasks(policy, renderer, documents, wanted, config.game, posing, probe)

    # Each time the same draws: what differs from one check to the next is the policy.
    tasks = _on_documents(corpus, wanted, posed)
    return aio.run(check_separation(policy, renderer, tasks, n, params, seed))


def describe(check: Separation, renderer: Renderer) -> list[str]:
    """Returns the lines that tell a person what the check of the conditions found."""
    words, gap = renderer.words, check.gap
    interval = "" if gap.low is None or gap.high is None else (
        f", 95 % [{100 * gap.low:.1f}, {100 * gap.high:.1f}]"
    )  # fmt: skip
    lines = [
        f"conditions: {100 * check.positive:.1f} % right under '{words.solve_positive}', "
        f"{100 * check.negative:.1f} % under '{words.solve_negative}' "
        f"(gap {100 * gap.mean:+.1f}{interval})"
    ]
    if not check.separates:
        lines.append(
            "conditions do not separate: until they do, attempts are sampled and trained under "
            "the plain prompt; reviews, revisions and the poser's words train as before."
        )
    return lines


def on_suites(
    policy: Sampler,
    renderer: Renderer,
    suites: Sequence[Suite],
    config: Config,
    before: Mapping[str, Any] | None,
) -> tuple[EvaluationResult, dict[str, Any]]:
    """Evaluates the policy on the suites of its run.

    Args:
        policy: What is measured.
        renderer: Its prompts.
        suites: At least one.
        config: The run's settings.
        before: What this returned before training; its attempts are those on which the reviewer
            is judged again.

    Returns:
        The result, and all of it as JSON values.
    """
    rows = before["frozen"] if before else None
    frozen = None if rows is None else [FrozenAttempt.from_row(row) for row in rows]
    result = aio.run(
        evaluate(
            policy,
            renderer,
            suites,
            config.sampling,
            derive(config.seed, "evaluate"),
            with_self_correction=config.evaluate.self_correct,
            samples=config.evaluate.samples,
            frozen=frozen,
        )
    )
    return result, {
        "result": result.as_dict(),
        "rows": list(result.rows),
        "frozen": [item.as_row() for item in result.frozen],
        "judged": list(result.judged),
    }


def look(policy: Sampler, renderer: Renderer, suites: Sequence[Suite], config: Config) -> float:
    """Returns the share of the first held-out problems that are answered right, greedily."""
    tasks = [as_task(item, renderer.asks) for suite in suites for item in suite.items[:LOOKS]]
    seed = derive(config.seed, "look")
    attempts = aio.run(greedy_attempts(policy, renderer, tasks, config.sampling, seed))
    return sum(attempt.correct for attempt in attempts) / len(attempts)


def summary(
    config: Config, state: State, measured: Mapping[str, Mapping[str, Any]], seconds: float
) -> dict[str, Any]:
    """Returns what ``summary.json`` holds.

    Args:
        config: The run's settings.
        state: Its last state.
        measured: What ``on_suites`` returned, by ``before`` and ``after``, as far as it was.
        seconds: What the run took.
    """
    total = state.proposed + state.filled
    values: dict[str, Any] = {
        "model": config.model.id,
        "steps": state.step,
        "documents": state.documents,
        "tokens_sampled": state.tokens_sampled,
        "tokens_trained": state.tokens_trained,
        "seconds": round(seconds, 1),
        "tasks": total,
        "proposed_share": state.proposed / total if total else None,
        "skipped": state.skipped,
        "conditions": state.conditions[-1] if state.conditions else {},
        "conditions_asked": state.conditions,
        "corpus": state.corpus,
    }
    values |= {when: stored["result"] for when, stored in measured.items()}
    if len(measured) == 2:
        before, after = (measured[when]["rows"] for when in ("before", "after"))
        values["change"] = changes(before, after, derive(config.seed, "change"))
    return values


def require_spans(corpus: Corpus, config: Config) -> None:
    """Makes sure that there is something to hide, before a run plays for nothing.

    Raises:
        CorpusError: The first documents to train on hold no span that passes the gate.
    """
    documents = list(islice(corpus.documents("train"), LOOKED_AT))
    if not any(pose.posed_at_random(document, config.game, 0) for document in documents):
        raise _nothing_to_hide(documents)


def _on_documents(
    corpus: Corpus,
    wanted: int,
    ask: Callable[[Sequence[Document]], Coroutine[Any, Any, list[_Found]]],
) -> list[_Found]:
    """Returns what is found on validation documents; on training ones where those give nothing."""
    for split in ("validation", "train"):
        documents = list(islice(corpus.documents(split), wanted))
        if found := aio.run(ask(documents)):
            return found
    raise _nothing_to_hide(documents)


def _nothing_to_hide(documents: Sequence[Document]) -> CorpusError:
    return CorpusError(
        f"no span to hide in {len(documents)} documents, such as {documents[0].source}: a task "
        "needs a number, a name or a key term that the rest of its text does not give away. "
        "Give other text."
    )
