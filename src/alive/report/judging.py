"""The charts of the blind reviewer: whether it tells right from wrong, and knows how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from alive.evaluation.statistics import area_under_roc
from alive.report.charts import LOOKS, Chart
from alive.report.drawing import INK, draw
from alive.report.gather import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["calibration", "roc"]

_BINS = 5
"""Of stated confidence; few, so that each holds enough reviews."""


def roc(run: Run) -> Chart | None:
    """Draws how well the reviewer's scores tell right attempts from wrong ones."""
    curves: dict[str, list[tuple[float, float]]] = {}
    areas: dict[str, float] = {}
    for when, stored in run.evaluations().items():
        curve = _curve(stored.get("judged", ()))
        if curve:
            curves[when], areas[when] = curve, _area(stored["judged"])
    if not curves:
        return None

    def paint(axes: Axes) -> None:
        axes.plot([0, 100], [0, 100], color=INK, linestyle=":", linewidth=1, label="guessing")
        for when, curve in curves.items():
            x, y = zip(*curve, strict=True)
            label = f"{when}, area {areas[when]:.0f} %"
            axes.plot(x, y, label=label, markersize=4, **LOOKS[when])
        axes.set_xlabel("wrong attempts called right, %")
        axes.set_ylabel("right ones, %")
        axes.set_xlim(-2, 102)
        axes.set_ylim(-2, 102)
        axes.legend(loc="lower right")

    rows = [
        (when, f"{area:.1f} %", *_rates(run.evaluations()[when]["result"].get("reviewer", {})))
        for when, area in areas.items()
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
        passed = sum(float(row["score"] or 0) >= least for row in rows)
        return 100 * passed / len(rows)

    thresholds = sorted({row["score"] or 0 for row in judged}, reverse=True)
    return [(0.0, 0.0), *((share(wrong, least), share(right, least)) for least in thresholds)]


def _area(judged: Sequence[Mapping[str, Any]]) -> float:
    """The area under their curve, in per cent; there are right and wrong ones."""
    scores = [float(row["score"] or 0) for row in judged]
    return 100 * (area_under_roc(scores, [bool(row["correct"]) for row in judged]) or 0.0)


def _rates(reviewer: Mapping[str, Any]) -> tuple[str, str, str]:
    rates = (reviewer.get(key) for key in ("tpr", "fpr", "j"))
    first, second, third = ("-" if rate is None else f"{100 * rate:.1f} %" for rate in rates)
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
            axes.plot(stated, right, label=when, linestyle="--", markersize=0, **LOOKS[when])
            sizes = [12 + 160 * count / sum(counts) for count in counts]
            axes.scatter(stated, right, s=sizes, **LOOKS[when])
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
