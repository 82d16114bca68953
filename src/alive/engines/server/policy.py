"""A policy that learns in this process and has servers sample."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from alive.engines.local import LocalPolicy
from alive.engines.models import base_of
from alive.engines.refusals import max_positions
from alive.engines.server.client import Replica
from alive.engines.server.sampler import RemoteSampler
from alive.engines.together.learning import LearningPolicy
from alive.errors import ServerError, StorageError
from alive.protocols import Request, UpdateStats
from alive.ranks import ALONE, Ranks
from alive.types import MASK, Rollout, TrainingRecord

__all__ = ["ServedPolicy"]

FAR = 0.25
"""Mean difference in nats from which a server's log-probabilities are another model's. Weights that
are rounded to bfloat16 are off by some hundredths."""

FURTHER, SLACK = 3.0, 2e-3
"""How many times as far apart, and how many nats beside, as when weights were first sent: rounding
stays what it is, and a server that keeps a part of earlier weights drifts away."""

_PROBE = f"Ann has 12 pens. She finds 9 more on her way to school, so that she has {MASK} pens now."


class ServedPolicy(LearningPolicy):
    """Satisfies ``Policy`` with a local one that learns, and servers that sample.

    New weights go out before the next rollout is drawn, not in ``publish`` itself: a server that
    fails then does so between two whole steps, and the run that it stops is saved as it stands.

    Attributes:
        gap: Mean difference in nats between a server and the learner over the tokens of a fixed
            prompt, of the worst server, when weights were last sent; not a number before.
    """

    def __init__(
        self,
        learner: LocalPolicy,
        replicas: Sequence[Replica],
        folder: Path,
        ranks: Ranks = ALONE,
    ) -> None:
        """Takes over a policy and servers. Several ranks have to publish before they sample.

        Args:
            learner: In whose place the servers sample.
            replicas: Servers of the same model, at least one.
            folder: Where weights are put for them to read, for as long as that takes; they have to
                see it under the same path.
            ranks: Who learns together; the first one sends weights, and all ask.

        Raises:
            ServerError: A server cannot be sent weights, or has another tokenizer.
        """
        super().__init__(learner)
        self.gap = float("nan")
        self._first = float("inf")
        self._replicas, self._folder, self._ranks = replicas, folder, ranks
        self._sending = threading.Lock()
        base = base_of(learner.model)
        self._sampler = RemoteSampler(
            replicas,
            learner.renderer,
            max_positions(base.config),
            base.get_input_embeddings().weight.shape[0],
        )
        self._probe = learner.renderer.solve(_PROBE, None).ids
        for replica in replicas:
            replica.require_control()
        self._stale = True

    async def sample(self, request: Request) -> list[Rollout]:
        """Has a server complete a prompt, once new weights are there.

        Raises:
            ServerError: A server fails, or does not hold the weights that it should.
            StorageError: The disk refuses the weights.
        """
        self._deliver()
        return await self.counted(request, self._sampler.sample(request))

    def update(self, records: Sequence[TrainingRecord], learning_rate: float) -> UpdateStats:
        """Takes one optimiser step on records, in this process."""
        self._deliver()  # what another thread samples meanwhile is drawn from these weights
        return super().update(records, learning_rate)

    def publish(self) -> None:
        """Has the next rollout drawn from what was learned."""
        self._stale = True
        if self._ranks.size > 1:  # all of them are here now
            self._deliver()

    def _deliver(self) -> None:
        """Has every server hold the learner's weights, and sees that it does."""
        with self._sending:
            if self._stale:
                self._send()
                self._stale = False

    def _send(self) -> None:
        stamp = self._ranks.gather(f"{uuid.uuid4().hex}-{self.version}")[0]
        expected = self.learner.logprobs(self._probe)
        if self._ranks.rank:
            self.learner.save_whole(None)
        else:
            with self._written() as folder:
                for replica in self._replicas:
                    replica.load(folder, stamp)
            self.gap = max(self._gap(replica, expected) for replica in self._replicas)
        self.gap = self._ranks.gather(self.gap)[0]
        self._first = min(self._first, self.gap)
        self._sampler.version, self._sampler.stamp = self.version, stamp

    def _gap(self, replica: Replica, expected: torch.Tensor) -> float:
        told = torch.tensor(replica.logprobs(self._probe))
        gap = (told - expected).abs().mean().item()
        if not gap < FAR:  # nor not a number
            raise ServerError(
                f"the sampler at {replica.url} was sent this run's weights, and its "
                f"log-probabilities are {gap:.2g} nats a token from the learner's: it serves "
                f"{replica.model!r}, in which these weights mean something else. Start it on the "
                "model that is trained: `alive serve MODEL`"
            )
        if gap > FURTHER * self._first + SLACK:
            raise ServerError(
                f"the sampler at {replica.url} keeps a part of earlier weights: its "
                f"log-probabilities are {gap:.2g} nats a token from the learner's, and were "
                f"{self._first:.2g}. vLLM on a CPU does so with the head of a model whose "
                "embeddings are tied to it: train adapters (model.lora_rank=16), or serve it on a "
                "GPU"
            )
        return gap

    @contextmanager
    def _written(self) -> Iterator[Path]:
        """The learner's weights on disk, while its block runs."""
        shutil.rmtree(self._folder, ignore_errors=True)  # of a run that was killed
        try:
            self._folder.mkdir(parents=True)
            self.learner.save_whole(self._folder)
            yield self._folder
        except (OSError, SafetensorError) as error:
            raise StorageError(
                f"{self._folder}: the disk refused the weights for the sampler "
                f"({getattr(error, 'strerror', None) or error}); free some space, and go on with "
                "--resume"
            ) from error
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
