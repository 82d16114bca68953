"""What is logged in these tests, and what each package reads back of it."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path
from typing import Any

from alive.config import Config
from alive.store import RunFolder
from alive.trackers import open_trackers

VALUES = {
    "loss": 0.5,
    "pass_rate": 0.25,
    "grad_norm": None,
    "refused": {"taken": 3},
    "difficulty": {"not recoverable": 2},
    "rehearsed": {"document one": 2, "document two": 1},
}
"""Parts of a line of metrics.jsonl."""
RESULT = {"n": 8, "accuracy": 0.75, "accuracy_interval": [0.5, 1.0], "domains": {"warm": {"n": 4}}}
TRAINED = {
    "train/loss": 0.5,
    "train/pass_rate": 0.25,
    "train/refused/taken": 3,
    "train/difficulty/not_recoverable": 2,
    "train/rehearsed": 3,
    "train/seconds": 4.0,
    "train/tokens_per_second": 2.5,
}
"""VALUES after a step of 10 tokens and 4 seconds."""
MEASURED = {
    "evaluation/n": 8,
    "evaluation/accuracy": 0.75,
    "evaluation/domains/warm/n": 4,
}


def opened(folder: Path, *to: str, resume: bool = False, step: int = 0) -> tuple[Any, RunFolder]:
    config = Config.model_validate({"log": {"to": to}})
    run = RunFolder.create(folder, config, resume)
    return open_trackers(config, run, step), run


def log_in_two_sessions(folder: Path, to: str) -> None:
    """Steps 1 to 3 with a stop after the checkpoint of step 1, so that 2 and 3 are played again."""
    trackers, run = opened(folder, to)
    trackers.measured(0, RESULT)
    for step in (1, 2, 3):
        trackers.trained(step, {**VALUES, "loss": 0.5 * step}, 10, 4.0)
    trackers.close(255)
    run.close()
    trackers, run = opened(folder, to, resume=True, step=1)
    for step in (2, 3, 4):
        trackers.trained(step, {**VALUES, "loss": 0.5 * step}, 10, 4.0)
    trackers.measured(4, {**RESULT, "accuracy": 0.875})
    trackers.close(0)
    run.close()


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard's readers make of a folder; the older and the newer agree."""
    from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
    from tensorboard.util.tensor_util import make_ndarray

    older = event_accumulator.EventAccumulator(str(folder)).Reload()
    found = {
        tag: [(event.step, event.value) for event in older.Scalars(tag)]
        for tag in older.Tags()["scalars"]
    }
    newer = plugin_event_accumulator.EventAccumulator(str(folder)).Reload()
    for tag, points in found.items():
        tensors = [(e.step, make_ndarray(e.tensor_proto).item()) for e in newer.Tensors(tag)]
        assert tensors == points
    return found


def wandb_records(folder: Path) -> list[Any]:
    """The records of an offline run that was ended; its service writes them in its own time."""
    ends = time.monotonic() + 30
    found = _read_wandb(folder)
    while not any(record.HasField("exit") for record in found):
        assert time.monotonic() < ends, "the record of the run's end was never written"
        time.sleep(0.1)
        found = _read_wandb(folder)
    return found


def _read_wandb(folder: Path) -> list[Any]:
    """What the file holds so far: a log of LevelDB's format, blocks of 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record

    [path] = folder.glob("*.wandb")
    data, at, part, found = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            found.append(Record.FromString(part))
            part = b""
    return found


def wandb_rows(records: list[Any]) -> list[dict[str, float]]:
    rows = [record.history.item for record in records if record.HasField("history")]
    named = (
        {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in row}
        for row in rows
    )
    return [
        {key: row[key] for key in row if key == "_step" or not key.startswith("_")} for row in named
    ]


def trackio_rows(project: str = "alive") -> dict[str, list[dict[str, float]]]:
    from trackio import Api
    from trackio.sqlite_storage import SQLiteStorage

    return {
        run.name: [
            {key: row[key] for key in row if key != "timestamp"}
            for row in SQLiteStorage.get_logs(project, run.name, run_id=run.id)
        ]
        for run in Api().runs(project)
    }


def started(records: list[Any]) -> float:
    moment = only(records, "run").start_time
    return float(moment.seconds + 1e-9 * moment.nanos)


def only(records: list[Any], kind: str) -> Any:
    [found] = [getattr(record, kind) for record in records if record.HasField(kind)]
    return found
