"""A run on a Ray cluster, from the process that watches over it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alive.cluster.learners import LearnerGroup, wait_until_free
from alive.cluster.placing import Places, connect, require_ray
from alive.cluster.supervise import supervise
from alive.config import Config
from alive.store import begun, checkpoint_names

__all__ = ["train"]


def train(config: Config, ranks: int, samplers: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Makes a run, or goes on with the one in its folder.

    Args:
        config: All settings; ``config.out`` lies on a disk that all nodes share.
        ranks: Processes that learn together.
        samplers: Processes that only sample; 0: each rank samples for itself.
        say: Tells a person what happens.

    Returns:
        The summary.

    Raises:
        AliveError: See ``supervise``.
    """
    config = config.model_copy(update={"out": str(Path(config.out).absolute())})
    cpus = max(1, config.model.threads)
    connect(cpus * (ranks + samplers))
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: all ranks stop together
        signal.signal(number, signal.default_int_handler)
    folder = Path(config.out)

    def start() -> LearnerGroup:
        wait_until_free(folder)
        return LearnerGroup(Places(ranks, samplers, cpus), config, begun(folder))

    try:
        return supervise(start, lambda: checkpoint_names(folder / "checkpoints")[:1], say)
    finally:
        require_ray().shutdown()
        shutil.rmtree(folder / "served", ignore_errors=True)
