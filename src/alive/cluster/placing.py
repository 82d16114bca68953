"""Where on a Ray cluster the parts of a run stand."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from alive.errors import ConfigError, UserError

__all__ = ["Places", "connect", "deaths", "in_order", "require_ray"]

PATIENCE = 600
"""Seconds in which a cluster has to find room; one that grows on demand takes some minutes."""

_STORE = 128 << 20
"""Bytes of Ray's object store in a cluster of our own: rollouts go through it, weights do not."""


def require_ray() -> Any:
    """Imports Ray.

    Raises:
        ConfigError: It is not installed.
    """
    # Unless a person asks for it, nothing is reported to anybody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ConfigError("--ray needs Ray: pip install 'alive-rl[ray]'") from None
    return ray


def deaths() -> tuple[type[Exception], ...]:
    """Returns what Ray raises in the place of an answer of an actor that is gone.

    Ray itself kills actors on a node that is short of memory, and has a word of its own for that.
    """
    exceptions = require_ray().exceptions
    return exceptions.RayActorError, exceptions.OutOfMemoryError


def connect(cpus: int) -> None:
    """Joins the cluster that ``RAY_ADDRESS`` names, or begins one of this machine alone.

    The latter ends with this process. Its ports obey whoever knows a token that is drawn here and
    handed on in the environment; Ray would leave one in the user's home.

    Args:
        cpus: What a cluster of this machine counts its cores as.

    Raises:
        UserError: The cluster cannot be reached.
    """
    address = os.environ.get("RAY_ADDRESS")
    # Two ranks may say the same.
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    if not address and "RAY_AUTH_MODE" not in os.environ:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    if not address:  # a head on this machine that does not answer is gone
        os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "10")
    ray = require_ray()  # which reads the environment once
    if not address:
        ray.init(
            "local",
            num_cpus=cpus,
            include_dashboard=False,
            object_store_memory=_STORE,
            logging_level="warning",
        )
        return
    try:
        ray.init(logging_level="warning")
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"the Ray cluster of RAY_ADDRESS={address} cannot be joined ({error}); start it, or "
            "unset RAY_ADDRESS for one of this machine"
        ) from error


class Places:
    """Room for ranks and samplers on the cluster that this process has joined.

    Attributes:
        ranks: For each rank, bundle and node; ranks of one node have neighbouring numbers.
        samplers: For each sampler, its bundle.
        gpus: Whether each has a GPU of its own.
    """

    def __init__(self, ranks: int, samplers: int, cpus: int) -> None:
        """Waits for room.

        Args:
            ranks: How many.
            samplers: How many.
            cpus: Cores of each.

        Raises:
            UserError: The cluster has no room for them.
        """
        ray = require_ray()
        from ray.util.placement_group import placement_group, placement_group_table

        has = ray.cluster_resources()
        self.gpus = has.get("GPU", 0) > 0
        self._each = {"CPU": float(cpus)} | ({"GPU": 1.0} if self.gpus else {})
        self._group = placement_group([self._each] * (ranks + samplers), strategy="PACK")
        if not self._group.wait(PATIENCE):
            self.release()
            raise UserError(
                f"the Ray cluster has no room for {ranks} ranks and {samplers} samplers of "
                f"{_listed(self._each)} each; altogether it has {_listed(has)}. Ask for fewer with "
                "--ranks and --samplers, or add nodes"
            )
        nodes = placement_group_table(self._group)["bundles_to_node_id"]
        self.ranks = in_order(nodes, range(ranks))
        self.samplers = range(ranks, ranks + samplers)

    def options(self, bundle: int) -> dict[str, Any]:
        """Returns the options of an actor that stands in a bundle."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        return {
            "num_cpus": self._each["CPU"],
            "num_gpus": self._each.get("GPU", 0.0),
            "scheduling_strategy": PlacementGroupSchedulingStrategy(
                self._group, bundle, placement_group_capture_child_tasks=True
            ),
        }

    def release(self) -> None:
        """Gives the room back; what stands in it ends."""
        from ray.util.placement_group import remove_placement_group

        remove_placement_group(self._group)


def in_order(nodes: Mapping[int, str], bundles: Sequence[int]) -> list[tuple[int, str]]:
    """Returns bundles and their nodes, those of one node side by side."""
    return sorted(((bundle, nodes[bundle]) for bundle in bundles), key=lambda one: one[::-1])


def _listed(resources: Mapping[str, float]) -> str:
    return " and ".join(f"{resources.get(kind, 0):g} {kind}" for kind in ("CPU", "GPU"))
