"""Writes that are either whole or absent, and disk faults told as what they are."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from alive.errors import StorageError


@contextmanager
def storage(path: Path, safe: str) -> Iterator[None]:
    """Turns a refused write into a StorageError.

    Args:
        path: What was being written, for the message.
        safe: A sentence that says what is still whole and how to go on.

    Raises:
        StorageError: For every OSError, and for a failed write inside safetensors, which reports
            the disk by an exception of its own.
    """
    from safetensors import SafetensorError

    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"{path}: the disk refused the write ({reason}). {safe}") from error
    except SafetensorError as error:
        if "os error" not in str(error) and "I/O" not in str(error):
            raise
        raise StorageError(f"{path}: the disk refused the write ({error}). {safe}") from error


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable (a rename is not, until its folder is synced)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Gives a hidden folder to fill; once its block ends it is synced and takes the path's place.

    Args:
        path: Where it will stand: nothing yet, or an empty folder.

    Raises:
        OSError: When the disk refuses, or something has come to stand at ``path``; what was written
            is taken back.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        for file in (file for file in temporary.rglob("*") if file.is_file()):
            file.chmod(0o644)  # safetensors and mkdtemp write for the owner alone
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        temporary.chmod(0o755)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(path.parent)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Gives a file beside a path to fill; once its block ends it is synced and takes its place.

    Raises:
        OSError: When the disk refuses; what was at ``path`` before is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file as a whole.

    Raises:
        OSError: When the disk refuses; what was at ``path`` before is untouched.
    """
    with replacing(path) as handle:
        handle.write(data)


def append_bytes(path: Path, data: bytes) -> None:
    """Appends to a file, all of it or nothing.

    Raises:
        OSError: When the disk refuses; the part that got through is taken back.
    """
    size = path.stat().st_size if path.exists() else 0
    try:
        with path.open("ab", buffering=0) as handle:
            written = handle.write(data)
            while written < len(data):
                written += handle.write(data[written:])
    except OSError:
        os.truncate(path, size)
        raise


def write_json(path: Path, value: object) -> None:
    """Writes a value as indented JSON, atomically; see ``dumps`` for numbers."""
    write_bytes(path, (dumps(value, indent=2) + "\n").encode())


def dumps(value: object, indent: int | None = None) -> str:
    """Returns strict JSON. JSON has no NaN: numbers that are not finite are written as null."""
    return json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_finite(item) for item in value]
    return value
