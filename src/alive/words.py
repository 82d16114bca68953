"""The words of the game: what conditions, utilities and the generic teacher say.

They are loaded from a prompt set's ``words.toml``, so that a user can change them without code.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """Everything the game says that is not part of a role's template.

    Attributes:
        solve_positive: Condition under which attempts are sampled, before a critique exists.
        solve_negative: Its opposite, for checking that the two separate.
        pose_positive: Condition under which spans are proposed.
        pose_negative: Its opposite.
        unusable: Said of a proposal that fails the validity gate.
        not_recoverable: p = 0.
        mostly_unrecoverable: 0 < p < 2/N.
        very_hard: p <= 0.25.
        challenging: p <= 0.75.
        easy: p < 1.
        trivial: p = 1.
        generic_right: Analysis of a right attempt by a teacher that knows no more.
        generic_wrong: Its analysis of a wrong one.
        generic_right_summary: Its summary of a right attempt.
        generic_wrong_summary: Its summary of a wrong one.
        outcome_right: What a privileged reviewer is told of an attempt that matches the text.
        outcome_wrong: And of one that does not.
        content_free: A review without content, the control of self-correction.
    """

    solve_positive: str
    solve_negative: str
    pose_positive: str
    pose_negative: str
    unusable: str
    not_recoverable: str
    mostly_unrecoverable: str
    very_hard: str
    challenging: str
    easy: str
    trivial: str
    generic_right: str
    generic_wrong: str
    generic_right_summary: str
    generic_wrong_summary: str
    outcome_right: str
    outcome_wrong: str
    content_free: str

    def outcome(self, correct: bool) -> str:
        """What a privileged reviewer is told of an attempt."""
        return self.outcome_right if correct else self.outcome_wrong
