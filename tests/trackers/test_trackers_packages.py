"""Live logging against the real packages, offline: what each of them reads back."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest
from logged import (
    MEASURED,
    RESULT,
    TRAINED,
    VALUES,
    events,
    log_in_two_sessions,
    only,
    opened,
    started,
    trackio_rows,
    wandb_records,
    wandb_rows,
)

from alive.cli.train import train_command
from alive.config import Config, LogConfig
from alive.errors import Terminated, UserError
from alive.store import RunFolder
from alive.trackers import Trackers, exit_code, flat, open_trackers


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
    assert exit_code(Terminated(signal.SIGTERM)) == 143
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


@pytest.mark.parametrize(("to", "project"), [("wandb", "a/b"), ("trackio", "registry-a")])
def test_a_name_that_is_no_project_is_the_users_mistake(
    to: str, project: str, tmp_path: Path
) -> None:
    config = Config.model_validate({"log": {"to": ["tensorboard", to], "project": project}})
    with (
        RunFolder.create(tmp_path / "run", config) as run,
        pytest.raises(UserError, match=r"log\.to: .* does not start \(.*roject name"),
    ):
        open_trackers(config, run, 0)


def test_the_command_line_offers_every_tracker() -> None:
    [option] = [option for option in train_command.params if option.name == "trackers"]
    named = get_args(get_args(LogConfig.model_fields["to"].annotation)[0])
    assert tuple(option.type.choices) == named


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
from logged import RESULT, opened
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
