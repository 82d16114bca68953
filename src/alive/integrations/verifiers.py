"""The game of a document as an environment of verifiers, which prime-rl trains.

An episode is one document: a poser proposes a span, solvers try to recover it, and reviewers judge
a wrong and a right attempt without seeing what was hidden. ``alive.game.play`` plays it, with the
environment's agents in the place of the policy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import cached_property
from typing import Any, cast

from pydantic import Field

from alive.config import Config, CorpusConfig, GameConfig, SamplingConfig
from alive.corpus import open_corpus
from alive.errors import AliveError
from alive.game import play
from alive.integrations import require
from alive.integrations.rewards import (
    poser_rewards,
    reviewer_reward,
    solver_reward,
    to_review,
)
from alive.prompts import MessagePrompt, MessageRenderer
from alive.protocols import Request, SamplingParams
from alive.roles import review
from alive.seeding import derive
from alive.types import Document, Role, Rollout

try:
    import httpx
    import verifiers.v1 as vf
    from verifiers.v1.dialects.chat import message_to_wire
except ImportError:
    require("verifiers", "0.4")
    raise

__all__ = ["DocumentTaskset", "SelfPlayEnv", "SingleReply"]

SEATS: dict[Role, str] = {"pose": "poser", "solve": "solver", "review": "reviewer"}
"""The agent that plays a role."""

TOKENS = SamplingConfig()
"""Longest completions, by role; those of ``alive train`` unless a run says otherwise."""


class SeatError(AliveError):
    """An agent could not be asked; what it would have said is unknown, and nothing is guessed."""


class SingleReplyConfig(vf.HarnessConfig):
    """There is nothing to set."""


class SingleReply(vf.Harness[SingleReplyConfig]):
    """One call of the model, from this process: no tool, no program, nothing to execute."""

    APPENDS_SYSTEM_PROMPT = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace,
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: vf.TaskData,
    ) -> vf.ProgramResult:
        """Sends the task's messages to the rollout's endpoint, which records the reply."""
        _, prompt = self.resolve_prompt(data)
        assert isinstance(prompt, list)
        body = {"model": ctx.model, "messages": [message_to_wire(said) for said in prompt]}
        # A proxy of the environment has no business here, and the trainer bounds the time.
        async with httpx.AsyncClient(timeout=None, trust_env=False) as client:
            reply = await client.post(
                f"{endpoint}/chat/completions",
                json=body,
                headers={"Authorization": f"Bearer {secret}"},
            )
        return vf.ProgramResult(0 if reply.is_success else 1, "", reply.text[:500])


class DocumentData(vf.TaskData):
    """A document of the corpus, as ``alive.corpus`` cut it."""

    document: Document


class DocumentTask(vf.Task[DocumentData]):
    """A document to be played."""

    @property
    def key(self) -> str:
        """The document's own id: the same text at the same place is the same task."""
        return cast(DocumentData, self.data).document.id


class DocumentTasksetConfig(vf.TasksetConfig):
    """The raw text, and whose tokens measure it."""

    paths: list[str] = Field(default_factory=list)
    """Files, folders, datasets or builtin:NAME, as in corpus.paths."""
    model: str = ""
    """The policy's tokenizer: a folder or a hub id."""
    prompts: str = ""
    """Folder whose files override the prompt set 'chat'; empty: none."""
    chunk_tokens: int = Field(CorpusConfig().chunk_tokens, ge=8)
    """Longest document, tokens."""
    held_out_share: float = Field(0.0, ge=0.0, le=1.0)
    """Documents that are never played, 0..1: those that ``alive train`` holds out as well."""
    seed: int = Field(0, ge=0)
    """Decides the order of documents."""


class DocumentTaskset(vf.Taskset[DocumentTask, DocumentTasksetConfig]):
    """The documents of a corpus, in an order of their own in each epoch, without an end."""

    INFINITE = True

    @cached_property
    def renderer(self) -> MessageRenderer:
        """The prompts.

        Raises:
            ModelError: The tokenizer cannot be loaded.
            ConfigError: It has no chat template, or a prompt file is wrong.
        """
        from alive.engines.models import load_tokenizer

        return MessageRenderer(load_tokenizer(self.config.model), self.config.prompts)

    def load(self) -> Iterable[DocumentTask]:
        """Yields the documents.

        Raises:
            CorpusError: The corpus is missing, malformed, or gives no document.
        """
        config = self.config
        corpus = CorpusConfig(
            paths=tuple(config.paths),
            chunk_tokens=config.chunk_tokens,
            validation_share=config.held_out_share,
        )
        opened = open_corpus(corpus, self.renderer.count_tokens, (), config.seed)
        for document in opened.documents("train"):
            data = DocumentData(id=document.id, name=document.source, document=document)
            yield DocumentTask(data, config.task)


def _seat(tokens: int) -> vf.AgentConfig:
    """A role's agent: the run's model, in one call from this process."""
    return vf.AgentConfig(
        runtime=vf.SubprocessConfig(),
        sampling=vf.SamplingConfig(max_tokens=tokens),
    )


class SelfPlayConfig(vf.EnvConfig):
    """Who plays, and how much of it."""

    poser: vf.AgentConfig = _seat(TOKENS.pose_tokens)
    solver: vf.AgentConfig = _seat(TOKENS.solve_tokens)
    reviewer: vf.AgentConfig = _seat(TOKENS.review_tokens)
    attempts: int = Field(8, ge=2)
    """N, attempts at the task."""
    reviews: int = Field(4, ge=0)
    """Reviews of each of the two attempts that are reviewed; 0: none."""


class SelfPlayEnv(vf.Env[SelfPlayConfig]):
    """One document a game: pose, solve, review; the hidden text decides all rewards.

    An episode has one task: its attempts can be compared with each other, and a proposal with those
    of other episodes on its document.
    """

    async def run(self, task: vf.Task, agents: vf.Agents) -> None:
        """Plays a document and writes each trace's reward on it."""
        document = cast(DocumentData, task.data).document
        renderer = cast(DocumentTaskset, self.taskset).renderer
        seats = Seats(agents)
        game = GameConfig(
            masks_per_document=1, solutions_per_mask=self.config.attempts, random_share=0.0
        )
        settings = Config(seed=self.taskset.config.seed, game=game)
        played = await play(
            document, 0, seats, renderer, settings, conditioned=False, reviewed=False
        )
        episode = played.episode
        for rollout, worth in zip(episode.pose_rollouts, poser_rewards(episode), strict=True):
            if worth is not None:
                seats.reward(rollout, "utility", worth)
        for group in episode.attempts:
            for attempt in group:
                seats.reward(attempt.rollout, "correct", solver_reward(attempt))
        reviewed = [pair for pair in to_review(episode, 2) for _ in range(self.config.reviews)]
        judging = SamplingParams(TOKENS.review_tokens)
        written = await asyncio.gather(
            *(
                review.review(
                    seats, renderer, posed, attempt, False, judging, derive(0, "review", at)
                )
                for at, (posed, attempt) in enumerate(reviewed)
            )
        )
        for (_, attempt), judged in zip(reviewed, written, strict=True):
            assert judged.rollout is not None
            seats.reward(judged.rollout, "verdict", reviewer_reward(judged, attempt))


class Seats:
    """The agents of an episode as the sampler of its game."""

    def __init__(self, agents: vf.Agents) -> None:
        """Takes over an episode's agents; nobody was asked yet."""
        self._agents = agents
        self._traces: dict[int, tuple[Rollout, vf.Trace]] = {}

    async def sample(self, request: Request) -> list[Rollout]:
        """Asks the agent of the prompt's role ``n`` times.

        How completions are drawn is the run's affair, by role (``env.solver.sampling``).

        Raises:
            SeatError: An agent failed.
        """
        return await asyncio.gather(*(self._ask(request) for _ in range(request.n)))

    def reward(self, rollout: Rollout, name: str, worth: float) -> None:
        """Writes on the trace of a rollout what it is worth."""
        self._traces[id(rollout)][1].record_reward(name, worth)

    async def _ask(self, request: Request) -> Rollout:
        prompt = cast(MessagePrompt, request.prompt)
        seat = SEATS[prompt.role]
        messages: Any = [dict(said) for said in prompt.messages]
        trace = await getattr(self._agents, seat).run(vf.Task(vf.TaskData(prompt=messages)))
        if not trace.ok:
            why = trace.last_error.message if trace.last_error else trace.stop_condition
            raise SeatError(f"the {seat} could not be asked: {why}")
        rollout = Rollout(prompt, (), (), trace.last_reply, "stop", 0)
        # By identity: two completions may say the same. The rollout is kept, so its id is its own.
        self._traces[id(rollout)] = rollout, trace
        return rollout
