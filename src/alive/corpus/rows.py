"""Files of JSON: an object a line, an array of objects, or one object; read value by value."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from typing import IO

from alive.corpus.columns import Keep, Source, source_of, text_columns
from alive.corpus.files import FlawError, open_bytes

LONGEST_LINE = 1 << 26
"""A JSON value has to be parsed whole; a longer line or value (64 MiB) is refused."""

BLOCK = 1 << 18
"""Bytes read at a time."""

_BLANK = re.compile(r"[ \t\r\n,]*")
"""What stands between values and says nothing."""


def read_jsonl(name: str, key: str, keep: Keep) -> Iterator[Source]:
    """Yields the rows of a file of JSON lines; blank lines are passed over, NUL bytes dropped.

    A line that is no JSON, has no text or is too long gives a source without blocks.

    Raises:
        FlawError: What is packed is damaged.
    """
    with open_bytes(name) as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            place, row_key = f"{name}:{number}", f"{key}:{number}"
            if len(line) == LONGEST_LINE:
                _pass_over(file)
                if keep(row_key):
                    yield Source(place, row_key, None, flaw=_too_long(place))
                continue
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            line = line.replace(b"\0", b"")
            if line.strip() and keep(row_key):
                yield _source_of_line(line, place, row_key)


def _source_of_line(line: bytes, place: str, key: str) -> Source:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return Source(place, key, None)
    except (ValueError, RecursionError) as error:  # RecursionError: nested too deep
        flaw = (
            f"{place}: not JSON ({error}). Every line of a .jsonl file is one object, "
            'such as {"text": "..."}.'
        )
        return Source(place, key, None, flaw=flaw)
    return source_of(row, place, key)


def _too_long(place: str) -> str:
    return (
        f"{place}: a line of more than {LONGEST_LINE >> 20} MiB. Split the row, or save its text "
        "as a .txt file."
    )


def _pass_over(file: IO[bytes]) -> None:
    """Reads on to the end of the line."""
    while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
        pass


def read_json(name: str, key: str, keep: Keep) -> Iterator[Source]:
    """Yields the rows of a ``.json`` file, which people fill in several ways.

    It holds an array of rows, one row, rows one after the other, or an object with an array of rows
    under some name. JSON lines under this suffix are read as such.

    Raises:
        FlawError: What is packed is damaged.
        UnicodeDecodeError: It is not UTF-8.
    """
    if _is_jsonl(name):
        yield from read_jsonl(name, key, keep)
        return
    number = 0
    try:
        for value in _values(name):
            for row in _rows_of(value):
                number += 1
                row_key = f"{key}:{number}"
                if keep(row_key):
                    yield source_of(row, f"{name} row {number}", row_key)
    except json.JSONDecodeError as error:
        row_key = f"{key}:{number + 1}"
        if keep(row_key):
            flaw = f"{name} row {number + 1}: not JSON ({error.msg}). What follows is not read."
            yield Source(name, row_key, None, flaw=flaw)


def _is_jsonl(name: str) -> bool:
    """Whether the first line that is not blank is a whole row."""
    with open_bytes(name) as file:
        while line := file.readline(LONGEST_LINE):
            if line := line.removeprefix(codecs.BOM_UTF8).strip():
                break
    try:
        row = json.loads(line)
        return isinstance(row, Mapping) and bool(text_columns(row, name))
    except (ValueError, RecursionError, FlawError):
        return False


def _rows_of(value: object) -> list[object]:
    """Returns the rows in a value of a file: itself, or those listed under one of its names."""
    if isinstance(value, Mapping):
        try:
            text_columns(value, "")
        except FlawError:
            lists = [v for v in value.values() if isinstance(v, list) and v]
            tables = [rows for rows in lists if all(isinstance(row, Mapping) for row in rows)]
            if len(tables) == 1:
                return list(tables[0])
    return [value]


def _values(name: str) -> Iterator[object]:
    """Yields the elements of the array that a file holds, or its values one after the other.

    Raises:
        JSONDecodeError: There is something else, or a value longer than ``LONGEST_LINE``.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    with open_bytes(name) as file:
        text, at, ended, array = "", 0, False, False
        while True:
            at = _end_of_blank(text, at)
            if text[at : at + 1] == ("]" if array else "["):
                array, at = not array, at + 1
                continue
            if ended and at == len(text):
                if array:
                    raise json.JSONDecodeError("the array has no end", text, at)
                return
            value, end = _decoded(text, at, ended)
            if end is not None:
                yield value
                at = end
                continue
            # Twice as much each time, so that a long value is tried a few times only.
            block = file.read(max(BLOCK, len(text) - at))
            ended = not block
            text, at = text[at:] + decoder.decode(block, ended).replace("\0", ""), 0


def _end_of_blank(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _decoded(text: str, at: int, ended: bool) -> tuple[object, int | None]:
    """Returns the value at a place and where it ends; no end if more has to be read first."""
    try:
        value, end = json.JSONDecoder().raw_decode(text, at)
    except RecursionError:
        raise json.JSONDecodeError("nested too deep", text, at) from None
    except json.JSONDecodeError:
        if ended or len(text) - at >= LONGEST_LINE:
            raise
        return None, None
    # A number may go on in the next block; brackets and quotes say where they end.
    return (value, end) if ended or end < len(text) or text[-1] in '}]"' else (None, None)
