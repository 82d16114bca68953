"""Live logging against the real packages, offline: what each of them reads back."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import psutil
import pytest
import toy
from rich.console import Console

import alive
from alive import session
from alive.cli.train import train_command
from alive.config import Config, LogConfig
from alive.engines.local import LocalPolicy
from alive.errors import UserError
from alive.settings import build_config
from alive.store import RunFolder
from alive.trackers import Trackers, exit_code, flat, open_trackers, require_packages

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


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is written outside of the test's folder, sent to a network, or left running."""
    home = tmp_path / "home"
    home.mkdir()
    for name in [name for name in os.environ if name.startswith(("WANDB_", "TRACKIO_", "HF_"))]:
        monkeypatch.delenv(name)
    places = ("WANDB_DIR", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "TRACKIO_DIR")
    for name in ("HOME", "HF_HOME", *places):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    connect = socket.socket.connect

    def inside(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1"), address
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", inside)
    # Trackio reads its folder as it is imported.
    for name in [name for name in sys.modules if name.split(".")[0] == "trackio"]:
        monkeypatch.delitem(sys.modules, name)
    threads = set(threading.enumerate())
    yield
    if wandb := sys.modules.get("wandb"):
        wandb.teardown()
    assert set(threading.enumerate()) <= threads
    assert [p for p in psutil.Process().children(recursive=True) if "wandb" in p.name()] == []


def opened(folder: Path, *to: str, resume: bool = False, step: int = 0) -> tuple[Any, RunFolder]:
    config = Config(log=LogConfig(to=to))  # type: ignore[arg-type]
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
    """The records of an offline run: a log of LevelDB's format, blocks of 32 KiB."""
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


def test_only_finite_numbers_go_out() -> None:
    values = {
        "whole": 3,
        "a b": {"inner part": 0.5, "deep": {"x": 0}},
        "none": None,
        "nan": math.nan,
        "infinite": -math.inf,
        "text": "corpus text",
        "list": [1, 2],
    }
    assert dict(flat(values)) == {"whole": 3, "a_b/inner_part": 0.5, "a_b/deep/x": 0}


def test_how_a_run_ended() -> None:
    assert exit_code(None) == 0
    assert exit_code(KeyboardInterrupt()) == 255
    assert exit_code(ValueError()) == 1


def test_without_trackers_nothing_is_written(tmp_path: Path) -> None:
    trackers, run = opened(tmp_path / "run")
    trackers.trained(1, VALUES, 10, 4.0)
    trackers.measured(1, RESULT)
    trackers.close(0)
    run.close()
    assert not {"tensorboard", "wandb", "trackers.json"} & set(os.listdir(tmp_path / "run"))


def test_tensorboard_reads_what_was_logged(tmp_path: Path) -> None:
    trackers, run = opened(tmp_path / "run", "tensorboard", "tensorboard")
    trackers.measured(0, RESULT)
    trackers.trained(1, VALUES, 10, 4.0)
    # What is logged is there at once, not when the run ends.
    found = events(tmp_path / "run" / "tensorboard")
    trackers.close(0)
    run.close()
    assert found == {
        **{name: [(0, value)] for name, value in MEASURED.items()},
        **{name: [(1, value)] for name, value in TRAINED.items()},
    }
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 1
    assert not (tmp_path / "run" / "trackers.json").exists()


def test_tensorboard_drops_the_steps_that_are_played_again(tmp_path: Path) -> None:
    log_in_two_sessions(tmp_path / "run", "tensorboard")
    found = events(tmp_path / "run" / "tensorboard")
    assert found["train/loss"] == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0)]
    assert found["evaluation/accuracy"] == [(0, 0.75), (4, 0.875)]


def test_wandb_reads_what_was_logged(tmp_path: Path) -> None:
    log_in_two_sessions(tmp_path / "run", "wandb")
    folders = sorted((tmp_path / "run" / "wandb").glob("offline-run-*"), key=os.path.getmtime)
    first, second = sorted((wandb_records(folder) for folder in folders), key=started)
    rows = wandb_rows(first)
    assert rows == [
        {"_step": 0, **MEASURED},
        *({"_step": step, **TRAINED, "train/loss": 0.5 * step} for step in (1, 2, 3)),
    ]
    # The last step and the measures after it are one row.
    assert wandb_rows(second)[-1] == {
        "_step": 4, **TRAINED, "train/loss": 2.0, **MEASURED, "evaluation/accuracy": 0.875
    }  # fmt: skip
    runs = [only(records, "run") for records in (first, second)]
    known = json.loads((tmp_path / "run" / "trackers.json").read_text())
    for run in runs:
        assert (run.run_id, run.project) == (known["id"], "alive")
        assert run.display_name == str(tmp_path / "run")[-128:]
    config = {item.key: json.loads(item.value_json) for item in runs[0].config.update}
    assert (config["seed"], config["log"]["to"]) == (0, ["wandb"])
    assert [only(records, "exit").exit_code for records in (first, second)] == [255, 0]
    # Neither what the console shows nor a diff of the user's files.
    kinds = {record.WhichOneof("record_type") for record in (*first, *second)}
    assert not kinds & {"output", "output_raw"}
    assert not list((tmp_path / "run" / "wandb").rglob("*.patch"))


def started(records: list[Any]) -> float:
    moment = only(records, "run").start_time
    return float(moment.seconds + 1e-9 * moment.nanos)


def only(records: list[Any], kind: str) -> Any:
    [found] = [getattr(record, kind) for record in records if record.HasField(kind)]
    return found


def test_wandb_does_not_take_a_step_twice_where_it_knows_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Online W&B tells a run that goes on how far it came; here a stand-in does."""
    import wandb

    class Known:
        step = 4  # steps 0 to 3 are there

        def __init__(self) -> None:
            self.rows: list[tuple[int, dict[str, float]]] = []

        def log(self, numbers: dict[str, float], step: int) -> None:
            self.rows.append((step, numbers))

        def finish(self, exit_code: int) -> None:
            self.rows.append((exit_code, {}))

    known = Known()
    monkeypatch.setattr(wandb, "init", lambda **options: known)
    trackers, run = opened(tmp_path / "run", "wandb")
    for step in (2, 3, 4):
        trackers.measured(step, {"n": step})
    trackers.close(0)
    run.close()
    assert known.rows == [(4, {"evaluation/n": 4}), (0, {})]


def test_trackio_reads_what_was_logged(tmp_path: Path) -> None:
    log_in_two_sessions(tmp_path / "run", "trackio")
    [(name, rows)] = trackio_rows().items()
    known = json.loads((tmp_path / "run" / "trackers.json").read_text())
    assert name == f"{tmp_path / 'run'}-{known['id']}"
    assert rows == [
        {"step": 0, **MEASURED},
        *({"step": step, **TRAINED, "train/loss": 0.5 * step} for step in (1, 2, 3, 4)),
        {"step": 4, **MEASURED, "evaluation/accuracy": 0.875},
    ]
    import trackio

    [run] = trackio.Api().runs("alive")
    assert run.config["seed"] == 0


def test_runs_of_one_seed_are_different_runs(tmp_path: Path) -> None:
    for name in ("one", "two"):
        trackers, run = opened(tmp_path / name, "trackio")
        trackers.measured(0, RESULT)
        trackers.close(0)
        run.close()
    assert [len(rows) for rows in trackio_rows().values()] == [1, 1]


@pytest.mark.parametrize("name", get_args(get_args(LogConfig.model_fields["to"].annotation)[0]))
def test_a_missing_package_is_told_before_anything_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    settings = {
        "log": {"to": name},
        "out": str(tmp_path / "run"),
        "model": {"id": "no such model"},
        "evaluate": {"suites": ["no such suite"]},
    }
    with pytest.raises(UserError, match=rf"log\.to: {name} .*pip install 'alive-rl\[{name}\]'"):
        alive.train(build_config([("test", settings)]))
    assert not (tmp_path / "run").exists()
    require_packages(LogConfig())


@pytest.mark.parametrize("to", ["wandb", "trackio"])
def test_a_name_that_is_no_project_is_the_users_mistake(to: str, tmp_path: Path) -> None:
    config = Config(
        log=LogConfig(to=("tensorboard", to), project={"wandb": "a/b"}.get(to, "registry-a"))
    )  # type: ignore[arg-type]
    with (
        RunFolder.create(tmp_path / "run", config) as run,
        pytest.raises(UserError, match=r"log\.to: .* does not start \(.*roject name"),
    ):
        open_trackers(config, run, 0)


def test_the_command_line_offers_every_tracker() -> None:
    [option] = [option for option in train_command.params if option.name == "trackers"]
    named = get_args(get_args(LogConfig.model_fields["to"].annotation)[0])
    assert tuple(option.type.choices) == named  # type: ignore[attr-defined]


def test_one_that_fails_does_not_keep_others_from_closing() -> None:
    class Fake:
        closed: int | None = None

        def log(self, step: int, numbers: Mapping[str, float]) -> None: ...

        def close(self, code: int) -> None:
            self.closed = code
            raise ConnectionError("gone")

    fakes = [Fake(), Fake()]
    with pytest.raises(ConnectionError):
        Trackers(fakes).close(1)
    assert [fake.closed for fake in fakes] == [1, 1]


FULL = """
import resource, signal, sys
from pathlib import Path
from test_trackers import RESULT, opened
trackers, run = opened(Path(sys.argv[1]), "tensorboard")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
for step in range(200):
    trackers.measured(step, RESULT)
"""


def test_a_full_disk_is_told_as_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "run")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        timeout=60,
    )
    *_, said = done.stderr.splitlines()
    assert said.startswith(
        f"alive.errors.StorageError: {tmp_path / 'run' / 'tensorboard'}: the disk"
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    toy.write_model(folder / "model")
    toy.write_corpus(folder / "corpus.jsonl")
    toy.write_suite(folder / "birds.jsonl")
    return folder


def play(world: Path, out: Path, to: list[str], resume: bool = False) -> None:
    settings = {
        "steps": 3,
        "out": str(out),
        "model": {"id": str(world / "model"), "threads": 1, "dtype": "float32"},
        "corpus": {
            "paths": [str(world / "corpus.jsonl")],
            "validation_share": 0.1,
            "min_chunk_tokens": 4,
            "decontaminate_ngram": 40,
        },
        "game": {"masks_per_document": 2, "solutions_per_mask": 4, "max_type_share": 1.0},
        "sampling": {"pose_tokens": 6, "solve_tokens": 12, "review_tokens": 40},
        "learn": {"learning_rate": 5e-3},
        "warmup": {"steps": 1},
        "evaluate": {"suites": [str(world / "birds.jsonl")], "limit": 4},
        "log": {"to": to},
    }
    alive.train(build_config([("test", settings)]), resume, Console(file=io.StringIO()))


def test_a_run_that_is_stopped_and_resumed(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere = ["tensorboard", "wandb", "trackio"]
    out, true = tmp_path / "run", LocalPolicy.update
    with monkeypatch.context() as patch:

        def update(policy: LocalPolicy, *rest: Any) -> Any:
            if policy.version == 1:
                os.kill(os.getpid(), signal.SIGINT)
            return true(policy, *rest)

        patch.setattr(LocalPolicy, "update", update)
        with pytest.raises(KeyboardInterrupt):
            play(world, out, everywhere)
    play(world, out, everywhere, resume=True)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    losses = [(row["step"] + 1, pytest.approx(row["loss"])) for row in rows]
    assert len(losses) == 3
    measured = [json.loads((out / f"{when}.json").read_text()) for when in ("before", "after")]
    accuracy = [
        (step, pytest.approx(stored["result"]["accuracy"]))
        for step, stored in zip((0, 3), measured, strict=True)
    ]
    found = events(out / "tensorboard")
    assert (found["train/loss"], found["evaluation/accuracy"]) == (losses, accuracy)
    assert [step for step, _ in found["evaluation/domains/warm/accuracy"]] == [0, 3]
    assert all(value > 0 for _, value in found["train/tokens_per_second"])
    parts = sorted(
        (wandb_records(folder) for folder in (out / "wandb").glob("offline-*")), key=started
    )
    [logged] = trackio_rows().values()
    for key, points in (("train/loss", losses), ("evaluation/accuracy", accuracy)):
        both = [(row["_step"], row) for part in parts for row in wandb_rows(part)]
        assert [(step, row[key]) for step, row in both if key in row] == points
        assert [(row["step"], row[key]) for row in logged if key in row] == points
    assert [only(part, "exit").exit_code for part in parts] == [255, 0]
    # What a document, an attempt or a review says is on this disk and nowhere else.
    said = [*toy.PLACES, "they met", "Verdict", "boxed", "every step is right"]
    sent = [*(out / "tensorboard").iterdir(), *(out / "wandb").rglob("*.wandb")]
    sent += [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    for path in sent:
        text = path.read_bytes()
        assert not [words for words in said if words.encode() in text], path


def test_a_tracker_that_fails_stops_the_run_with_its_state_saved(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        codes: list[int]

        def __init__(self) -> None:
            self.codes = []

        def log(self, step: int, numbers: Mapping[str, float]) -> None:
            if step == 2:
                raise ConnectionError("gone")

        def close(self, code: int) -> None:
            self.codes.append(code)

    broken = Broken()
    with monkeypatch.context() as patch:
        patch.setattr(session, "open_trackers", lambda *rest: Trackers([broken]))
        with pytest.raises(ConnectionError):
            play(world, tmp_path / "run", [])
    assert broken.codes == [1]
    assert (tmp_path / "run" / "checkpoints" / "LATEST").read_text() == "step-000002\n"
    # Another place to log to is no other run.
    play(world, tmp_path / "run", ["tensorboard"], resume=True)
    found = events(tmp_path / "run" / "tensorboard")
    assert [step for step, _ in found["train/loss"]] == [3]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["log"]["to"] == ["tensorboard"]


def test_a_model_that_cannot_be_used_leaves_a_folder_that_is_free(
    world: Path, tmp_path: Path
) -> None:
    """Trackers open last: a mistyped corpus makes no empty run on somebody's page."""
    settings = {
        "out": str(tmp_path / "run"),
        "model": {"id": str(world / "model")},
        "corpus": {"paths": [str(tmp_path / "none.txt")]},
        "evaluate": {"suites": []},
        "log": {"to": "tensorboard"},
    }
    for _ in range(2):
        with pytest.raises(UserError, match=r"none\.txt"):
            alive.train(build_config([("test", settings)]), False, Console(file=io.StringIO()))
    assert not (tmp_path / "run" / "tensorboard").exists()
