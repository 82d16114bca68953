"""Records what ``alive train`` shows: ``python docs/picture.py FILE.svg``. Takes a minute."""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import chdir
from io import StringIO
from pathlib import Path

from rich.console import Console

import alive
from alive.cli.tables import before_after
from alive.settings import load_config

WIDTH = 92


def draw(picture: Path) -> None:
    """Trains the quickstart with seed 0 and writes the picture of its terminal."""
    console = Console(record=True, width=WIDTH, file=StringIO())
    config = load_config("quickstart", overrides=["model.threads=1", "out=runs/seed-0"])
    picture = picture.absolute()
    with tempfile.TemporaryDirectory() as scratch, chdir(scratch):
        summary = alive.train(config, console=console)
    console.print(before_after(summary))
    for line in summary["verdicts"]:
        console.print(f"- {line}", markup=False, highlight=False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    drawn = console.export_svg(title="alive train")
    # The fonts stand on another machine; the page's own will do.
    picture.write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL), "utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
