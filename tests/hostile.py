"""A run whose every text tries to be something else: markup, a script, a formula, a query."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    '"><svg onload="document.title=1">',
    "javascript:document.title='owned'",
    "</style></title><script>document.title=1</script>",
    "{{ 7 * 7 }} {% raw %} ${7*7} $\\frac{1}{2}$ ]]> <!-- ' or 1=1; --",
)
SHOWN = " ".join(HOSTILE)
_KEPT = {"role", "origin", "task_id", "document_id", "stop"}


def make_hostile(run: Path, to: Path) -> Path:
    """Copies a run and puts hostile text wherever a corpus, a model or a user writes."""
    shutil.copytree(run, to)
    for folder in ("episodes", "records"):
        for shard in (to / folder).glob("*.parquet"):
            table = pq.read_table(shard)
            rows = [_row(row) for row in table.to_pylist()]
            pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), shard)
    for name in ("before.json", "after.json"):
        stored = json.loads((to / name).read_text())
        for row in stored["rows"]:
            row |= dict.fromkeys(("question", "completion", "review", "answer"), SHOWN)
            row["domain"] = SHOWN
        result = stored["result"]
        result["domains"] = {SHOWN: dict(next(iter(result["domains"].values())))}
        # Something to show of either kind: one learned, one lost.
        stored["rows"][0]["correct"] = name == "after.json"
        stored["rows"][1]["correct"] = name == "before.json"
        (to / name).write_text(json.dumps(stored))
    config = json.loads((to / "config.json").read_text())
    config["model"]["id"] = config["log"]["project"] = SHOWN
    config["corpus"]["paths"] = [SHOWN]
    (to / "config.json").write_text(json.dumps(config))
    lines = [json.loads(line) for line in (to / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line["dropped"] = line["refused"] = {SHOWN: 1}
    (to / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with (to / "journal.jsonl").open("a") as journal:
        told = {"time": SHOWN, "event": "notice", "step": 1, "text": SHOWN}
        journal.write(json.dumps(told) + "\n")
    return to


def _row(row: dict[str, Any]) -> dict[str, Any]:
    for name, value in row.items():
        if isinstance(value, str) and name not in _KEPT:
            row[name] = SHOWN
    if "passage" in row:
        row |= {"document": f"{SHOWN} 7 {SHOWN}", "span": "7", "faulty_step": 1}
        row |= {"passage": f"{SHOWN} \\mask{{}} {SHOWN}", "dropped": SHOWN, "critique": SHOWN}
    return row
