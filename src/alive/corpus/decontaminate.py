"""Finds documents that share a run of words with an evaluation suite."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from alive.seeding import digest

NGRAM = 13
"""Words in a row that count as a leak, as is customary."""

SHORTEST = 5
"""Suite texts of fewer words are no evidence: they recur in any prose."""

_WORD = re.compile(r"[^\W_]+")


class Decontaminator:
    """Word n-grams of the suites, as 64-bit hashes.

    Words are runs of letters and digits, lower-cased: punctuation, case and layout do not hide a
    leak. A suite text of fewer than ``ngram`` words counts as one n-gram of its whole length if it
    has at least five words, and is ignored otherwise (source: inferred; 13 words as is customary).
    """

    def __init__(self, suite_texts: Iterable[str], ngram: int) -> None:
        """Reads the suites once.

        Args:
            suite_texts: Questions (and what else must not be trained on) of the suites in use.
            ngram: Words in a row that count as a leak, at least 1.
        """
        self._head = min(SHORTEST, ngram)
        self._heads: set[tuple[str, ...]] = set()
        self._grams: dict[int, set[int]] = {}
        for text in suite_texts:
            words = [sys.intern(word) for word in _WORD.findall(text.lower())]
            size = min(ngram, len(words))
            if size < self._head:
                continue
            grams = self._grams.setdefault(size, set())
            for start in range(len(words) - size + 1):
                self._heads.add(tuple(words[start : start + self._head]))
                grams.add(_gram(words, start, size))

    def contaminated(self, text: str) -> bool:
        """Whether the text shares an n-gram with a suite; linear in the text, whatever n."""
        words = _WORD.findall(text.lower())
        heads = list(zip(*(words[at:] for at in range(self._head)), strict=False))
        # The first words of every n-gram are looked up first: one pass without a Python loop.
        if self._heads.isdisjoint(heads):
            return False
        return any(
            start + size <= len(words) and _gram(words, start, size) in grams
            for start, head in enumerate(heads)
            if head in self._heads
            for size, grams in self._grams.items()
        )


def _gram(words: list[str], start: int, size: int) -> int:
    return int(digest(*words[start : start + size]), 16)
