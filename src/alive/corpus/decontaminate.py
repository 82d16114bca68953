"""Finds documents that share a run of words with an evaluation suite, in any script."""

from __future__ import annotations

import re
import sys
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from alive.scripts import WITHOUT_SPACES
from alive.seeding import digest

NGRAM = 13
"""Words in a row that count as a leak, as is customary."""

SHORTEST = 5
"""Suite texts of fewer words are no evidence: they recur in any prose."""

_WORD = re.compile(r"[^\W_]+")

_PARTS = 8
"""A word's weight. Where a script has no spaces each character is a token of less weight."""


class _Folding(dict[int, str]):
    """What each character is compared as, found when first asked for; for ``str.translate``."""

    def __missing__(self, code: int) -> str:
        """Folds case, width, composition and marks; sets characters apart that are a token."""
        folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", chr(code)).casefold())
        kept = "".join(char for char in folded if unicodedata.category(char) not in _SILENT)
        self[code] = "".join(f" {char} " if _weight(char) < _PARTS else char for char in kept)
        return self[code]


_SILENT = ("Mn", "Mc", "Me", "Cf")
_folding = _Folding()


class Decontaminator:
    """Word n-grams of the suites, as 64-bit hashes.

    Words are runs of letters and digits. Punctuation, layout, case, width, accents and whether they
    are composed do not hide a leak. Chinese, Japanese, Thai and their like are written without
    spaces: there a character counts as three quarters of a word, or three eighths of one. A suite
    text of less than ``ngram`` words counts as one n-gram of its whole length if it has at least
    five words, and is ignored otherwise (source: inferred; 13 words as is customary).
    """

    def __init__(self, suite_texts: Iterable[str], ngram: int) -> None:
        """Reads the suites once.

        Args:
            suite_texts: Questions (and what else must not be trained on) of the suites in use.
            ngram: Words in a row that count as a leak, at least 1.
        """
        self._head = min(SHORTEST, ngram)
        self._sizes: dict[tuple[str, ...], set[int]] = {}
        self._grams: set[int] = set()
        for text in suite_texts:
            words = [sys.intern(word) for word in _tokens(text)]
            weights = [0, *accumulate(map(_weight, words))]
            if weights[-1] < self._head * _PARTS:
                continue
            wanted = min(ngram * _PARTS, weights[-1])
            for start, before in enumerate(weights):
                if weights[-1] - before < wanted:
                    break
                size = bisect_left(weights, before + wanted) - start
                head = tuple(words[start : start + self._head])
                self._sizes.setdefault(head, set()).add(size)
                self._grams.add(_gram(words, start, size))

    def contaminated(self, text: str) -> bool:
        """Whether the text shares an n-gram with a suite; linear in the text, whatever n."""
        words = _tokens(text)
        heads = list(zip(*(words[at:] for at in range(self._head)), strict=False))
        # The first words of every n-gram are looked up first: one pass without a Python loop.
        if self._sizes.keys().isdisjoint(heads):
            return False
        return any(
            start + size <= len(words) and _gram(words, start, size) in self._grams
            for start, head in enumerate(heads)
            for size in self._sizes.get(head, ())
        )


def _tokens(text: str) -> list[str]:
    """Returns the words of a text as they are compared."""
    return _WORD.findall(text.lower() if text.isascii() else text.translate(_folding))


def _weight(token: str) -> int:
    """Returns the parts of a word that a token counts for."""
    if len(token) > 1 or token < "\u0e00":
        return _PARTS
    code = ord(token)
    return next((w for first, last, w in WITHOUT_SPACES if first <= code <= last), _PARTS)


def _gram(words: list[str], start: int, size: int) -> int:
    return int(digest(*words[start : start + size]), 16)
