"""Draws a run's table and one of its episodes: ``python docs/picture.py RUN FILE.svg``."""

from __future__ import annotations

import json
import re
import sys
from io import StringIO
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from alive.cli.tables import before_after
from alive.types import MASK


def draw(run: Path, picture: Path) -> None:
    """Writes the picture of a finished run."""
    console = Console(record=True, width=84, file=StringIO())
    console.print(_episode(sorted((run / "episodes").glob("*.parquet"))))
    console.print(before_after(json.loads((run / "summary.json").read_text())))
    picture.parent.mkdir(parents=True, exist_ok=True)
    drawn = console.export_svg(title="alive train")
    # rich names a font on a server; whoever looks at a picture should ask no other machine.
    picture.write_text(re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL), "utf-8")


def _episode(shards: list[Path]) -> Panel:
    """The first attempt that its review led to the hidden text, at a task nobody had solved."""
    rows = [row for shard in shards for row in pq.read_table(shard).to_pylist()]
    places = ("step", "task_id", "attempt_index")
    mended = {
        tuple(row[place] for place in places): row
        for row in rows
        if row["role"] == "revise" and row["correct"]
    }
    solves = [r for r in rows if r["role"] == "solve" and tuple(r[p] for p in places) in mended]
    if not solves:
        raise SystemExit("no revision of this run came out right: there is none to draw")
    row = min(solves, key=lambda r: (r["pass_rate"], r["step"]))
    revision = mended[tuple(row[place] for place in places)]
    passage = Text()
    for i, part in enumerate(row["passage"].split(MASK)):
        if i:
            passage.append(f"[{row['span']}]", style="bold reverse")
        passage.append(part)
    told = (
        ("attempt", row["completion"]),
        ("review, with the hidden text in view", row["critique"]),
        ("revision, which trains as an attempt", revision["completion"]),
    )
    parts = [Text(text, "dim" if i == 0 else "") for one in told for i, text in enumerate(one)]
    title = f"step {row['step'] + 1}: {100 * row['pass_rate']:.0f} % of the attempts were right"
    return Panel(Group(passage, *parts), title=title, title_align="left")


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
