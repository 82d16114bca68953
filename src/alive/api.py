"""What a program calls: evaluate, solve, judge, export, and the model behind a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alive import aio
from alive.config import ModelConfig, SamplingConfig
from alive.errors import UserError
from alive.protocols import Sampler, SamplingParams
from alive.publish import export
from alive.seeding import derive, digest
from alive.settings import Layer, build_config, config_layers, implied_preset, stored_config
from alive.types import Attempt, Review

if TYPE_CHECKING:
    from alive.evaluation import EvaluationResult
    from alive.evaluation.judging import Judgement
    from alive.prompts.render import Renderer

__all__ = ["Policy", "Solution", "evaluate", "export", "judge", "open_policy", "solve"]


@dataclass(frozen=True, slots=True)
class Policy:
    """A loaded model, ready to be asked.

    Attributes:
        sampler: Completes prompts.
        renderer: Writes its prompts.
        sampling: Token limits that suit it.
    """

    sampler: Sampler
    renderer: Renderer
    sampling: SamplingConfig


@dataclass(frozen=True, slots=True)
class Solution:
    """An attempt, and what review and revision made of it.

    Attributes:
        attempts: The first attempt and each revision, in order.
        reviews: The blind review of each attempt that was reviewed, in order.
    """

    attempts: tuple[Attempt, ...]
    reviews: tuple[Review, ...]

    @property
    def answer(self) -> str | None:
        """The last attempt's answer; None when none could be parsed."""
        return self.attempts[-1].answer


def open_policy(model: str | Path, max_tokens: int = 0, servers: Sequence[str] = ()) -> Policy:
    """Loads the model behind a name, or has servers sample that hold it already.

    Args:
        model: A run folder (its newest sound checkpoint is used), ``seed``, ``smollm2``, a model
            folder or a hub id.
        max_tokens: Longest attempt, tokens; 0 for the run's or the model's usual limit.
        servers: URLs of servers that take token ids and return them, as vLLM's do; what they hold
            is taken on trust. None: the weights are loaded in this process.

    Raises:
        RunError: The run has no sound checkpoint.
        ModelError: The model cannot be used.
        ServerError: A server cannot be used.
    """
    from alive.engines.local import load_policy
    from alive.engines.server import load_remote

    chosen, sampling = _settings_for(str(model))
    if max_tokens:
        sampling = sampling.model_copy(update={"solve_tokens": max_tokens})
    sampler: Sampler
    sampler, renderer = load_remote(chosen, servers) if servers else load_policy(chosen)
    return Policy(sampler, renderer, sampling)


def evaluate(
    model: str | Path | Policy,
    suites: Sequence[str] = ("seed",),
    *,
    limit: int = 0,
    self_correct: bool = False,
    best_of: int = 0,
    seed: int = 0,
    max_tokens: int = 0,
    servers: Sequence[str] = (),
) -> EvaluationResult:
    """Measures a model on suites.

    Args:
        model: As ``open_policy`` takes it, or an open policy.
        suites: Built-in names or files.
        limit: Problems a suite, 0 for all.
        self_correct: Also measure self-correction and the blind reviewer.
        best_of: Also measure what the reviewer chooses of so many attempts; 0: not.
        seed: Of generated suites, samples and intervals.
        max_tokens: Longest attempt, tokens; 0 for the usual limit.
        servers: As ``open_policy`` takes them.

    Raises:
        SuiteError: A suite is missing or malformed.
        UserError: The model cannot be used.
    """
    from alive.evaluation import evaluate as measure
    from alive.evaluation import load_suite

    # Suites first: a mistyped one should not cost the loading of a model.
    loaded = [load_suite(name, limit, seed) for name in suites]
    policy = model if isinstance(model, Policy) else open_policy(model, max_tokens, servers)
    return aio.run(
        measure(
            policy.sampler,
            policy.renderer,
            loaded,
            policy.sampling,
            seed,
            with_self_correction=self_correct,
            best_of=best_of,
        )
    )


def solve(
    model: str | Path | Policy,
    problem: str,
    *,
    revise: int = 1,
    best_of: int = 1,
    seed: int = 0,
    max_tokens: int = 0,
    servers: Sequence[str] = (),
) -> Solution:
    """Attempts a problem greedily, reviews it blind and revises what is not called right.

    With ``best_of`` it makes several attempts at temperature 1 and goes on with the one whose
    answer the reviews believe in most.

    Args:
        model: As ``open_policy`` takes it, or an open policy.
        problem: The problem in words.
        revise: Most revisions; each follows a blind review. 0 reviews the attempt and stops.
        best_of: Attempts to choose from; 1: a greedy one.
        seed: Seed of the call.
        max_tokens: Longest attempt, tokens; 0 for the usual limit.
        servers: As ``open_policy`` takes them.

    Raises:
        UserError: The problem is empty, or the model cannot be used.
    """
    if not problem.strip():
        raise UserError("the problem is empty; write it in quotes after the model's name")
    policy = model if isinstance(model, Policy) else open_policy(model, max_tokens, servers)
    return aio.run(_solve(policy, problem, revise, best_of, seed))


def judge(
    model: str | Path | Policy,
    file: str | Path,
    *,
    calibrate: str | Path | None = None,
    limit: int = 0,
    seed: int = 0,
    servers: Sequence[str] = (),
) -> list[Judgement]:
    """Judges the answers in a file, without knowing what is right.

    Args:
        model: As ``open_policy`` takes it, or an open policy.
        file: A question and an answer a row (docs/judge.md).
        calibrate: The same, of answers of which it is known whether they are right; probabilities
            are fitted to them. None leaves them as the model states them.
        limit: Answers judged, the first; 0 for all.
        seed: Seed of the call.
        servers: As ``open_policy`` takes them.

    Raises:
        SuiteError: A file cannot be read or is malformed; ``calibrate`` holds no truth.
        UserError: The model cannot be used.
    """
    from itertools import islice

    from alive.errors import SuiteError
    from alive.evaluation.judging import Calibration, judge_answers
    from alive.evaluation.rows import answered_rows

    # Files first: a mistyped one should not cost the loading of a model.
    answered = list(islice(answered_rows(Path(file)), limit or None))
    known = list(answered_rows(Path(calibrate))) if calibrate else []
    if not answered:
        raise SuiteError(f"{file}: no answers; it needs a question and an answer a row")
    policy = model if isinstance(model, Policy) else open_policy(model, servers=servers)
    parts = policy.sampler, policy.renderer
    judged = aio.run(judge_answers(*parts, answered, policy.sampling, seed))
    if not calibrate:
        return judged
    told = aio.run(judge_answers(*parts, known, policy.sampling, seed))
    try:
        return Calibration.fitted(told).applied(judged)
    except ValueError:
        raise SuiteError(
            f"{calibrate}: of no answer is it known whether it is right; give each row an attempt "
            "beside the right answer, or correct: true or false"
        ) from None


async def _solve(policy: Policy, problem: str, revisions: int, best_of: int, seed: int) -> Solution:
    from alive.evaluation import SuiteItem, as_task
    from alive.evaluation.accuracy import sampled_attempts
    from alive.evaluation.best_of import choose
    from alive.roles.review import review
    from alive.roles.solve import revise
    from alive.roles.solve import solve as attempt

    sampler, renderer = policy.sampler, policy.renderer
    thinking = SamplingParams(policy.sampling.solve_tokens, temperature=0.0)
    judging = SamplingParams(policy.sampling.review_tokens, temperature=0.0)
    item = SuiteItem(digest("problem", problem), problem.strip(), "", "")
    task = as_task(item, renderer.asks)
    if best_of > 1:
        parts = sampler, renderer, [task]
        groups = await sampled_attempts(*parts, best_of, policy.sampling, seed)
        [chosen] = await choose(*parts, groups, policy.sampling, seed)
        attempts = [chosen.attempts[chosen.best]]
    else:
        attempts = list(await attempt(sampler, renderer, task, 1, thinking, None, seed))
    reviews: list[Review] = []
    for turn in range(max(revisions, 1)):
        draw = derive(seed, "turn", turn)
        last = attempts[-1]
        reviews.append(await review(sampler, renderer, task, last, False, judging, draw))
        if reviews[-1].verdict or turn >= revisions:
            break
        attempts.append(await revise(sampler, renderer, task, last, reviews[-1], thinking, draw))
    return Solution(tuple(attempts), tuple(reviews))


def _settings_for(model: str) -> tuple[ModelConfig, SamplingConfig]:
    """Returns how to load a model and how long it may write."""
    from alive.store import is_run, newest_model, read_config

    if is_run(model):
        config = stored_config(f"{model}/config.json", read_config(model))
        # A checkpoint of adapters names its base.
        update = {"id": str(newest_model(model)), "lora_rank": 0}
        return config.model.model_copy(update=update), config.sampling
    named: Layer = ("", {"model": {"id": model}})
    config = build_config([*config_layers(implied_preset([named]), (), ()), named])
    return config.model, config.sampling
