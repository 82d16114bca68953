"""The page that shows a run to a person: ``report.html``, one file that asks for no other."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from alive.report.charts import Chart, accuracy, self_correction
from alive.report.curves import EVENTS, over_time
from alive.report.gather import Run, read_run
from alive.report.html import environment, stylesheet
from alive.report.judging import calibration, roc
from alive.report.lesson import find_lesson
from alive.report.text import percent
from alive.report.verdicts import verdicts
from alive.settings import as_arguments, build_config, gone_in

__all__ = ["REPORT", "render_report"]

REPORT = "report.html"
REFRESH_SECONDS = 15
"""How often a browser reads the page of a running run again."""

_LEARNED, _LOST = 3, 1
_TOKENS = ("sampled", "trained")
_STATUS = {"running": "running", "finished": "finished", "stopped": "stopped before its end"}
_SHOWN = (*EVENTS, "started", "finished", "measured conditions")


@dataclass(frozen=True, slots=True)
class Problem:
    """A held-out problem, before and after training."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Card:
    """A figure at the head of the page."""

    label: str
    value: str
    note: str = ""


def render_report(path: Path, running: bool | None = None) -> str:
    """Writes the report of a run, finished, stopped or still going on, as one HTML page.

    Args:
        path: The run folder.
        running: Whether a process is writing to it; None looks.

    Raises:
        RunError: It holds no run.
    """
    run = read_run(path, running)
    drawn = (
        accuracy(run, "sampled_accuracy", "sampled"),
        accuracy(run, "accuracy", "greedy"),
        *(make(run) for make in (self_correction, roc, calibration)),
    )
    charts = {"measured": [chart for chart in drawn if chart], "time": list(over_time(run))}
    return environment("alive.report").get_template("report.html").render(
        run=run,
        style=Markup(stylesheet()),
        refresh=REFRESH_SECONDS if run.status == "running" else 0,
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        status=_STATUS[run.status],
        headline=_headline(run),
        verdicts=verdicts(run),
        cards=list(_cards(run)),
        lesson=find_lesson(run),
        problems=list(_problems(run)),
        sections=[(name, _drawn(drawn)) for name, drawn in charts.items() if drawn],
        events=[entry for entry in run.journal if entry["event"] in _SHOWN],
        command=reproduce(run),
        config=json.dumps(run.config, indent=2, ensure_ascii=False),
        environment=json.dumps(run.environment, indent=2, ensure_ascii=False),
    )  # fmt: skip


def reproduce(run: Run) -> str:
    """Returns the command line that plays the run again, to the same bits on the same machine.

    Empty for a run of an earlier version, whose settings say more than this version can.
    """
    if gone_in(run.config):
        return ""
    config = build_config([(str(run.path), run.config)])
    threads = next((e["threads"] for e in run.journal if e.get("threads")), config.model.threads)
    model = config.model.model_copy(update={"threads": threads})
    config = config.model_copy(update={"out": "", "model": model})
    return shlex.join(["alive", "train", *as_arguments(config), "--out", "runs/again"])


def _drawn(charts: Sequence[Chart]) -> list[dict[str, Any]]:
    # The figures are drawn by us from numbers; matplotlib escapes the text in them.
    return [{"chart": chart, "svg": Markup(chart.svg)} for chart in charts]


def _headline(run: Run) -> str:
    """One sentence: what came of it, or how far it is."""
    change = (run.summary or {}).get("change", {})
    for key, how in (("sampled_accuracy", "sampled"), ("accuracy", "greedy")):
        if key in change and run.before and run.after:
            old, new = run.before["result"], run.after["result"]
            total = change[key]["total"]
            gained = [100 * total[name] for name in ("mean", "low", "high")]
            return (
                f"Of {new['n']:,} held-out problems {percent(old[key])} were answered right before "
                f"training and {percent(new[key])} after it ({how}): "
                f"{gained[0]:+.1f} points, 95 % interval [{gained[1]:.1f}, {gained[2]:.1f}]."
            )
    total = run.config["steps"]
    if run.before is None:
        return f"{run.steps} of {total} steps; nothing was measured yet."
    key = "sampled_accuracy" if "sampled_accuracy" in run.before["result"] else "accuracy"
    return (
        f"{run.steps} of {total} steps. Before training {percent(run.before['result'][key])} of "
        f"{run.before['result']['n']:,} held-out problems were answered right."
    )


def _cards(run: Run) -> Iterator[Card]:
    measures = (
        ("sampled_accuracy", "right, sampled", "of held-out problems"),
        ("accuracy", "right, greedy", "of held-out problems"),
        ("cut", "cut", "of greedy attempts, at the token limit"),
        ("boxed", "boxed", "of greedy attempts gave an answer"),
        ("reviewer_j", "reviewer J", "true minus false 'right'"),
    )
    for key, label, note in measures:
        values = [stored["result"].get(key) for stored in run.evaluations().values()]
        if any(value is not None for value in values):
            shown = (percent(value).replace(" ", "\u00a0") for value in values)
            yield Card(label, " → ".join(shown), note)
    yield Card("steps", f"{run.steps:,} of {run.config['steps']:,}")
    # While there is no summary the steps are counted, without what measuring conditions drew.
    counted = [run.summary] if run.summary else run.metrics
    sampled, trained = (sum(row[f"tokens_{kind}"] for row in counted) for kind in _TOKENS)
    yield Card("tokens", f"{sampled + trained:,}", f"{sampled:,} sampled, {trained:,} trained")
    spent = sum(sum(entry["seconds"].values()) for entry in run.journal if "seconds" in entry)
    yield Card("time", _duration(run.summary["seconds"] if run.summary else spent))
    memory = [max(e["memory"].values()) for e in run.journal if "memory" in e]
    if memory:
        yield Card("memory", f"{max(memory) / 1e9:.2f} GB", "the most there was")


def _problems(run: Run) -> Iterator[Problem]:
    """Held-out problems that training turned from wrong to right, by domains, and one it lost."""
    if not (run.before and run.after):
        return
    pairs = [Problem(*pair) for pair in zip(run.before["rows"], run.after["rows"], strict=True)]
    learned = [p for p in pairs if p.after["correct"] and not p.before["correct"]]
    by_domain: dict[str, list[Problem]] = {}
    for problem in learned:
        by_domain.setdefault(problem.after["domain"], []).append(problem)
    rounds = max(map(len, by_domain.values()), default=0)
    turns = [group[at] for at in range(rounds) for group in by_domain.values() if at < len(group)]
    yield from turns[:_LEARNED]
    yield from [p for p in pairs if p.before["correct"] and not p.after["correct"]][:_LOST]


def _duration(seconds: float) -> str:
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
