"""Matplotlib figures as SVG that stands inside a page: its colours follow light and dark.

The text in figures (domains, reasons) comes from corpora; it is never read as markup or formula.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from alive.seeding import digest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GRID", "INK", "SERIES", "draw"]

INK, GRID = "#1f2328", "#d8dbdf"
SERIES = ("#0072b2", "#d55e00", "#00875a", "#aa4499", "#8a6d00", "#56789a")
"""Colours that differ in lightness as well, so that they are told apart without hue."""

_NAMES = {INK: "--ink", GRID: "--grid"} | {colour: f"--c{i}" for i, colour in enumerate(SERIES, 1)}
_WIDTH = 5.0
"""Inches of 72 points: a figure is as wide as a phone, so its text is read at its own size."""

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": False,
    "font.size": 10.5,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(name: str, paint: Callable[[Axes], None], height: float = 2.8) -> str:
    """Draws one figure.

    Args:
        name: Of the figure on its page; makes its ids differ from other figures'.
        paint: Draws into the axes.
        height: Inches.

    Returns:
        An ``<svg>`` element without ids that another figure has, its colours as CSS variables.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    target = io.StringIO()
    style: Any = {**_STYLE, "svg.hashsalt": name}
    with warnings.catch_warnings(), rc_context(style):
        # The browser has the glyphs that matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        paint(axes)
        figure.savefig(target, format="svg", transparent=True, metadata={"Date": None})
    return _embedded(target.getvalue(), name)


def _embedded(svg: str, name: str) -> str:
    """Leaves the element alone, with ids and colours of its page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    prefix = f"f{digest(name)[:8]}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}', svg)
    svg = svg.replace("url(#", f"url(#{prefix}")
    svg = re.sub(r"#[0-9a-f]{6}\b", lambda match: _variable(match[0]), svg)
    # Decoration for those who see; the caption and the table say the same.
    return re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', _OPENING, svg, count=1)


_OPENING = r'<svg viewBox="\1" aria-hidden="true" focusable="false">'


def _variable(colour: str) -> str:
    name = _NAMES.get(colour)
    return f"var({name}, {colour})" if name else colour


def binned(values: Sequence[float | None], most: int = 120) -> tuple[list[float], list[float]]:
    """Averages a long series to at most ``most`` points; what is absent is left out.

    Returns:
        The places (mean indices) and the means.
    """
    size = max(1, -(-len(values) // most))
    places: list[float] = []
    means: list[float] = []
    for start in range(0, len(values), size):
        part = [
            (at, v) for at, v in enumerate(values[start : start + size], start) if v is not None
        ]
        if part:
            places.append(sum(at for at, _ in part) / len(part))
            means.append(sum(value for _, value in part) / len(part))
    return places, means
