"""Sampling by vLLM servers over HTTP; learning stays in this process."""

from alive.engines.server.client import Replica
from alive.engines.server.loading import load_remote, load_served, open_replicas
from alive.engines.server.policy import ServedPolicy
from alive.engines.server.sampler import RemoteSampler

__all__ = [
    "RemoteSampler",
    "Replica",
    "ServedPolicy",
    "load_remote",
    "load_served",
    "open_replicas",
]
