"""Run folders: whose they are, what a resume must agree with, what it drops."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from alive.config import Config, GameConfig, LogConfig, ModelConfig
from alive.errors import RunError
from alive.store import RunFolder, default_out, is_run, is_running, newest_model, read_config


def save_nothing(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


def test_new_folder_records_settings_and_environment(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    with RunFolder.create(out, Config(seed=3)) as run:
        assert not run.resumed
        assert run.checkpoint is None
    assert read_config(out) == Config(seed=3).model_dump(mode="json")
    environment = json.loads((out / "environment.json").read_text())
    assert environment["packages"]["pydantic"].startswith("2.")
    assert environment["python"].startswith("3.")


def test_refuses_the_folder_of_another_run(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "a", Config()) as run:
        run.append_metrics(0, {})
    with pytest.raises(RunError, match="holds another run; continue it with --resume"):
        RunFolder.create(tmp_path / "a", Config())


def test_a_run_that_never_began_gives_way(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "a", Config(seed=1)) as run:
        run.check_model({"weights": "aa"})
    with RunFolder.create(tmp_path / "a", Config(seed=2)) as run:
        run.check_model({"weights": "bb"})
        run.save_checkpoint(0, save_nothing, {}, {})
    assert read_config(tmp_path / "a")["seed"] == 2
    with pytest.raises(RunError, match="holds another run"):
        RunFolder.create(tmp_path / "a", Config(seed=3))


def test_an_empty_path_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with RunFolder.create("", Config()) as run:
        assert run.path.parent == Path("runs")
        assert run.path.name.endswith("-seed")


def test_refuses_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match="is not empty and holds no run"):
        RunFolder.create(tmp_path, Config())
    with pytest.raises(RunError, match="is a file"):
        RunFolder.create(tmp_path / "thesis.tex", Config())
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_resume_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no run"):
        RunFolder.create(tmp_path / "nothing", Config(), resume=True)
    assert not (tmp_path / "nothing").exists()


def test_damaged_config_is_said(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.json").write_text('{"seed": ')
    with pytest.raises(RunError, match="is damaged"):
        read_config(tmp_path)


def test_a_model_folder_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert not is_run(tmp_path)
    with pytest.raises(RunError, match="is not empty and holds no run"):
        RunFolder.create(tmp_path, Config())
    with pytest.raises(RunError, match="holds no run"):
        RunFolder.create(tmp_path, Config(), resume=True)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first = RunFolder.create(tmp_path / "a", Config())
    with pytest.raises(RunError, match=r"being written by another process \(pid \d+\)"):
        RunFolder.create(tmp_path / "a", Config(), resume=True)
    first.close()
    RunFolder.create(tmp_path / "a", Config(), resume=True).close()


def test_resume_prints_each_difference(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "a", Config()).close()
    other = Config(seed=7, model=ModelConfig(id="smollm2"), game=GameConfig(masks_per_document=4))
    with pytest.raises(RunError) as caught:
        RunFolder.create(tmp_path / "a", other, resume=True)
    lines = str(caught.value).splitlines()
    assert [line.strip() for line in lines[1:-1]] == [
        "game.masks_per_document: 8 -> 4",
        'model.id: "seed" -> "smollm2"',
        "seed: 0 -> 7",
    ]
    # A refused resume lets go of the folder and changes nothing.
    assert read_config(tmp_path / "a")["seed"] == 0
    RunFolder.create(tmp_path / "a", Config(), resume=True).close()


def test_live_logging_may_change(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "a", Config()).close()
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    del config["log"]  # as a run has it that is older than the setting
    (tmp_path / "a" / "config.json").write_text(json.dumps(config))
    for log in (LogConfig(to=("wandb",)), LogConfig(project="birds")):
        RunFolder.create(tmp_path / "a", Config(log=log), resume=True).close()
    assert read_config(tmp_path / "a")["log"] == {"to": [], "project": "birds"}


def test_length_and_place_may_change(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "a", Config(steps=10)).close()
    longer = Config(steps=20, out="elsewhere", checkpoint_every=3, keep_checkpoints=5)
    RunFolder.create(tmp_path / "a", longer, resume=True).close()
    assert read_config(tmp_path / "a")["steps"] == 20


def test_a_run_of_an_earlier_version_does_not_go_on(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "a", Config()).close()
    file = tmp_path / "a" / "config.json"
    config = json.loads(file.read_text())
    config["learn"]["repair_weight"] = config["learn"].pop("corrected_weight")
    file.write_text(json.dumps(config))
    with pytest.raises(RunError) as caught:
        RunFolder.create(tmp_path / "a", Config(), resume=True)
    said = str(caught.value)
    assert "learn.repair_weight is now learn.corrected_weight" in said
    assert "Continue it with that version" in said
    assert json.loads(file.read_text()) == config


def test_model_identity(tmp_path: Path) -> None:
    was = {"tokenizer": "aa", "weights": "bb"}
    with RunFolder.create(tmp_path / "a", Config()) as run:
        run.check_model(was)
    with RunFolder.create(tmp_path / "a", Config(), resume=True) as run:
        run.check_model(was)
        with pytest.raises(RunError, match='weights: "bb" -> "cc"'):
            run.check_model({**was, "weights": "cc"})


def test_resume_drops_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "a", Config()) as run:
        for step in range(3):
            run.append_metrics(step, {"loss": 1.5 - step, "entropy": float("nan")})
            run.write_episode(step, [], {}, lambda ids: "")
        run.save_checkpoint(2, save_nothing, {}, {})
        run.write_json("summary.json", {"steps": 3})
    with (tmp_path / "a" / "metrics.jsonl").open("a") as handle:
        handle.write('{"step": 3, "lo')
    with RunFolder.create(tmp_path / "a", Config(), resume=True) as run:
        assert run.checkpoint is not None
        assert run.checkpoint.step == 2
        assert run.notices == []
        run.append_metrics(2, {"loss": 9.0})
        assert run.read_json("summary.json") is None
    lines = (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 0, "loss": 1.5, "entropy": None},
        {"step": 1, "loss": 0.5, "entropy": None},
        {"step": 2, "loss": 9.0},
    ]
    shards = sorted(path.name for path in (tmp_path / "a" / "episodes").iterdir())
    assert shards == ["step-000000.parquet", "step-000001.parquet"]


def test_resume_before_the_first_checkpoint_starts_over(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "a", Config()) as run:
        run.append_metrics(0, {"loss": 1.0})
    with RunFolder.create(tmp_path / "a", Config(), resume=True) as run:
        assert run.checkpoint is None
        assert run.notices == ["no sound checkpoint yet: the run starts again from step 0"]
    assert (tmp_path / "a" / "metrics.jsonl").read_text() == ""


def test_json_round_trip(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "a", Config()) as run:
        assert run.read_json("before.json") is None
        run.write_json("before.json", {"accuracy": 0.1 + 0.2, "words": "é", "pairs": (1, 2)})
        assert run.read_json("before.json") == {
            "accuracy": 0.1 + 0.2,
            "words": "é",
            "pairs": [1, 2],
        }


def test_newest_model(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path / "a", Config(keep_checkpoints=2)) as run:
        with pytest.raises(RunError, match="no sound checkpoint"):
            newest_model(tmp_path / "a")
        for step in (1, 2, 3):
            run.save_checkpoint(step, save_nothing, {}, {"cursor": step})
        # Read while the run holds the folder.
        assert newest_model(tmp_path / "a") == tmp_path / "a" / "checkpoints/step-000003/model"
    names = sorted(path.name for path in (tmp_path / "a" / "checkpoints").iterdir())
    assert names == ["LATEST", "step-000002", "step-000003"]


def test_default_out() -> None:
    now = datetime(2026, 2, 3, 4, 5, 6)
    assert default_out("seed", now) == Path("runs/20260203-040506-seed")
    assert default_out("/models/tiny/", now) == Path("runs/20260203-040506-tiny")
    assert default_out("org/name", now) == Path("runs/20260203-040506-name")


def test_who_looks_whether_a_run_goes_on_is_in_nobodys_way(tmp_path: Path) -> None:
    import fcntl
    import threading
    import time

    RunFolder.create(tmp_path / "a", Config()).close()
    assert not is_running(tmp_path / "a")
    with (tmp_path / "a" / "lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.06, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        with RunFolder.create(tmp_path / "a", Config()):
            assert is_running(tmp_path / "a")
        time.sleep(0.1)


def test_a_run_that_could_not_begin_leaves_no_folder(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "a", Config()).abandon()
    assert not (tmp_path / "a").exists()
    (tmp_path / "mine").mkdir()
    RunFolder.create(tmp_path / "mine", Config()).abandon()
    assert (tmp_path / "mine").exists()  # made by somebody else
    begun = RunFolder.create(tmp_path / "b", Config())
    begun.append_metrics(0, {})
    begun.abandon()
    assert (tmp_path / "b" / "metrics.jsonl").exists()
