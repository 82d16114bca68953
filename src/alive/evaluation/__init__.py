"""Evaluation: suites, accuracy, self-correction and the reviewer, with their uncertainty."""

from alive.evaluation.protocol import evaluate
from alive.evaluation.result import DomainResult, EvaluationResult, changes
from alive.evaluation.reviewer import FrozenAttempt, ReviewerScores
from alive.evaluation.statistics import Difference, Estimate
from alive.evaluation.suites import Suite, SuiteItem, as_task, load_suite, texts

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
    "changes",
    "evaluate",
    "load_suite",
    "texts",
]
