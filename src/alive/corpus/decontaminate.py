"""Finds documents that share a run of words with an evaluation suite."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from alive.seeding import digest

SHORTEST = 5
"""Suite texts of fewer words are no evidence: they recur in any prose."""

_WORD = re.compile(r"[^\W_]+")
_BASE = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


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
        self._anchor = min(SHORTEST, ngram)
        self._anchors: set[int] = set()
        self._grams: dict[int, set[int]] = {}
        for text in suite_texts:
            prefix = _prefix_hashes(text)
            words = len(prefix) - 1
            size = min(ngram, words)
            if size < self._anchor:
                continue
            grams = self._grams.setdefault(size, set())
            for start in range(words - size + 1):
                self._anchors.add(_window(prefix, start, self._anchor))
                grams.add(_window(prefix, start, size))

    def contaminated(self, text: str) -> bool:
        """Whether the text shares an n-gram with a suite; linear in the text, whatever n."""
        if not self._anchors:
            return False
        prefix = _prefix_hashes(text)
        words = len(prefix) - 1
        # The first words of every n-gram are looked up first, so n-grams of many lengths cost one.
        for start in range(words - self._anchor + 1):
            if _window(prefix, start, self._anchor) not in self._anchors:
                continue
            for size, grams in self._grams.items():
                if start + size <= words and _window(prefix, start, size) in grams:
                    return True
        return False


def _prefix_hashes(text: str) -> list[int]:
    """Returns the polynomial hashes of the text's first 0, 1, 2, ... words."""
    value = 0
    prefix = [0]
    for word in _WORD.findall(text.lower()):
        value = (value * _BASE + _word_hash(word)) & _MASK
        prefix.append(value)
    return prefix


def _window(prefix: list[int], start: int, size: int) -> int:
    return (prefix[start + size] - prefix[start] * _power(size)) & _MASK


@lru_cache(maxsize=1 << 14)
def _word_hash(word: str) -> int:
    return int(digest(word), 16)


@lru_cache(maxsize=64)
def _power(size: int) -> int:
    return pow(_BASE, size, 1 << 64)
