"""Evaluation: suites, accuracy, self-correction and the reviewer, with their uncertainty."""

from alive.evaluate.evaluation import DomainResult, EvaluationResult, differences, evaluate
from alive.evaluate.reviewer import FrozenAttempt, ReviewerScores
from alive.evaluate.statistics import Difference, Estimate
from alive.evaluate.suites import Suite, SuiteItem, as_task, load_suite, texts

__all__ = [
    "Difference",
    "DomainResult",
    "Estimate",
    "EvaluationResult",
    "FrozenAttempt",
    "ReviewerScores",
    "Suite",
    "SuiteItem",
    "as_task",
    "differences",
    "evaluate",
    "load_suite",
    "texts",
]
