"""What a corpus was found to hold, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field

EXAMPLES = 5
"""Names kept of each kind of loss."""


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """Counts of a pass over each split: the latest whole one, else the one under way.

    Attributes:
        files: Files, datasets and builtins that are read.
        ignored_files: Files passed over because of their suffix.
        skipped_binary: Files skipped because they are full of NUL bytes.
        broken_utf8: Files and rows skipped because they are not valid UTF-8.
        unreadable: Files and rows skipped because they are not what their suffix says, are damaged,
            or have no text where it is looked for.
        repaired: Files of text that are read without a few bytes: NUL, or no UTF-8.
        empty: Source documents without any text.
        train: Documents of the train split.
        validation: Documents of the validation split.
        duplicates: Documents dropped because the same text came before.
        contaminated: Documents dropped because they share an n-gram with a suite.
        too_short: Documents dropped because they have too few tokens.
        examples: For each kind of loss, the names of the first few.
    """

    files: int = 0
    ignored_files: int = 0
    skipped_binary: int = 0
    broken_utf8: int = 0
    unreadable: int = 0
    repaired: int = 0
    empty: int = 0
    train: int = 0
    validation: int = 0
    duplicates: int = 0
    contaminated: int = 0
    too_short: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, int | dict[str, list[str]]]:
        """Returns the counts and examples by name, ready for JSON."""
        return asdict(self)

    def losses(self) -> str:
        """Returns one line that says what was left out and why, for people; else ``nothing``."""
        words = {
            "skipped_binary": "binary",
            "broken_utf8": "broken UTF-8",
            "unreadable": "not readable",
            "empty": "empty",
            "too_short": "too short",
            "duplicates": "duplicates",
            "contaminated": "shared with a suite",
        }
        counts = self.as_dict()
        parts = []
        for name, word in words.items():
            if count := counts[name]:
                first = self.examples.get(name, [])
                parts.append(f"{count} {word}" + (f" ({', '.join(first)})" if first else ""))
        return "; ".join(parts) or "nothing"


class Tally:
    """Counts while reading."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def lose(self, kind: str, name: str) -> None:
        """Counts something left out, by the name of its field in the report."""
        self.counts[kind] += 1
        named = self.examples.setdefault(kind, [])
        if len(named) < EXAMPLES and name not in named:
            named.append(name)


def summarise(*tallies: Tally) -> CorpusReport:
    """Returns the report that the tallies add up to."""
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    for tally in tallies:
        counts.update(tally.counts)
        for kind, names in tally.examples.items():
            examples[kind] = [*examples.get(kind, []), *names][:EXAMPLES]
    return CorpusReport(**counts, examples=examples)
