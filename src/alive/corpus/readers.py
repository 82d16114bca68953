"""Finds the texts of a corpus and reads them as streams; no file is ever held whole."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alive.corpus import builtin, rows, tables
from alive.corpus.columns import Keep, Source
from alive.corpus.files import PACKED, inner_suffix, open_bytes
from alive.errors import CorpusError

BLOCK = 1 << 18
"""Bytes read at a time."""

_KINDS = {
    ".txt": "text",
    ".md": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}


@dataclass(frozen=True, slots=True)
class Unit:
    """Something that is opened and read from its start: a file, a dataset, a builtin.

    Attributes:
        kind: ``text``, ``jsonl``, ``json``, ``parquet``, ``dataset``, ``hub`` or ``builtin``.
        name: Its path as people know it, ``owner/name``, or ``builtin:NAME``.
        key: Its name within the corpus, the same wherever the corpus lies.
        strays: Whether the few bytes of a text that are not UTF-8 are passed over.
    """

    kind: str
    name: str
    key: str
    strays: bool = False

    def read(self, keep: Keep) -> Iterator[Source]:
        """Yields the source documents whose key ``keep`` accepts, in order.

        Raises:
            CorpusError: What is read is malformed, or stopped being readable.
        """
        reader: dict[str, Callable[[str, str, Keep], Iterator[Source]]] = {
            "jsonl": rows.read_jsonl,
            "json": rows.read_json,
            "parquet": tables.read_parquet,
            "dataset": tables.read_dataset,
            "hub": tables.read_hub,
            "builtin": builtin.read,
        }
        with readable(self.name):
            if self.kind != "text":
                yield from reader[self.kind](self.name, self.key, keep)
            elif keep(self.key):
                yield Source(self.name, self.key, self._blocks())

    def _blocks(self) -> Iterator[str]:
        errors = "ignore" if self.strays else "strict"
        with readable(self.name), open_bytes(self.name) as file:
            text = io.TextIOWrapper(file, "utf-8-sig", errors)
            while block := text.read(BLOCK):
                yield block


def find_units(paths: tuple[str, ...]) -> tuple[list[Unit], int]:
    """Lists what the paths of a corpus hold, sorted within each folder.

    Hidden files and folders and symbolic links to folders are not followed. A dataset of the Hub is
    fetched here, before anything else costs time.

    Returns:
        The units, and the number of files passed over because of their suffix.

    Raises:
        CorpusError: A path is missing, of an unknown kind, or a folder without any text.
    """
    units: dict[Path, Unit] = {}
    keys: set[str] = set()
    ignored = 0
    for path in paths:
        if path.startswith("builtin:"):
            builtin.check(path)
            units[Path(path)] = Unit("builtin", path, path)
            continue
        root = Path(path).expanduser()
        if not root.exists() and tables.is_hub_id(path):
            tables.fetch(path)
            units[Path(path)] = Unit("hub", path, path)
            continue
        files, others = _find(root)
        ignored += others
        for at in files:
            # The same file under two paths is read once; two files never share a key.
            if at.resolve() in units:
                continue
            relative = at.relative_to(root).as_posix()
            key = root.resolve().name + ("" if relative == "." else f"/{relative}")
            while key in keys:
                key += "'"
            keys.add(key)
            units[at.resolve()] = Unit(_kind(at), str(at), key)
    return list(units.values()), ignored


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turns what stops the block from reading into an error that names it.

    Raises:
        CorpusError: In place of an ``OSError``, or of text that is not UTF-8.
    """
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(
            f"cannot read {name}: {error}. Check that it exists, that its permissions allow "
            "reading and that nothing writes to it during the run."
        ) from error


def known_files() -> str:
    """Returns the suffixes of files that are read, for people."""
    return f"{', '.join(_KINDS)} (packed too: {', '.join(PACKED)})"


def _kind(path: Path) -> str:
    return "dataset" if path.is_dir() else _KINDS[inner_suffix(path.name)]


def _find(root: Path) -> tuple[list[Path], int]:
    """Returns the files and datasets at or below a path, and the number of other files."""
    if not root.exists():
        raise CorpusError(f"no such file or folder: {root}. Check corpus.paths.")
    if root.is_file():
        if inner_suffix(root.name) not in _KINDS:
            raise CorpusError(
                f"{root}: cannot read this kind of file. Known are {known_files()}, Hugging Face "
                f"datasets (saved to disk, or OWNER/NAME), and {', '.join(builtin.names())}."
            )
        return [root], 0
    found: list[Path] = []
    ignored = 0

    def refuse(error: OSError) -> None:
        raise error

    with readable(str(root)):
        for folder, folders, files in os.walk(root, onerror=refuse):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            if tables.is_dataset(files):
                found.append(Path(folder))
                folders.clear()
                continue
            for name in sorted(name for name in files if not name.startswith(".")):
                if inner_suffix(name) in _KINDS:
                    found.append(Path(folder, name))
                else:
                    ignored += 1
    if not found:
        raise CorpusError(
            f"{root}: an empty corpus, no {known_files()} file and no dataset below it "
            f"({ignored} files of other kinds)."
        )
    return found, ignored
