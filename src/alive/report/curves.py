"""The charts over time: what was played, learned, spent, and what happened meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from alive.config import LOOKS
from alive.report.charts import Chart
from alive.report.drawing import INK, SERIES, binned, draw
from alive.report.gather import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["EVENTS", "over_time"]

EVENTS = ("guard", "resumed", "interrupted", "stopped", "notice")
"""Kinds of journal entries that are marked on the time axis."""

_MARKERS = "oDs^vP"
_STAGES = ("play", "pose", "solve", "review", "revise", "learn", "look", "report")
_SHIFTS = {"right": "right attempts", "wrong": "wrong attempts", "revised": "revisions"}
Series = Mapping[str, Sequence[float | None]]


def over_time(run: Run) -> Iterator[Chart]:
    """Yields the charts whose axis is the training step; none before the first step."""
    if not run.metrics:
        return
    rows = run.metrics
    valid = [_ratio(r["proposed"], r["proposed"] + sum(r["refused"].values())) for r in rows]
    if any("held_out" in row for row in rows):
        yield _lines(run, "Held-out problems, as it learns", f"Of the first {LOOKS} problems of "
            "each suite, greedily; the evaluations before and after take all of them.",
            {"right": _shares(rows, "held_out")})  # fmt: skip
    yield _lines(run, "Attempts", "Of training tasks, not of held-out problems: which tasks there "
        "are changes as the poser does.", {
            "right": _shares(rows, "pass_rate"),
            "with an answer in a box": _shares(rows, "answered"),
            "cut at the token limit": _shares(rows, "cut"),
            "revisions right": [_ratio(r["revisions_right"], r["revisions"]) for r in rows],
        })  # fmt: skip
    if any("solved" in row for row in rows):
        yield _difficulty(run)
    yield _lines(run, "The poser", "Proposals that pass the gate, tasks that are the poser's own "
        "and not filled at random, and what its spans were worth.", {
            "valid masks": valid,
            "posed by the policy": [_ratio(r["proposed"], r["tasks"]) for r in rows],
            "utility": _shares(rows, "poser_utility"),
        })  # fmt: skip
    yield _lines(run, "Reviews", "Written with the hidden span in view. Honest: the verdict is the "
        "truth. Hollow: it recites its prompt, contradicts itself, or quotes what is not there. "
        "Distinct: different texts among them. Leaking, deceptive and hollow ones are not "
        "learned.", {
            "honest": _shares(rows, "reviews_honest"),
            "unparsed": _shares(rows, "reviews_unparsed"),
            "leaking": _shares(rows, "reviews_leaking"),
            "hollow": _shares(rows, "reviews_hollow"),
            "distinct": _shares(rows, "reviews_distinct"),
        })  # fmt: skip
    yield from _words(run)
    losses = {
        role: [row.get(f"loss_{role}") for row in rows]
        for role in ("pose", "solve", "review", "revise")
    }
    yield _lines(run, "Losses", "Mean negative log-likelihood of what each role learned, nats a "
        "token.", {role: column for role, column in losses.items() if any(column)},
        label="nats a token", top=None)  # fmt: skip
    yield from _cost(run)


def _words(run: Run) -> Iterator[Chart]:
    """Draws how much likelier their words make attempts, where that is known of any."""
    shifts = {
        name: [row.get(f"words_shift_{side}") for row in run.metrics]
        for side, name in _SHIFTS.items()
    }
    shifts = {name: by for name, by in shifts.items() if any(one is not None for one in by)}
    if shifts:
        yield _lines(
            run,
            "What words change",
            "Log-probability of an attempt under its words less that under the plain prompt, mean "
            "over the attempts of a step of which both are known. At 0 words change nothing.",
            shifts,
            label="nats a token",
            top=None,
        )


def _lines(
    run: Run,
    title: str,
    caption: str,
    series: Series,
    label: str = "%",
    top: float | None = 100,
) -> Chart:
    """Draws series over the steps, with the run's events, and a table of first, middle and last."""

    def paint(axes: Axes) -> None:
        for (name, values), colour, marker in zip(series.items(), SERIES, _MARKERS, strict=False):
            places, means = binned(values)
            steps = [run.metrics[0]["step"] + place + 1 for place in places]
            mark = marker if len(steps) <= 30 else None
            axes.plot(steps, means, color=colour, marker=mark, markersize=4, label=name)
        axes.set_ylabel(label)
        if top:
            axes.set_ylim(-3, top + 3)
        _time_axis(axes, run)

    marks = sorted({0, len(run.metrics) // 2, len(run.metrics) - 1})
    head = ("", *(f"step {run.metrics[at]['step'] + 1}" for at in marks))
    table = tuple(
        (name, *("-" if values[at] is None else f"{values[at]:.2f}" for at in marks))
        for name, values in series.items()
    )
    return Chart(title, draw(title, paint, 3.0), caption, head, table)


def _difficulty(run: Run) -> Chart:
    """Draws how many attempts at its tasks come out right, as it moves over the run."""
    rows = [row for row in run.metrics if "solved" in row]
    most = run.config["game"]["solutions_per_mask"]
    size = max(1, -(-len(rows) // 60))
    parts = [rows[at : at + size] for at in range(0, len(rows), size)]
    groups = _quarters(most)
    shares = [[_share_of(part, low, high) for part in parts] for low, high in groups.values()]

    def paint(axes: Axes) -> None:
        import matplotlib

        colours = matplotlib.colormaps["cividis"]
        bottoms = [0.0] * len(parts)
        places = [part[0]["step"] + 1 + (len(part) - 1) / 2 for part in parts]
        for at, (name, heights) in enumerate(zip(groups, shares, strict=True)):
            colour = colours(at / max(1, len(groups) - 1))
            axes.bar(places, heights, 0.92 * size, bottoms, color=colour, label=name)
            bottoms = [low + height for low, height in zip(bottoms, heights, strict=True)]
        axes.set_ylabel("tasks, %")
        axes.set_ylim(0, 100)
        _time_axis(axes, run)

    marks = sorted({0, len(parts) // 2, len(parts) - 1})
    return Chart(
        "How hard the tasks are",
        draw("difficulty", paint, 3.2),
        f"Tasks by how many of their {most} attempts come out right.",
        ("attempts right", *(f"from step {parts[at][0]['step'] + 1}" for at in marks)),
        tuple(
            (name, *(f"{heights[at]:.0f} %" for at in marks))
            for name, heights in zip(groups, shares, strict=True)
        ),
    )


def _quarters(most: int) -> dict[str, tuple[int, int]]:
    """Groups the numbers of right attempts: none, all, and at most three between them."""
    inner = list(range(1, most))
    size = max(1, -(-len(inner) // 3))
    parts = [inner[at : at + size] for at in range(0, len(inner), size)]
    between = {
        (f"{part[0]} to {part[-1]}" if part[1:] else str(part[0])): (part[0], part[-1])
        for part in parts
    }
    return {"none": (0, 0), **between, "all": (most, most)}


def _share_of(rows: Sequence[Mapping[str, Any]], low: int, high: int) -> float:
    counts = [(int(right), n) for row in rows for right, n in row["solved"].items()]
    total = sum(n for _, n in counts)
    return 100 * sum(n for right, n in counts if low <= right <= high) / total if total else 0.0


def _cost(run: Run) -> Iterator[Chart]:
    """Draws seconds by stage and memory, from the journal."""
    entries = {entry["step"]: entry for entry in run.journal if entry["event"] == "step"}
    timed = [entries.get(row["step"], {}) for row in run.metrics]
    if not any(timed):
        return
    names = [n for n in _STAGES if any(n in entry.get("seconds", {}) for entry in timed)]
    seconds = {
        n: [entry.get("seconds", {}).get(n, 0.0) if entry else None for entry in timed]
        for n in names
    }
    total = {name: sum(value or 0 for value in column) for name, column in seconds.items()}

    def paint(axes: Axes) -> None:
        stacked = [binned(seconds[name]) for name in names]
        places = [run.metrics[0]["step"] + place + 1 for place in stacked[0][0]]
        axes.stackplot(
            places, [means for _, means in stacked], labels=names, colors=SERIES, alpha=0.85
        )
        axes.set_ylabel("seconds a step")
        _time_axis(axes, run)

    yield Chart(
        "Time by stage",
        draw("seconds", paint, 3.2),
        "Where the seconds of a step go; evaluations are apart.",
        ("stage", "seconds in all"),
        tuple((name, f"{spent:,.1f}") for name, spent in total.items()),
    )
    memory = {
        name: [entry["memory"].get(kind, 0) / 1e9 if entry else None for entry in timed]
        for kind, name in (("resident", "process"), ("device", "accelerator, peak"))
        if any(kind in entry.get("memory", {}) for entry in timed)
    }
    yield _lines(run, "Memory", "Of the process, after each step.", memory, "GB", None)


def _time_axis(axes: Axes, run: Run) -> None:
    """Labels the axis of steps, and marks what happened on it."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for entry in run.journal:
        if entry["event"] in EVENTS:
            axes.axvline(entry["step"] + 0.5, color=INK, linestyle=":", linewidth=1)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3)


def _shares(rows: Sequence[Mapping[str, Any]], key: str) -> list[float | None]:
    return [None if row.get(key) is None else 100 * row[key] for row in rows]


def _ratio(part: float, whole: float) -> float | None:
    return 100 * part / whole if whole else None
