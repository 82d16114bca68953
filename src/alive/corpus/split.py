"""Train or validation, decided by the name of the whole source document."""

from __future__ import annotations

from typing import Literal

from alive.seeding import digest

Split = Literal["train", "validation"]


def split_of(key: str, validation_share: float) -> Split:
    """Returns the split of a source document.

    Args:
        key: Name of the source document in the corpus: a file, a row of a file, a topic. All chunks
            of a document share it, so no document is in both splits. The run's seed plays no part:
            held-out documents are the same in every run.
        validation_share: Expected share of documents held out, 0..1.
    """
    return "validation" if int(digest("split", key), 16) < validation_share * 2**64 else "train"
