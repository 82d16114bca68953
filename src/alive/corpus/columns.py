"""Rows of tables: which columns are the text, and how a chat becomes one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from alive.corpus.clean import has_lone_surrogates
from alive.corpus.files import FlawError
from alive.types import OF_TEXT, Framing

Keep = Callable[[str], bool]
"""Whether the source document with this key is wanted."""

TEXT_COLUMNS = (
    ("text",),
    ("messages",),
    ("conversations",),
    ("question", "answer"),
    ("question", "response"),
    ("problem", "solution"),
    ("problem", "answer"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("query", "response"),
    ("instruction", "input?", "output"),
    ("instruction", "context?", "response"),
    ("input", "output"),
    ("content",),
)
"""The columns that make a row's text, in order of preference; joined by a blank line. One with a
question mark may be missing."""

_JOINT = "\n\n"
_ASKING = 3
"""Most parts of a text of which all but the last ask: an instruction, its input, the answer."""

_SPEAKERS = (("role", "content"), ("from", "value"))
"""What a message of a chat calls its speaker and its words: OpenAI's names, and ShareGPT's."""

_INSTRUCTORS = ("system", "developer")
"""Their messages say how to answer, alike in thousands of rows; they are no text to learn from."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source document: what is held out or trained on as one.

    Attributes:
        name: Where it is, for people: a file, ``file:line``, ``builtin:NAME topic``.
        key: Its name within the corpus, which decides its split; sources that belong together
            share it.
        blocks: Its text in pieces of any size, to be read once; None when there is none to read.
        asked: The part of its text that asks for the rest, where its columns or speakers tell.
        domain: Its label for reporting.
        whole: True when the text is one document as it stands, not to be chunked.
        framing: How tasks show its documents.
        flaw: Why there is no text to read, place included; empty when it is not valid UTF-8.
    """

    name: str
    key: str
    blocks: Iterable[str] | None
    domain: str = ""
    whole: bool = False
    framing: Framing = OF_TEXT
    flaw: str = ""
    asked: str = ""


def source_of(row: object, place: str, key: str) -> Source:
    """Returns the source document of a row; one without blocks if there is no text in it."""
    try:
        parts, domain = _parts_of(row, place)
    except FlawError as error:
        return Source(place, key, None, flaw=str(error))
    if has_lone_surrogates("".join(parts) + domain):
        return Source(place, key, None)
    # What stands before the last part asks for it; of longer talk each part asks for the next.
    asked = _JOINT.join(parts[:-1]) if len(parts) <= _ASKING else ""
    return Source(place, key, [_JOINT.join(parts)], domain, asked=asked)


def text_columns(names: Iterable[str], place: str) -> tuple[str, ...]:
    """Returns the columns that make the text of a row with these columns.

    Raises:
        FlawError: There are none; lists the columns there are.
    """
    present = set(names)
    for columns in TEXT_COLUMNS:
        if all(column in present for column in columns if not column.endswith("?")):
            return tuple(name for c in columns if (name := c.removesuffix("?")) in present)
    wanted = ", ".join(" + ".join(columns) for columns in TEXT_COLUMNS).replace("?", "")
    listed = ", ".join(sorted(map(str, present))) or "no columns"
    raise FlawError(f"{place}: no text among its columns ({listed}). Needed: {wanted}.")


def _parts_of(row: object, place: str) -> tuple[list[str], str]:
    """Returns the parts of a row's text that are not empty, and its domain."""
    if isinstance(row, str):
        return [row], ""
    if not isinstance(row, Mapping):
        raise FlawError(
            f'{place}: a {type(row).__name__} where an object such as {{"text": "..."}} is needed.'
        )
    columns = text_columns(row, place)
    parts = [said for column in columns for said in _strings(row[column], column, place) if said]
    return parts, _domain(row.get("domain"), place)


def _domain(value: object, place: str) -> str:
    """Returns a row's label; of a list of labels, as Big-Math has, the first."""
    if isinstance(value, list) and all(isinstance(label, str | None) for label in value):
        value = next((label for label in value if label), None)
    if not isinstance(value, str | None):
        raise FlawError(_not_text(value, "domain", place))
    return value or ""


def _strings(value: object, column: str, place: str) -> list[str]:
    """Returns a text, or what each message of a chat says."""
    if value is None or isinstance(value, str):
        return [value or ""]
    if isinstance(value, list) and value:
        messages = [_said(message) for message in value]
        if None not in messages:
            return [said for said in messages if said]
    raise FlawError(_not_text(value, column, place))


def _not_text(value: object, column: str, place: str) -> str:
    return (
        f"{place}: column {column!r} is a {type(value).__name__}, not text and no list of "
        f"{'labels' if column == 'domain' else 'messages'}. Save it as text."
    )


def _said(message: object) -> str | None:
    """Returns what a message of a chat says, nothing of instructors; None if it is no message."""
    if not isinstance(message, Mapping):
        return None
    for speaker, words in _SPEAKERS:
        if speaker in message and words in message:
            said = _plain(message[words])
            return "" if message[speaker] in _INSTRUCTORS and said is not None else said
    return None


def _plain(content: Any) -> str | None:
    """Returns the text of a message's content, which may come in typed parts."""
    if content is None or isinstance(content, str):
        return content or ""  # a message that only calls a tool says nothing
    if not isinstance(content, list) or not all(isinstance(part, Mapping) for part in content):
        return None
    texts = [part.get("text") for part in content]
    return "\n\n".join(text for text in texts if isinstance(text, str) and text)
