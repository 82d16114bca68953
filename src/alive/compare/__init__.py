"""Arms side by side: the same documents, the same tokens, the same problems."""

from alive.compare.arms import ABLATIONS, ARMS, Arm, chosen_arms
from alive.compare.grid import Comparison, compare
from alive.compare.merge import merge

__all__ = ["ABLATIONS", "ARMS", "Arm", "Comparison", "chosen_arms", "compare", "merge"]
