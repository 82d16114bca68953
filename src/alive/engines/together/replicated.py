"""A policy that learns in this process, with its ranks, and has replicas sample."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from alive.config import Config, ModelConfig
from alive.engines.local import LocalPolicy, load_policy
from alive.engines.together.learning import LearningPolicy
from alive.engines.together.replicas import Replica, ReplicaSampler, Weights
from alive.errors import StorageError
from alive.prompts import Renderer
from alive.protocols import Request
from alive.ranks import Ranks
from alive.types import Rollout

__all__ = ["ReplicatedPolicy", "load_replicated"]


class ReplicatedPolicy(LearningPolicy):
    """Satisfies ``Policy`` with a local one that learns, and replicas that sample.

    New weights are put on a disk that all see; a replica reads them when it is first asked for a
    rollout of theirs. One that was started anew in between does the same, and no other state is
    lost with it.
    """

    def __init__(
        self,
        learner: LocalPolicy,
        model: ModelConfig,
        replicas: Sequence[Replica],
        folder: Path,
        ranks: Ranks,
    ) -> None:
        """Takes over a policy; ``publish`` has to be called before anything is sampled.

        Args:
            learner: In whose place replicas sample.
            model: Its settings, threads settled.
            replicas: At least one.
            folder: Where weights are put.
            ranks: Who learns together; each asks the same replicas.
        """
        super().__init__(learner)
        self._model, self._folder, self._ranks = model, folder, ranks
        self._sampler = ReplicaSampler(replicas, ranks.rank)
        self._weights: Weights | None = None

    async def sample(self, request: Request) -> list[Rollout]:
        """Has a replica complete a prompt.

        Raises:
            RankError: See ``ReplicaSampler``.
        """
        assert self._weights is not None
        return await self.counted(request, self._sampler.sample(request, self._weights))

    def publish(self) -> None:
        """Puts the weights where replicas read them, in the place of earlier ones; all ranks do.

        Raises:
            StorageError: The disk refuses them.
        """
        earlier, weights = self._weights, None
        if self._ranks.rank == 0:
            if earlier is None:  # of a part of the run that was killed
                shutil.rmtree(self._folder, ignore_errors=True)
            stamp = uuid.uuid4().hex
            model = self._model.model_copy(update={"id": str(self._folder / stamp), "lora_rank": 0})
            # What else is chosen depends on the replica's own machine.
            choices = {"dtype": self.choices["dtype"]}
            weights = Weights(model, choices, self.version, stamp)
        self._write(Path(weights.model.id) if weights else None)
        self._weights = self._ranks.gather(weights)[0]
        if self._ranks.rank == 0 and earlier is not None:
            shutil.rmtree(earlier.model.id, ignore_errors=True)

    def _write(self, folder: Path | None) -> None:
        try:
            if folder is not None:
                folder.mkdir(parents=True)
            self.learner.save(folder)
        except (OSError, SafetensorError) as error:
            raise StorageError(
                f"{self._folder}: the disk refused the weights for the samplers "
                f"({getattr(error, 'strerror', None) or error}); free some space, and give the "
                "same command again"
            ) from error


def load_replicated(
    config: Config,
    model: ModelConfig,
    folder: Path,
    replicas: Sequence[Replica],
    choices: Mapping[str, Any],
    ranks: Ranks,
) -> tuple[ReplicatedPolicy, Renderer]:
    """Loads a policy that learns here and that replicas sample.

    Args:
        config: The run's settings.
        model: Those of the model, its threads settled.
        folder: The run's.
        replicas: At least one.
        choices: As for ``load_policy``.
        ranks: Who learns together.

    Raises:
        ModelError: The model cannot be used.
    """
    learner, renderer = load_policy(model, config.learn, config.seed, choices, ranks, copies=False)
    return ReplicatedPolicy(learner, model, replicas, folder / "served", ranks), renderer
