"""Sampling and learning in this process, by torch and transformers."""

from alive.engines.local.loading import load_policy
from alive.engines.local.policy import LocalPolicy

__all__ = ["LocalPolicy", "load_policy"]
