"""Does a critique speak of the attempt, or does it only look like one? Pure.

A small reviewer repeats the example of its prompt, and a reviewer that learns from such critiques
soon writes nothing else (docs/LOG.md, 47). What can be seen without knowing what is true: words of
the prompt, a score that contradicts the verdict, quotes of what nobody wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from alive.scripts import UNSPACED

__all__ = ["Runs", "hollow", "runs"]

Runs = frozenset[tuple[str, ...]]
"""Words in a row, and single ones."""

LENGTH = 6
"""Words in a row that are no coincidence."""

OWN = 3
"""Different words that a critique has and its prompt has not, at least: a form is not copied."""

_SENTENCE = re.compile(r"\n|(?<=[.!?:])\s")
_WORD = re.compile(rf"[{UNSPACED}]|(?:(?![{UNSPACED}])\w)+")
_QUOTE = re.compile(r"\"([^\"\n]{1,400})\"|\u201c([^\u201c\u201d\n]{1,400})\u201d")
_MARKUP = re.compile(r"\\[a-zA-Z]+")  # a quote is written without it
_LEAST = 2
"""Words of a quote; a single word in quotes may be a name for something."""


def runs(texts: Iterable[str]) -> Runs:
    """Returns every six words in a row that stand in one sentence of the texts, and each word."""
    found: set[tuple[str, ...]] = set()
    for text in texts:
        for sentence in _SENTENCE.split(text.lower()):
            words = _WORD.findall(sentence)
            found |= {tuple(words[at : at + LENGTH]) for at in range(len(words) - LENGTH + 1)}
            found |= {(word,) for word in words}
    return frozenset(found)


def hollow(
    text: str, verdict: bool | None, score: float | None, seen: Iterable[str], said: Runs
) -> str:
    """Says why a critique cannot be taken for one of its attempt; empty where it can.

    Args:
        text: The critique.
        verdict: Its verdict.
        score: Its score, 0..10.
        seen: What it may quote: the task and the attempt.
        said: Words of the reviewer's own prompt, examples included; none: it is not compared.
    """
    own = runs([text])
    words = {run for run in own if len(run) == 1}
    if said and (len(words - said) < OWN or (own - words) & said):
        return "recites its prompt"
    if score is not None and verdict is not None and (score < 5 if verdict else score > 5):
        return "contradicts itself"
    quotes = [_words(one or other) for one, other in _QUOTE.findall(text)]
    read = [f" {_words(part)} " for part in seen]
    for quote in quotes:
        if quote.count(" ") >= _LEAST - 1 and not any(f" {quote} " in part for part in read):
            return "quotes what is not there"
    return ""


def _words(text: str) -> str:
    return " ".join(_WORD.findall(_MARKUP.sub(" ", text).lower()))
