"""The ranks of a run as Ray actors. Ray restarts none of them: they live and die together."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alive.cluster.placing import Places, deaths, require_ray
from alive.cluster.samplers import RayReplica, start_samplers
from alive.cluster.supervise import Ended
from alive.config import Config
from alive.errors import AliveError, RankError, RunError, Terminated

__all__ = ["Learner", "LearnerGroup", "environments", "wait_until_free"]

GRACE = 20.0
"""Seconds that ranks get to end by themselves once one has: each says why, which the first may not
know."""

_FREE = 60.0
"""Seconds in which ranks that were killed, or lost the head, let go of the run folder."""


class Learner:
    """A rank, in a process that Ray started."""

    def meet(self) -> tuple[str, int, int]:
        """Returns this node's address, a port that is free there, and this process's number."""
        ray = require_ray()
        with socket.socket() as probe:
            probe.bind(("", 0))
            return ray.util.get_node_ip_address(), probe.getsockname()[1], os.getpid()

    def train(
        self,
        environment: dict[str, str],
        folder: str,
        settings: dict[str, Any],
        resume: bool,
        replicas: Sequence[RayReplica],
    ) -> Ended:
        """Makes its part of the run.

        Args:
            environment: What tells the rank who the others are.
            folder: Against which paths are meant.
            settings: Of the run.
            resume: Whether the run goes on.
            replicas: Which sample in the ranks' place.
        """
        os.environ |= environment
        if os.path.isdir(folder):
            os.chdir(folder)
        # Whoever starts Ray's processes blocks it, so that Ctrl-C in a terminal spares them.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        from rich.console import Console

        from alive.loop import train
        from alive.plan import make_plan, require_fit
        from alive.sizing import settled

        console = Console(quiet=environment["RANK"] != "0")
        try:
            # Here, not where the run was asked for: that machine may have no GPU.
            config = settled(Config.model_validate(settings), resume=resume)
            if not resume:  # else it has fitted, and what died may not have given its memory back
                require_fit(make_plan(config))
            return Ended("done", summary=train(config, resume, console, replicas))
        except RankError as error:
            return Ended("left", str(error), error.exit_code)
        except AliveError as error:
            return Ended("failed", str(error), error.exit_code)
        except (KeyboardInterrupt, Terminated) as error:
            return Ended(
                "failed", "stopped; the same command goes on", getattr(error, "exit_code", 130)
            )


class LearnerGroup:
    """Satisfies ``Group`` with actors."""

    def __init__(self, places: Places, config: Config, resume: bool) -> None:
        """Starts the ranks.

        Args:
            places: Where.
            config: The run's settings.
            resume: Whether the run goes on.
        """
        ray = require_ray()
        self._places = places
        replicas = start_samplers(places)
        nodes = [node for _, node in places.ranks]
        self._actors = [
            ray.remote(Learner).options(**places.options(bundle), max_restarts=0).remote()
            for bundle, _ in places.ranks
        ]
        self._refs: list[Any] = []
        try:
            met = ray.get([actor.meet.remote() for actor in self._actors])
        except deaths():
            return  # which is told as of those that die later
        self._pids = [(node, pid) for node, (*_, pid) in zip(nodes, met, strict=True)]
        address, port, _ = met[0]
        given = environments(nodes, address, port, places.gpus)
        settings = config.model_dump(mode="json")
        self._refs = [
            actor.train.remote(one, os.getcwd(), settings, resume, replicas)
            for actor, one in zip(self._actors, given, strict=True)
        ]

    def wait(self) -> list[Ended]:
        """Waits until all have ended, or one has and the others had time to.

        Ctrl-C meanwhile asks each rank to stop, as it would where there is no Ray.
        """
        if not self._refs:
            return [Ended("died", "before it began")]
        while True:
            try:
                self._all_or_one_that_failed()
                return [self._ended(ref) for ref in self._refs]
            except KeyboardInterrupt:
                self._interrupt()

    def kill(self) -> None:
        """Ends the ranks and gives their room back."""
        ray = require_ray()
        for actor in self._actors:
            ray.kill(actor)
        self._places.release()

    def _all_or_one_that_failed(self) -> None:
        ray = require_ray()
        while True:
            ready, left = ray.wait(self._refs, num_returns=len(self._refs), timeout=1.0)
            if not left:
                return
            if any(self._ended(ref).how != "done" for ref in ready):
                ray.wait(self._refs, num_returns=len(self._refs), timeout=GRACE)
                return

    def _ended(self, ref: Any) -> Ended:
        ray = require_ray()
        try:
            ended: Ended = ray.get(ref, timeout=0)
        except ray.exceptions.GetTimeoutError:
            return Ended("left", "it had no answer from another")
        except deaths() as error:
            return Ended("died", str(error).partition("\n")[0])
        return ended

    def _interrupt(self) -> None:
        """Sends every rank's process the signal of Ctrl-C, on its own node."""
        ray = require_ray()
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        send = ray.remote(_interrupt)
        for node, pid in self._pids:
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            send.options(num_cpus=0, scheduling_strategy=there).remote(pid)


def environments(nodes: Sequence[str], address: str, port: int, gpus: bool) -> list[dict[str, str]]:
    """Returns, for each rank, what ``torch.distributed`` reads in the environment.

    Args:
        nodes: Of each rank.
        address: Of the first rank's node.
        port: That is free there.
        gpus: Whether each has a GPU.
    """
    alone = len(set(nodes)) == 1
    common = {
        "MASTER_ADDR": "127.0.0.1" if alone else address,
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(len(nodes)),
    }
    if alone and not gpus:
        common["GLOO_SOCKET_IFNAME"] = "lo"
    size, seen, given = Counter(nodes), Counter[str](), []
    for rank, node in enumerate(nodes):
        own = {"LOCAL_RANK": str(seen[node]), "LOCAL_WORLD_SIZE": str(size[node])}
        given.append(common | own | {"RANK": str(rank)})
        seen[node] += 1
    return given


def _interrupt(pid: int) -> None:
    """Sends a process of this machine the signal of Ctrl-C."""
    os.kill(pid, signal.SIGINT)


def wait_until_free(folder: Path) -> None:
    """Waits until ranks of an earlier part of the run have let go of its folder.

    Raises:
        RunError: They do not, or others hold it.
    """
    from alive.store import is_running

    ends = time.monotonic() + _FREE
    while folder.is_dir() and is_running(folder):
        if time.monotonic() > ends:
            pid = (folder / "lock").read_text().strip()
            raise RunError(
                f"{folder} is being written by another process (pid {pid}); wait for it or stop it"
            )
        time.sleep(0.1)
