"""Settings as a TOML file that explains itself: what was chosen and why, and all that was not."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from alive.config import Config
from alive.settings import known_keys, toml

__all__ = ["Choice", "config_file"]

_WIDTH = 96


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting's value and the reason for it.

    Attributes:
        value: A plain value: text, number, truth, or a list of these.
        why: The reason, for people.
    """

    value: Any
    why: str


def config_file(head: str, choices: Mapping[str, Choice]) -> str:
    """Returns the text of a settings file.

    Args:
        head: What stands at its top, as a comment.
        choices: By ``section.key``, what is set; every other setting is listed as a comment with
            its description and its default.
    """
    usual = Config().model_dump(mode="json")
    lines = list(_comment(head))
    section = ""
    for key, description in known_keys().items():
        inside, _, name = key.rpartition(".")
        if inside != section:
            section = inside
            lines += ["", f"[{section}]"]
        elif not section:
            lines.append("")
        if key in choices:
            chosen = choices[key]
            lines += [*_comment(description), *_comment(f"Chosen: {chosen.why}")]
            lines.append(f"{name} = {toml(chosen.value)}")
        else:
            default = (usual[section] if section else usual)[name]
            lines += _comment(description)
            lines.append(f"# {name} = {toml(default)}")
    return "\n".join(lines) + "\n"


def _comment(text: str) -> Iterator[str]:
    # TOML takes no control characters in comments either.
    plain = "".join(
        c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    for paragraph in plain.split("\n"):
        yield from (f"# {line}".rstrip() for line in textwrap.wrap(paragraph, _WIDTH) or [""])
