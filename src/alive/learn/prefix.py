"""Which token sequences are worth encoding together: those that begin alike.

All attempts at a task follow one prompt, and all reviews of them begin with its passage. What they
share is encoded once; gradients stay those of full rows (arXiv 2506.05433).
"""

from __future__ import annotations

from collections.abc import Sequence

LEAST = 16
"""Shorter common beginnings, tokens, do not pay for the second pass they cost."""


def shared_prefixes(sequences: Sequence[tuple[int, ...]]) -> list[int]:
    """Groups sequences by a common beginning so as to save tokens, greedily in sorted order.

    Returns:
        For each sequence the number of leading tokens it shares with its group, 0 for a sequence
        that is alone. Sequences of one group begin with the same tokens up to that number.
    """
    lengths = [0] * len(sequences)
    order = sorted(range(len(sequences)), key=lambda i: sequences[i])
    group: list[int] = []
    prefix = 0
    for i in order:
        if group:
            common = _common(sequences[group[0]], sequences[i], prefix)
            # A group of k saves (k - 1) prefixes; a newcomer that shortens it must not cost that.
            if common >= LEAST and len(group) * common >= (len(group) - 1) * prefix:
                group.append(i)
                prefix = common
                continue
            _settle(lengths, group, prefix)
        group, prefix = [i], len(sequences[i])
    _settle(lengths, group, prefix)
    return lengths


def _settle(lengths: list[int], group: Sequence[int], prefix: int) -> None:
    if len(group) > 1:
        for i in group:
            lengths[i] = prefix


def _common(left: Sequence[int], right: Sequence[int], most: int) -> int:
    """Length of the common beginning, at most ``most``."""
    most = min(most, len(left), len(right))
    for at in range(most):
        if left[at] != right[at]:
            return at
    return most
