"""The charts of what a run measured: accuracy, self-correction and the reviewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alive.report.drawing import SERIES, draw
from alive.report.gather import Run
from alive.report.text import clip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LOOKS", "Chart", "accuracy", "self_correction"]

LOOKS: dict[str, dict[str, Any]] = {
    "before": {"color": SERIES[1], "marker": "o"},
    "after": {"color": SERIES[0], "marker": "D"},
}
"""How a figure tells before from after."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure, and the same for those who do not see it.

    Attributes:
        title: What it shows.
        svg: The figure.
        caption: How to read it.
        head: Column names of its table.
        rows: The table.
    """

    title: str
    svg: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def accuracy(run: Run, key: str, label: str) -> Chart | None:
    """Draws accuracy by domain, before and after, with its intervals.

    Args:
        run: The run.
        key: ``accuracy`` or ``sampled_accuracy``.
        label: What the reader is told it is.
    """
    names = [*run.domains, "all"]
    columns: dict[str, list[tuple[float, float, float] | None]] = {}
    for when, stored in run.evaluations().items():
        rows = {**stored["result"].get("domains", {}), "all": stored["result"]}
        columns[when] = [_interval(rows.get(name, {}), key) for name in names]
    if not any(interval for column in columns.values() for interval in column):
        return None

    def paint(axes: Axes) -> None:
        for offset, (when, column) in zip((-0.14, 0.14), columns.items(), strict=False):
            kept = [(at + offset, interval) for at, interval in enumerate(column) if interval]
            means = [mean for _, (mean, _, _) in kept]
            spread = [[m - low for _, (m, low, _) in kept], [high - m for _, (m, _, high) in kept]]
            places = [at for at, _ in kept]
            axes.errorbar(means, places, xerr=spread, fmt=" ", capsize=3, label=when, **LOOKS[when])
        axes.set_yticks(range(len(names)), [clip(name, 18) for name in names])
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel("right, %")
        axes.legend(loc="best")

    table = tuple(
        (name, *(_shown(column[at]) for column in columns.values()))
        for at, name in enumerate(names)
    )
    return Chart(
        f"Held-out problems, {label}",
        draw(f"accuracy {label}", paint, 1.3 + 0.42 * len(names)),
        f"Share of {run.before['result']['n'] if run.before else 0} held-out problems answered "
        "right; whiskers are 95 % intervals over problems.",
        ("domain", *columns),
        table,
    )


def self_correction(run: Run) -> Chart | None:
    """Draws what reviewing and revising made of right and wrong first attempts."""
    flows: dict[str, dict[str, int]] = {}
    for when, stored in run.evaluations().items():
        counted = stored["result"].get("self_correction")
        if counted:
            flows[when] = _flow(counted)
    if not flows:
        return None

    def paint(axes: Axes) -> None:
        for at, flow in enumerate(flows.values()):
            _ribbons(axes, flow, at)
        axes.set_xticks(
            [3 * at + side for at in range(len(flows)) for side in (0, 2)],
            [text for _ in flows for text in ("first", "revised")],
        )
        for at, when in enumerate(flows):
            axes.text(3 * at + 1, 104, f"{when} training", ha="center")
        axes.set_ylim(0, 112)
        axes.set_yticks(range(0, 101, 25))
        axes.set_ylabel("problems, %")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)

    names = ("right, stayed right", "wrong, made right", "right, made wrong", "wrong, stayed wrong")
    return Chart(
        "Self-correction",
        draw("self-correction", paint, 3.6),
        "Each first attempt is reviewed without the answer in view and, where the review calls it "
        "wrong, revised. Left: first attempts; right: what stands in the end.",
        ("problems", *flows),
        tuple((name, *(str(flow[name]) for flow in flows.values())) for name in names),
    )


def _flow(counted: Mapping[str, Any]) -> dict[str, int]:
    right, wrong = counted["n_right"], counted["n_wrong"]
    harmed, corrected = counted["harmed"], counted["corrected"]
    return {
        "right, stayed right": right - harmed,
        "right, made wrong": harmed,
        "wrong, made right": corrected,
        "wrong, stayed wrong": wrong - corrected,
    }


_FLOW_COLOURS = dict(
    zip(
        ("right, stayed right", "wrong, made right", "right, made wrong", "wrong, stayed wrong"),
        (SERIES[0], SERIES[2], SERIES[1], SERIES[5]),
        strict=True,
    )
)


def _ribbons(axes: Axes, flow: Mapping[str, int], at: int) -> None:
    """Draws one flow: right on top on both sides, each part a ribbon from left to right."""
    import numpy as np

    total = sum(flow.values())
    left = _stacked(flow, ("wrong, stayed wrong", "wrong, made right", "right, made wrong"), total)
    right = _stacked(flow, ("wrong, stayed wrong", "right, made wrong", "wrong, made right"), total)
    way = np.linspace(0, 1, 30)
    bend = way * way * (3 - 2 * way)
    for name, colour in _FLOW_COLOURS.items():
        (low, high), (low_end, high_end) = left[name], right[name]
        axes.fill_between(
            3 * at + 2 * way,
            low + (low_end - low) * bend,
            high + (high_end - high) * bend,
            color=colour,
            linewidth=0,
            alpha=0.75,
            label=None if at else name,
        )


def _stacked(
    flow: Mapping[str, int], order: Sequence[str], total: int
) -> dict[str, tuple[float, float]]:
    """Returns each part's lower and upper edge, per cent; what is not named is on top."""
    edges: dict[str, tuple[float, float]] = {}
    low = 0.0
    for name in (*order, *(name for name in flow if name not in order)):
        high = low + 100 * flow[name] / total
        edges[name] = (low, high)
        low = high
    return edges


def _interval(row: Mapping[str, Any], key: str) -> tuple[float, float, float] | None:
    if row.get(key) is None:
        return None
    low, high = row[f"{key}_interval"]
    return 100 * row[key], 100 * low, 100 * high


def _shown(interval: tuple[float, float, float] | None) -> str:
    if interval is None:
        return "-"
    mean, low, high = interval
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"
