"""What a comparison leaves: ``compare.json``, ``compare.md`` and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alive.compare.tables import (
    Measured,
    after_correction,
    by_domain,
    compared,
    figures,
    in_domain,
    on_hard,
    out_of_domain,
    pooled,
    transfer,
)
from alive.evaluation import Difference, Estimate
from alive.store.atomic import write_bytes, write_json

REFERENCE = "alive"
_COUNTS = ("steps", "tokens", "seconds")


def write_report(
    out: Path,
    measured: Mapping[str, Sequence[Measured]],
    about: Mapping[str, str],
    wide: int,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes the report.

    Args:
        out: Folder.
        measured: Cells by arm, ``base`` among them.
        about: What each arm is.
        wide: Attempts behind pass@k.
        settings: How it was made, for the record.

    Returns:
        What ``compare.json`` holds.
    """
    base = measured["base"]
    arms: dict[str, Any] = {}
    for name, cells in measured.items():
        estimates = figures(cells, base, wide, 0)
        counted = {**pooled(cells), "transfer ratio": transfer(cells, base)}
        arms[name] = {
            "about": about[name],
            "figures": {key: value and asdict(value) for key, value in estimates.items()},
            "pooled": counted,
            "table": _column(estimates, counted),
        }
    differences = _differences(measured, wide)
    write_bytes(out / "compare.md", _markdown(arms, differences).encode())
    columns = {name: arm.pop("table") for name, arm in arms.items()}
    comparison = {"settings": dict(settings), "arms": arms, "differences": differences}
    write_json(out / "compare.json", comparison)
    _plot(out / "compare.png", columns, arms)
    return comparison


def _differences(measured: Mapping[str, Sequence[Measured]], wide: int) -> dict[str, Any]:
    """The reference arm minus each other arm, paired."""
    unsolved = on_hard(measured["base"], wide)
    differences: dict[str, Any] = {}
    for name, cells in measured.items():
        if REFERENCE not in measured or name == REFERENCE:
            continue
        differences[name] = {
            label: difference and asdict(difference)
            for label, value in (
                ("in-domain, sampled", in_domain("sampled")),
                ("in-domain, greedy", in_domain("correct")),
                ("out of domain, sampled", out_of_domain("sampled")),
                ("out of domain, greedy", out_of_domain("correct")),
                ("after self-correction", after_correction),
                ("unsolved by base", unsolved),
                *by_domain(cells).items(),
            )
            for difference in [compared(measured[REFERENCE], cells, value, 0)]
        }
    return differences


def _column(
    estimates: Mapping[str, Estimate | None], counted: Mapping[str, float | None]
) -> dict[str, str]:
    shown = {name: _interval(estimate) for name, estimate in estimates.items()}
    for name, value in counted.items():
        if value is None:
            shown[name] = "-"
        elif name in _COUNTS:
            shown[name] = f"{value:,.0f}"
        else:
            shown[name] = f"{value:.2f}" if name == "transfer ratio" else f"{100 * value:.1f}"
    return shown


def _interval(estimate: Estimate | Difference | None) -> str:
    if estimate is None:
        return "-"
    return f"{100 * estimate.mean:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def _markdown(arms: Mapping[str, Any], differences: Mapping[str, Any]) -> str:
    names = list(arms)
    note = "Per cent; in brackets 95 % intervals over seeds and problems."
    lines = ["# Comparison", "", note, ""]
    rows = [[key, *(arms[name]["table"][key] for name in names)] for key in arms[names[0]]["table"]]
    # What no arm has says nothing: other domains, say, where every domain was trained on.
    lines += _table(["", *names], [row for row in rows if set(row[1:]) != {"-"}])
    if differences:
        columns = list(differences.values())
        keys = [key for key in columns[0] if any(column[key] for column in columns)]
        lines += ["", f"`{REFERENCE}` minus each other arm, paired by seed and problem:", ""]
        rows = [
            [name, *(_interval(column[key] and Difference(**column[key])) for key in keys)]
            for name, column in differences.items()
        ]
        lines += _table(["", *keys], rows)
    lines += ["", *(f"- **{name}**: {arms[name]['about']}" for name in names), ""]
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in head[1:])]
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]


def _plot(path: Path, columns: Mapping[str, Any], arms: Mapping[str, Any]) -> None:
    """Draws in-domain and out-of-domain accuracy of every arm with their intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(columns)
    figure, axes = pyplot.subplots(figsize=(1.2 * len(names) + 2, 4))
    for offset, key in ((-0.15, "in-domain, sampled"), (0.15, "out of domain, sampled")):
        estimates = [(i, arms[name]["figures"][key]) for i, name in enumerate(names)]
        kept = [(i + offset, value) for i, value in estimates if value is not None]
        if not kept:
            continue
        heights = [100 * value["mean"] for _, value in kept]
        spread = [
            [100 * (value["mean"] - value["low"]) for _, value in kept],
            [100 * (value["high"] - value["mean"]) for _, value in kept],
        ]
        places = [place for place, _ in kept]
        axes.errorbar(places, heights, yerr=spread, fmt="o", capsize=3, label=key)
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
    axes.set_ylabel("accuracy, %")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
