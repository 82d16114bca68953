"""Draws a run's table and one of its episodes: ``python docs/picture.py RUN FILE.svg``."""

from __future__ import annotations

import json
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
    console.print(_episode(sorted((run / "episodes").glob("*.parquet"))[-1]))
    console.print(before_after(json.loads((run / "summary.json").read_text())))
    picture.parent.mkdir(parents=True, exist_ok=True)
    console.save_svg(str(picture), title="alive train")


def _episode(shard: Path) -> Panel:
    """A wrong attempt whose review names the faulty step, from a task that others got right."""
    rows = [row for row in pq.read_table(shard).to_pylist() if row["role"] == "solve"]
    told = [r for r in rows if not r["correct"] and r["faulty_step"] and r["verdict"] is False]
    row = max(told or rows, key=lambda r: r["pass_rate"])
    passage = Text()
    for i, part in enumerate(row["passage"].split(MASK)):
        if i:
            passage.append(f"[{row['span']}]", style="bold reverse")
        passage.append(part)
    body = Group(passage, Text("\nattempt", "dim"), Text(row["completion"]),
                 Text("\nreview", "dim"), Text(row["critique"]))  # fmt: skip
    return Panel(body, title=f"step {row['step'] + 1}", title_align="left")


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
