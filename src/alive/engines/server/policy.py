"""A policy that learns in this process and has servers sample."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from alive.engines.local import LocalPolicy
from alive.engines.server.client import Replica
from alive.engines.server.sampler import RemoteSampler
from alive.errors import ServerError, StorageError
from alive.protocols import Request, UpdateStats, Usage
from alive.types import MASK, Rollout, TrainingRecord

__all__ = ["ServedPolicy"]

FAR = 0.25
"""Mean difference in nats from which a server's log-probabilities are another model's. Weights that
are rounded to bfloat16 are off by some hundredths."""

_PROBE = f"Ann has 12 pens. She finds 9 more on her way to school, so that she has {MASK} pens now."


class ServedPolicy:
    """Satisfies ``Policy`` with a local one that learns, and servers that sample.

    New weights go out before the next rollout is drawn, not in ``publish`` itself: a server that
    fails then does so between two whole steps, and the run that it stops is saved as it stands.

    Attributes:
        learner: The local policy.
        gap: Mean difference in nats, server from learner, over the tokens of a fixed prompt, of the
            worst server, when weights were last sent; None before.
    """

    def __init__(self, learner: LocalPolicy, replicas: Sequence[Replica], folder: Path) -> None:
        """Takes over a policy and servers.

        Args:
            learner: In whose place the servers sample.
            replicas: Servers of the same model, at least one.
            folder: Where weights are put for them to read, for as long as that takes; they have to
                see it under the same path.

        Raises:
            ServerError: A server cannot be sent weights, or has another tokenizer.
        """
        self.learner, self.gap = learner, None if False else None
        self._replicas, self._folder = replicas, folder
