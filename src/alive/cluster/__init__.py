"""A run as actors of a Ray cluster: ranks that learn, replicas that sample, one that watches."""

from alive.cluster.driver import train
from alive.cluster.placing import require_ray

__all__ = ["require_ray", "train"]
