"""Opens files of a corpus, packed ones too, as streams of bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from alive.errors import CorpusError

__all__ = ["PACKED", "FlawError", "inner_suffix", "is_packed", "open_bytes"]

PACKED = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes after a file's own that say how it is packed."""

_PACKABLE = (".txt", ".md", ".jsonl", ".ndjson", ".json")
"""Read front to back, so they may be packed; Parquet packs its own columns."""


class FlawError(CorpusError):
    """What makes a file or a row unusable; the rest of the corpus is not touched by it."""


def is_packed(name: str) -> bool:
    """Whether a file is packed, by its suffix."""
    return Path(name).suffix.lower() in PACKED


def inner_suffix(name: str) -> str:
    """Returns the suffix that says what a file holds, once unpacked; empty if none does."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes[-2:]]
    if suffixes and suffixes[-1] in PACKED:
        return suffixes[0] if suffixes[0] in _PACKABLE else ""
    return suffixes[-1] if suffixes else ""


@contextmanager
def open_bytes(name: str) -> Iterator[IO[bytes]]:
    """Opens a file for reading, unpacked.

    Raises:
        FlawError: What is packed is damaged or torn.
        OSError: The file cannot be read.
    """
    try:
        with _opened(name) as file:
            yield file
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        # What the system refuses has a number; what the packing got wrong has none.
        if getattr(error, "errno", None) is not None:
            raise
        raise FlawError(f"{name}: damaged or torn ({error}). Pack it again.") from error


def _opened(name: str) -> IO[bytes]:
    suffix = Path(name).suffix.lower()
    if suffix == ".gz":
        return cast(IO[bytes], gzip.open(name, "rb"))
    if suffix == ".bz2":
        return cast(IO[bytes], bz2.open(name, "rb"))
    if suffix == ".xz":
        return cast(IO[bytes], lzma.open(name, "rb"))
    return _open_zstandard(name) if suffix == ".zst" else open(name, "rb")


def _open_zstandard(name: str) -> IO[bytes]:
    """Unpacks by Arrow, which is there anyway: Python has no Zstandard of its own before 3.14."""
    import pyarrow as pa

    return cast(IO[bytes], io.BufferedReader(pa.input_stream(name, compression="zstd")))
