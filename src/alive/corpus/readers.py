"""Finds the texts of a corpus and reads them as streams; no file is ever held whole."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alive.corpus import builtin, rows
from alive.corpus.rows import Keep, Source
from alive.errors import CorpusError

BLOCK = 1 << 18
"""Bytes read at a time while checking a file."""

_TEXT = (".txt", ".md")
_SUFFIXES = (*_TEXT, ".jsonl", ".parquet")


@dataclass(frozen=True, slots=True)
class Unit:
    """Something that is opened and read from its start: a file, a dataset, a builtin.

    Attributes:
        kind: ``text``, ``jsonl``, ``parquet``, ``dataset`` or ``builtin``.
        name: Its path as people know it, or ``builtin:NAME``.
        key: Its name within the corpus, the same wherever the corpus lies.
    """

    kind: str
    name: str
    key: str

    def read(self, keep: Keep) -> Iterator[Source]:
        """Yields the source documents whose key ``keep`` accepts, in order.

        Raises:
            CorpusError: What is read is malformed, or stopped being readable.
        """
        reader: dict[str, Callable[[str, str, Keep], Iterator[Source]]] = {
            "text": _read_text,
            "jsonl": rows.read_jsonl,
            "parquet": rows.read_parquet,
            "dataset": rows.read_dataset,
            "builtin": builtin.read,
        }
        with _readable(self.name):
            yield from reader[self.kind](self.name, self.key, keep)


def find_units(paths: tuple[str, ...]) -> tuple[list[Unit], int]:
    """Lists what the paths of a corpus hold, sorted within each folder.

    Hidden files and folders and symbolic links to folders are not followed.

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


def find_flaw(unit: Unit) -> str | None:
    """Reads a file of text or of JSON lines once, before the run, for what would stop it later.

    Returns:
        ``binary`` or ``broken UTF-8`` when the whole file is to be skipped, else None. Rows with
        broken UTF-8 are left to the reader, which skips the row alone.

    Raises:
        CorpusError: A line that is not JSON or has no text; an unreadable file.
    """
    if unit.kind not in ("text", "jsonl"):
        return None
    with _readable(unit.name):
        if _is_binary(unit.name, whole=unit.kind == "text"):
            return "binary"
        if unit.kind == "text":
            return None if _is_utf8(unit.name) else "broken UTF-8"
        for _ in rows.read_jsonl(unit.name, unit.key, lambda _: True):
            pass
    return None


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(
            f"cannot read {name}: {error}. Check that it exists, that its permissions allow "
            "reading and that nothing writes to it during the run."
        ) from error


def _kind(path: Path) -> str:
    if path.is_dir():
        return "dataset"
    suffix = path.suffix.lower()
    return "text" if suffix in _TEXT else suffix[1:]


def _find(root: Path) -> tuple[list[Path], int]:
    """Returns the files and datasets at or below a path, and the number of other files."""
    if not root.exists():
        raise CorpusError(f"no such file or folder: {root}. Check corpus.paths.")
    if root.is_file():
        if root.suffix.lower() not in _SUFFIXES:
            raise CorpusError(
                f"{root}: cannot read this kind of file. Known are {', '.join(_SUFFIXES)}, "
                f"Hugging Face datasets saved to disk, and {', '.join(builtin.names())}."
            )
        return [root], 0
    readable: list[Path] = []
    ignored = 0

    def refuse(error: OSError) -> None:
        raise error

    with _readable(str(root)):
        for folder, folders, files in os.walk(root, onerror=refuse):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            if rows.is_dataset(files):
                readable.append(Path(folder))
                folders.clear()
                continue
            for name in sorted(name for name in files if not name.startswith(".")):
                if Path(name).suffix.lower() in _SUFFIXES:
                    readable.append(Path(folder, name))
                else:
                    ignored += 1
    if not readable:
        raise CorpusError(
            f"{root}: an empty corpus, no {', '.join(_SUFFIXES)} file and no dataset below it "
            f"({ignored} files of other kinds)."
        )
    return readable, ignored


def _is_binary(name: str, whole: bool) -> bool:
    """Whether a file holds NUL bytes, in all of it or in its first block."""
    with open(name, "rb") as file:
        while block := file.read(BLOCK):
            if b"\0" in block:
                return True
            if not whole:
                break
    return False


def _is_utf8(name: str) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open(name, "rb") as file:
        try:
            while block := file.read(BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _read_text(name: str, key: str, keep: Keep) -> Iterator[Source]:
    if not keep(key):
        return

    def blocks() -> Iterator[str]:
        with _readable(name), open(name, encoding="utf-8-sig") as file:
            while block := file.read(BLOCK):
                yield block

    yield Source(name, key, blocks())
