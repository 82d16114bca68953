"""The documents, and their fenced blocks in order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(
    r"(?:^(?P<before>[^\n]*)\n\n?)?^```(?P<language>[^\n`]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
FILE = re.compile(r"`(?P<path>[\w./-]+\.\w+)`:$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: What stands after the fence; empty for commands and for what is shown.
        text: What stands between.
        file: The file whose content it is, where the line before ends in its name and a colon.
    """

    language: str
    text: str
    file: str = ""

    @property
    def commands(self) -> Iterator[list[str]]:
        """Its ``alive`` commands, without the program's own name."""
        for line in self.text.splitlines():
            words = shlex.split(line, comments=True) if re.match(r"\S*\balive ", line) else []
            if words and Path(words[0]).name == "alive":
                yield words[1:]


def blocks(document: Path) -> list[Block]:
    found = []
    for fence in FENCE.finditer(document.read_text("utf-8")):
        file = FILE.search(fence["before"] or "")
        found.append(Block(fence["language"], fence["text"], file["path"] if file else ""))
    return found
