"""How long pages of ``alive view`` take on a million attempts.

python benchmarks/view_million.py

Synthetic runs in two shapes: few steps of many attempts, and many of few (a shard is a step, and
each has to be opened). Times are of whole requests, from this process to the command's; every page
is asked for five times, after one that is not counted. Memory is the most the command's process
held.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from alive.config import Config
from alive.store import EPISODE_COLUMNS
from alive.types import MASK

ATTEMPTS, GROUP = 1_000_000, 16
SHAPES = {"few large steps": 2048, "many small steps": 128}
"""Name -> attempts a step."""
WORDS = np.array([f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "lmnrstx"])
RARE = "zyzzyva"
"""Stands in no text: a search for it has to look at everything."""


def main() -> None:
    """Builds the runs, asks for pages, prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attempts", type=int, default=ATTEMPTS)
    parser.add_argument("--folder", type=Path, help="Keep the runs here, and use them again.")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    try:
        for name, per_step in SHAPES.items():
            run = folder / name.replace(" ", "-")
            if not run.exists():
                build(run, given.attempts, per_step)
            measure(name, run)
    finally:
        if given.folder is None:
            shutil.rmtree(folder)


def build(run: Path, attempts: int, per_step: int) -> None:
    """Writes a run folder with so many attempts."""
    rng = np.random.default_rng(0)
    (run / "episodes").mkdir(parents=True)
    (run / "checkpoints").mkdir()
    (run / "config.json").write_text(json.dumps(Config().model_dump(mode="json")))
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in EPISODE_COLUMNS.items()])
    with (run / "metrics.jsonl").open("w") as metrics:
        for step in range(-(-attempts // per_step)):
            table = pa.table(columns(rng, step, per_step), schema=schema)
            pq.write_table(table, run / "episodes" / f"step-{step:06d}.parquet", compression="zstd")
            metrics.write(json.dumps(line(step, per_step)) + "\n")


def columns(rng: np.random.Generator, step: int, rows: int) -> dict[str, Any]:
    """Columns of one step: tasks of GROUP attempts, eight tasks a document."""

    def texts(count: int, words: int) -> list[str]:
        return [" ".join(row) for row in rng.choice(WORDS, (count, words))]

    tasks = rows // GROUP
    owner = np.repeat(np.arange(tasks), GROUP)
    documents = texts(-(-tasks // 8), 120)
    passages = [f"{documents[task // 8]} {MASK}" for task in range(tasks)]
    spans = texts(tasks, 1)
    right = rng.random(rows) < 0.6
    verdict = right ^ (rng.random(rows) < 0.05)
    empty = dict.fromkeys(EPISODE_COLUMNS, pa.nulls(rows))
    return empty | {
        "step": np.full(rows, step, np.int32),
        "document_id": [f"d{step}-{task // 8}" for task in owner],
        "source": [f"corpus/part-{task % 7}.txt:{task}" for task in owner],
        "domain": [("maths", "code", "logic")[task % 3] for task in owner],
        "document": [documents[task // 8] for task in owner],
        "task_id": [f"t{step}-{task}" for task in owner],
        "passage": [passages[task] for task in owner],
        "span": [spans[task] for task in owner],
        "origin": ["poser"] * rows,
        "role": np.where(np.arange(rows) % 17 == 16, "revise", "solve"),
        "attempt_index": np.arange(rows, dtype=np.int32) % GROUP,
        "prompt": [passages[task] for task in owner],
        "completion": texts(rows, 40),
        "stop": ["stop"] * rows,
        "correct": right,
        "critique": texts(rows, 15),
        "verdict": verdict,
        "score": rng.integers(0, 11, rows).astype(float),
        "leaks": rng.random(rows) < 0.001,
        "pass_rate": np.repeat(rng.integers(0, GROUP + 1, tasks) / GROUP, GROUP),
        "weight": np.where(right, 1.0, 0.0),
        "lines": np.zeros(rows, np.int32),
        "dropped": np.where(right, "", "wrong"),
    }


def line(step: int, rows: int) -> dict[str, Any]:
    """A line of metrics."""
    shares = ("pass_rate", "answered", "reviews_honest", "reviews_unparsed", "reviews_leaking")
    counts = {"tasks": rows // GROUP, "proposed": rows // GROUP, "revisions": 0}
    return {"step": step, **dict.fromkeys(shares, 0.5), **counts, "revisions_right": 0, "loss": 1.0,
            "refused": {}, "dropped": {"wrong": 1}, "solved": {"8": 1}, "poser_utility": 0.5,
            "tokens_sampled": 1, "tokens_trained": 1}  # fmt: skip


def pages(run: Path) -> Iterator[tuple[str, str]]:
    """What is asked for."""
    middle = sum(1 for _ in (run / "episodes").iterdir()) // 2
    yield "first page", "/"
    yield "a step", f"/step/{middle}"
    yield "a task", f"/task/{middle}/t{middle}-3"
    yield "attempts, newest", "/attempts"
    yield "filter: verdict disagrees", "/attempts?flag=disagrees"
    yield "filter: leaked", "/attempts?flag=leaked"
    yield "filters and a common word", "/attempts?flag=wrong&domain=code&text=bal"
    yield "a word that is nowhere", f"/attempts?text={RARE}"


def measure(name: str, run: Path) -> None:
    """Starts the command, asks for each page, prints a row each."""
    command = [sys.executable, "-m", "alive.cli", "view", str(run), "--port", "0"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            root = server.stdout.readline().split()[0].rstrip("/")
            ask(root + "/")
            spent = time.perf_counter() - began
            shards = sum(1 for _ in (run / "episodes").iterdir())
            print(f"{name}: {shards:,} shards; start and first page {spent:.2f} s")
            peak = 0
            for label, url in pages(run):
                ask(root + url)
                times = sorted(ask(root + url) for _ in range(5))
                peak = max(peak, psutil.Process(server.pid).memory_info().rss)
                print(f"  {label:<28} {times[2]:.3f} s  (most {times[-1]:.3f})")
            count, spent = further_back(root, f"/attempts?text={RARE}")
            print(f"  {'the same, to the end':<28} {spent:.3f} s  ({count} pages)")
            print(f"  {'memory of the process':<28} {peak / 1e9:.2f} GB", flush=True)
        finally:
            server.terminate()


def further_back(root: str, url: str) -> tuple[int, float]:
    """Follows "look further back" to the first step; returns the pages and their seconds."""
    count, began = 0, time.perf_counter()
    while url:
        with urllib.request.urlopen(root + url) as answer:
            page = answer.read().decode()
        count += 1
        following = re.search(r'rel="next" href="([^"]+)"', page)
        url = html.unescape(following[1]) if following else ""
    return count, time.perf_counter() - began


def ask(url: str) -> float:
    """Returns the seconds of one request."""
    began = time.perf_counter()
    with urllib.request.urlopen(url) as answer:
        answer.read()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
