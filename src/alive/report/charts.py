"""The charts of what a run measured: accuracy, self-correction and the reviewer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from alive.report.drawing import INK, SERIES, draw
from alive.report.gather import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Chart", "accuracy", "calibration", "measured", "roc", "self_correction"]

_LOOKS: dict[str, dict[str, Any]] = {
    "before": {"color": SERIES[1], "marker": "o"},
    "after": {"color": SERIES[0], "marker": "D"},
}
_BINS = 5
"""Of stated confidence; few, so that each holds enough reviews."""


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


def measured(run: Run) -> Iterator[Chart]:
    """Yields the charts of the evaluations there are."""
    for key, label in (("sampled_accuracy", "sampled"), ("accuracy", "greedy")):
        chart = accuracy(run, key, label)
        if chart:
            yield chart
    for make in (self_correction, roc, calibration):
        chart = make(run)
        if chart:
            yield chart


def accuracy(run: Run, key: str, label: str) -> Chart | None:
    """Draws accuracy by domain, before and after, with its intervals.

    Args:
        run: The run.
        key: ``accuracy`` or ``sampled_accuracy``.
        label: What the reader is told it is.
    """
    names = [*run.domains, "all"]
    found: dict[str, list[tuple[float, float, float] | None]] = {}
    for when, stored in run.evaluations().items():
        rows = {**stored["result"].get("domains", {}), "all": stored["result"]}
        found[when] = [_interval(rows.get(name, {}), key) for name in names]
    if not any(one for column in found.values() for one in column):
        return None

    def paint(axes: Axes) -> None:
        for offset, (when, column) in zip((-0.14, 0.14), found.items(), strict=False):
            kept = [(at + offset, one) for at, one in enumerate(column) if one]
            means = [mean for _, (mean, _, _) in kept]
            spread = [[m - low for _, (m, low, _) in kept], [high - m for _, (m, _, high) in kept]]
            places = [at for at, _ in kept]
            axes.errorbar(
                means, places, xerr=spread, fmt=" ", capsize=3, label=when, **_LOOKS[when]
            )
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel("right, %")
        axes.legend(loc="best")

    table = tuple(
        (name, *(_shown(column[at]) for column in found.values())) for at, name in enumerate(names)
    )
    return Chart(
        f"Held-out problems, {label}",
        draw(f"accuracy {label}", paint, 1.3 + 0.42 * len(names)),
        f"Share of {run.before['result']['n'] if run.before else 0} held-out problems answered "
        "right; whiskers are 95 % intervals over problems.",
        ("domain", *found),
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


def roc(run: Run) -> Chart | None:
    """Draws how well the reviewer's scores tell right attempts from wrong ones."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for when, stored in run.evaluations().items():
        curve = _curve(stored.get("judged", ()))
        if curve:
            curves[when] = curve
    if not curves:
        return None

    def paint(axes: Axes) -> None:
        axes.plot([0, 100], [0, 100], color=INK, linestyle=":", linewidth=1, label="guessing")
        for when, curve in curves.items():
            x, y = zip(*curve, strict=True)
            area = _area(curve) / 100
            axes.plot(x, y, label=f"{when}, area {area:.0f} %", markersize=4, **_LOOKS[when])
        axes.set_xlabel("wrong attempts called right, %")
        axes.set_ylabel("right ones, %")
        axes.set_xlim(-2, 102)
        axes.set_ylim(-2, 102)
        axes.legend(loc="lower right")

    rows = [
        (when, f"{_area(curve) / 100:.1f} %", *_rates(stored["result"].get("reviewer", {})))
        for when, curve in curves.items()
        for stored in (run.evaluations()[when],)
    ]
    return Chart(
        "The blind reviewer: right from wrong",
        draw("roc", paint, 3.4),
        "The same attempts are judged before and after. Each point is a score from which on an "
        "attempt counts as called right; the further up and left, the better.",
        ("", "area", "right called right", "wrong called right", "J"),
        tuple(rows),
    )


def _curve(judged: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Returns (false, true) positives in per cent for each threshold on the score.

    A review without a score calls its attempt right at no threshold but the last.
    """
    right = [row for row in judged if row["correct"]]
    wrong = [row for row in judged if not row["correct"]]
    if not right or not wrong:
        return []

    def share(rows: Sequence[Mapping[str, Any]], least: float) -> float:
        passed = sum((row["score"] or 0) >= least for row in rows)
        return 100 * passed / len(rows)

    thresholds = sorted({row["score"] or 0 for row in judged}, reverse=True)
    return [(0.0, 0.0), *((share(wrong, one), share(right, one)) for one in thresholds)]


def _area(curve: Sequence[tuple[float, float]]) -> float:
    """The area under the curve, of 10,000."""
    return sum((x2 - x1) * (y1 + y2) / 2 for (x1, y1), (x2, y2) in pairwise(curve))


def _rates(reviewer: Mapping[str, Any]) -> tuple[str, str, str]:
    found = (reviewer.get(key) for key in ("tpr", "fpr", "j"))
    first, second, third = ("-" if one is None else f"{100 * one:.1f} %" for one in found)
    return first, second, third


def calibration(run: Run) -> Chart | None:
    """Draws whether a score of seven out of ten is right seven times out of ten."""
    series: dict[str, list[tuple[float, float, int]]] = {}
    for when, stored in run.evaluations().items():
        judged = [row for row in stored.get("judged", ()) if row["score"] is not None]
        if judged:
            series[when] = _binned(judged)
    if not series:
        return None

    def paint(axes: Axes) -> None:
        axes.plot([0, 100], [0, 100], color=INK, linestyle=":", linewidth=1, label="calibrated")
        for when, points in series.items():
            stated, right, counts = zip(*points, strict=True)
            axes.plot(stated, right, label=when, linestyle="--", markersize=0, **_LOOKS[when])
            sizes = [12 + 160 * count / sum(counts) for count in counts]
            axes.scatter(stated, right, s=sizes, **_LOOKS[when])
        axes.set_xlabel("stated by the score, %")
        axes.set_ylabel("really right, %")
        axes.set_xlim(-4, 104)
        axes.set_ylim(-4, 104)
        axes.legend(loc="upper left")

    rows = [
        (when, f"{stated:.0f} %", f"{right:.0f} %", str(count))
        for when, points in series.items()
        for stated, right, count in points
    ]
    return Chart(
        "The blind reviewer: calibration",
        draw("calibration", paint, 3.4),
        "Attempts grouped by the score that their review gives; the larger a mark, the more.",
        ("", "stated", "really right", "attempts"),
        tuple(rows),
    )


def _binned(judged: Sequence[Mapping[str, Any]]) -> list[tuple[float, float, int]]:
    bins: dict[int, list[tuple[float, bool]]] = {}
    for row in judged:
        stated = row["score"] / 10
        bins.setdefault(min(int(stated * _BINS), _BINS - 1), []).append((stated, row["correct"]))
    return [
        (
            100 * sum(stated for stated, _ in part) / len(part),
            100 * sum(right for _, right in part) / len(part),
            len(part),
        )
        for _, part in sorted(bins.items())
    ]


def _interval(row: Mapping[str, Any], key: str) -> tuple[float, float, float] | None:
    if row.get(key) is None:
        return None
    low, high = row[f"{key}_interval"]
    return 100 * row[key], 100 * low, 100 * high


def _shown(one: tuple[float, float, float] | None) -> str:
    return "-" if one is None else f"{one[0]:.1f} [{one[1]:.1f}, {one[2]:.1f}]"
