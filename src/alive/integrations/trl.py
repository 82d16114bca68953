"""The game of documents as a rollout function of TRL's ``GRPOTrainer``.

TRL draws ``num_generations`` rows of a prompt and compares them with each other. So each row of the
data set names a document, and a document has a fixed number of rows in a batch: one group of
proposals, one group of attempts a task, and one group of reviews for each attempt that is reviewed.
``alive.game.play`` plays it, with the trainer's model in the place of the policy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from alive import aio
from alive.config import Config
from alive.corpus import open_corpus
from alive.errors import ConfigError
from alive.game import Played, play_all
from alive.integrations import require
from alive.integrations.rewards import (
    poser_rewards,
    reviewer_reward,
    solver_reward,
    to_review,
)
from alive.integrations.trainer_sampler import TrainerSampler
from alive.prompts import make_renderer
from alive.protocols import SamplingParams
from alive.roles import review
from alive.roles.pose import blind_guesses
from alive.seeding import derive
from alive.types import Attempt, Document, Review, Rollout, Task

require("trl", "1.16", below="1.17")

__all__ = ["SelfPlay"]


@dataclass(frozen=True, slots=True)
class Row:
    """A completion that TRL trains on.

    Attributes:
        rollout: The completion.
        role: Whose it is: ``poser``, ``solver`` or ``reviewer``; empty where the row is filler.
        reward: What it is worth; None: TRL leaves it out of its group's baseline.
    """

    rollout: Rollout
    role: str = ""
    reward: float | None = None


class SelfPlay:
    """A corpus, its prompts and its game: all that ``GRPOTrainer`` is to be given.

    Attributes:
        groups: Groups of ``num_generations`` rows that a document takes: 1 + M + R.
        rows: Rows that a document takes. The batch that is generated at once holds a multiple of
            it (``per_device_train_batch_size * steps_per_generation``).
    """

    def __init__(self, config: Config, tokenizer: Any) -> None:
        """Opens the corpus.

        Args:
            config: ``corpus``, ``game``, ``sampling`` and ``seed`` are read. N
                (``game.solutions_per_mask``) is TRL's ``num_generations``, and R
                (``game.reviews_per_document``) an even number.
            tokenizer: The model's, as it is given to the trainer.

        Raises:
            ConfigError: R is odd or not set.
            CorpusError: The corpus gives no document.
        """
        game = config.game
        if game.reviews_per_document < 2 or game.reviews_per_document % 2:
            raise ConfigError(
                f"game.reviews_per_document = {game.reviews_per_document}: here it is an even "
                "number from 2 on, for as many wrong attempts as right ones are reviewed"
            )
        self._config = config
        self._renderer = make_renderer(tokenizer, config.model.prompts)
        self._corpus = open_corpus(config.corpus, self._renderer.count_tokens, (), config.seed)
        self._documents: dict[str, Document] = {}
        self._taken = 0  # of the stream, in which each epoch brings the same documents again
        self.groups = 1 + game.masks_per_document + game.reviews_per_document
        self.rows = self.groups * game.solutions_per_mask

    def dataset(self, documents: int) -> Any:
        """Returns the next documents of the corpus as a data set, each once a group.

        A row's prompt is its document's id. The trainer must take rows in order:
        ``GRPOConfig(shuffle_dataset=False)``.
        """
        from datasets import Dataset

        taken = list(islice(self._corpus.documents("train", self._taken), documents))
        self._taken += documents
        self._documents |= {document.id: document for document in taken}
        rows = [{"prompt": document.id} for document in taken for _ in range(self.groups)]
        return Dataset.from_list(rows)

    @property
    def rewards(self) -> list[Callable[..., list[float | None]]]:
        """The reward functions, one a role, so that TRL logs each apart."""

        def poser(role: list[str], worth: list[float | None], **_: Any) -> list[float | None]:
            return _of("poser", role, worth)

        def solver(role: list[str], worth: list[float | None], **_: Any) -> list[float | None]:
            return _of("solver", role, worth)

        def reviewer(role: list[str], worth: list[float | None], **_: Any) -> list[float | None]:
            return _of("reviewer", role, worth)

        return [poser, solver, reviewer]

    def rollout(self, prompts: list[str], trainer: Any) -> dict[str, Any]:
        """Plays the documents that rows name: the ``rollout_func`` of ``GRPOTrainer``.

        Args:
            prompts: The document's id of each row.
            trainer: Whose model plays.

        Returns:
            Token ids and log-probabilities a row; ``env_mask``, 0 where a row is filler;
            ``role`` and ``worth`` for the reward functions.

        Raises:
            ConfigError: The trainer's settings do not fit the game.
        """
        documents = self._called(prompts, trainer)
        sampler = TrainerSampler(trainer, self._renderer)
        step = int(trainer.state.global_step)
        rows = aio.run(self._play(documents, step, sampler))
        logprobs = [list(row.rollout.logprobs) for row in rows]
        return {
            "prompt_ids": [list(row.rollout.prompt.ids) for row in rows],
            "completion_ids": [list(row.rollout.completion_ids) for row in rows],
            "logprobs": logprobs if sampler.knows_logprobs else None,
            "env_mask": [[int(bool(row.role))] * len(row.rollout.completion_ids) for row in rows],
            "role": [row.role for row in rows],
            "worth": [row.reward for row in rows],
        }

    async def _play(
        self, documents: list[Document], step: int, sampler: TrainerSampler
    ) -> list[Row]:
        sampling, game = self._config.sampling, self._config.game
        solving = SamplingParams(sampling.solve_tokens, sampling.temperature, sampling.top_p)
        unread = blind_guesses(
            sampler, self._renderer, game.solutions_per_mask, solving,
            derive(self._config.seed, "guesses", step),
        )  # fmt: skip
        games = await play_all(
            documents, step, sampler, self._renderer, self._config,
            conditioned=False, reviewed=False, guesses=asyncio.ensure_future(unread),
        )  # fmt: skip
        reviewed = await asyncio.gather(*(self._review(game, step, sampler) for game in games))
        return [
            row
            for game, groups in zip(games, reviewed, strict=True)
            for row in self._rows(game, groups)
        ]

    async def _review(
        self, game: Played, step: int, sampler: TrainerSampler
    ) -> list[tuple[Attempt, Sequence[Review]]]:
        """Has as many wrong attempts as right ones reviewed blind, N times each."""
        config = self._config
        params = SamplingParams(config.sampling.review_tokens, config.sampling.temperature)

        async def one(task: Task, attempt: Attempt, turn: int) -> Review:
            seed = derive(config.seed, "blind", step, turn)
            return await review.review(sampler, self._renderer, task, attempt, False, params, seed)

        async def each(task: Task, attempt: Attempt) -> tuple[Attempt, Sequence[Review]]:
            turns = range(config.game.solutions_per_mask)
            return attempt, await asyncio.gather(*(one(task, attempt, turn) for turn in turns))

        chosen = to_review(game.episode, config.game.reviews_per_document)
        return await asyncio.gather(*(each(task, attempt) for task, attempt in chosen))

    def _rows(
        self, game: Played, reviewed: Sequence[tuple[Attempt, Sequence[Review]]]
    ) -> Iterator[Row]:
        """Yields a document's rows: proposals, attempts, reviews, each group filled up to N."""
        episode, n = game.episode, self._config.game.solutions_per_mask
        posed = zip(episode.pose_rollouts, poser_rewards(episode), strict=True)
        groups = [[Row(rollout, "poser", worth) for rollout, worth in islice(posed, n)]]
        groups += [
            [Row(attempt.rollout, "solver", solver_reward(attempt)) for attempt in group]
            for group in episode.attempts
        ]
        groups += [[] for _ in range(1 + self._config.game.masks_per_document - len(groups))]
        groups += [
            [
                Row(made.rollout, "reviewer", reviewer_reward(made, attempt))
                for made in written
                if made.rollout is not None
            ]
            for attempt, written in reviewed
        ]
        groups += [[] for _ in range(self.groups - len(groups))]
        prompt = self._renderer.pose(episode.document.text, None)
        filler = Row(Rollout(prompt, self._renderer.stop_ids[:1], (0.0,), "", "stop", 0))
        for group in groups:
            yield from [*group, *[filler] * (n - len(group))]

    def _called(self, prompts: Sequence[str], trainer: Any) -> list[Document]:
        """Returns the documents that rows name.

        Raises:
            ConfigError: Rows of a document do not stand together, or N is not the trainer's.
        """
        n = self._config.game.solutions_per_mask
        training = trainer.model.training
        theirs = trainer.num_generations if training else trainer.num_generations_eval
        if theirs != n:
            raise ConfigError(
                f"game.solutions_per_mask = {n} and num_generations = {theirs}: TRL compares the "
                "rows of a group, so they must be the same"
            )
        if trainer.accelerator.num_processes > 1 and (
            trainer.use_vllm or trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
        ):
            raise ConfigError(
                "several processes play games of different lengths, and vLLM, FSDP and DeepSpeed "
                "want them to sample in step: use one process, or data parallelism alone"
            )
        named = [prompts[at : at + self.rows] for at in range(0, len(prompts), self.rows)]
        if any(len(rows) != self.rows or len(set(rows)) > 1 for rows in named):
            raise ConfigError(
                f"a document takes {self.rows} rows, and a batch holds whole documents in their "
                "order: set shuffle_dataset=False, and per_device_train_batch_size * "
                f"steps_per_generation to a multiple of {self.rows} (here {len(prompts)})"
            )
        return [self._documents[rows[0]] for rows in named]


def _of(one: str, roles: Sequence[str], worth: Sequence[float | None]) -> list[float | None]:
    return [value if role == one else None for role, value in zip(roles, worth, strict=True)]
