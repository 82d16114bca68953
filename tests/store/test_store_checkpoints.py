"""Checkpoints under real faults: kill -9, torn files, a full disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from alive.config import Config
from alive.store import RunFolder, checkpoint_names, newest_checkpoint
from alive.store.checkpoints import find_fault


def save_model(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weights" * 1000)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A run with sound checkpoints of steps 2 and 4."""
    import torch

    with RunFolder.create(tmp_path / "run", Config()) as run:
        for step in (2, 4):
            tensors = {"moment": torch.arange(6, dtype=torch.float64) / (3 * step)}
            run.save_checkpoint(step, save_model, tensors, {"cursor": step, "rate": 0.1 * step})
    return tmp_path / "run"


def test_round_trip_is_exact(saved: Path) -> None:
    import torch

    checkpoint = newest_checkpoint(saved / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.step == 4
    assert checkpoint.state() == {"cursor": 4, "rate": 0.4}
    expected = torch.arange(6, dtype=torch.float64) / 12
    assert torch.equal(checkpoint.tensors()["moment"], expected)
    assert (checkpoint.model / "model.safetensors").read_bytes() == b"weights" * 1000
    assert (saved / "checkpoints" / "LATEST").read_text() == "step-000004\n"


def truncate(folder: Path) -> None:
    os.truncate(folder / "model" / "model.safetensors", 100)


def flip(folder: Path) -> None:
    path = folder / "state.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def lose(folder: Path) -> None:
    (folder / "state.json").unlink()


def unseal(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def tear(folder: Path) -> None:
    os.truncate(folder / "manifest.json", 20)


def empty(folder: Path) -> None:
    (folder / "manifest.json").write_text("[1]")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (truncate, "model/model.safetensors has 100 of 7,000 bytes"),
        (flip, "state.safetensors has changed since it was written"),
        (lose, "state.json is missing"),
        (unseal, "it has no manifest, so it was never finished"),
        (tear, "its manifest is torn"),
        (empty, "its manifest is torn"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_aloud(saved: Path, damage, said: str) -> None:
    damage(saved / "checkpoints" / "step-000004")
    with RunFolder.create(saved, Config(), resume=True) as run:
        assert run.checkpoint is not None
        assert run.checkpoint.step == 2
        assert run.checkpoint.state()["cursor"] == 2
        assert run.notices == [f"checkpoint passed over, step-000004: {said}"]
        # The step is reached again: the damaged one gives way to a sound one.
        run.save_checkpoint(4, save_model, {}, {"cursor": 44})
    again = newest_checkpoint(saved / "checkpoints")
    assert again is not None
    assert again.state() == {"cursor": 44}


def test_no_sound_checkpoint_is_said(saved: Path) -> None:
    for name in checkpoint_names(saved / "checkpoints"):
        unseal(saved / "checkpoints" / name)
    with RunFolder.create(saved, Config(), resume=True) as run:
        assert run.checkpoint is None
        assert run.notices[-1] == "no sound checkpoint yet: the run starts again from step 0"
        assert len(run.notices) == 3


def test_a_failing_save_leaves_nothing_behind(saved: Path) -> None:
    def broken(folder: Path) -> None:
        save_model(folder)
        raise ZeroDivisionError

    with RunFolder.create(saved, Config(), resume=True) as run, pytest.raises(ZeroDivisionError):
        run.save_checkpoint(6, broken, {}, {})
    names = sorted(path.name for path in (saved / "checkpoints").iterdir())
    assert names == ["LATEST", "step-000002", "step-000004"]


def child(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )


def test_kill_in_the_middle_of_saving(tmp_path: Path) -> None:
    """Killed at many moments of a save, a run always comes back whole and to one step."""
    script = """
        import sys
        from pathlib import Path
        from alive.config import Config
        from alive.store import RunFolder
        resume = sys.argv[2] == "resume"
        run = RunFolder.create(sys.argv[1], Config(steps=9), resume)
        start = run.checkpoint.step if run.checkpoint else 0
        def save(folder):
            for part in range(20):
                (folder / f"{part}.safetensors").write_bytes(bytes([part]) * 20_000)
        for step in range(start, 100_000):
            run.append_metrics(step, {"loss": 1 / (step + 1)})
            run.save_checkpoint(step + 1, save, {}, {"cursor": step + 1})
            if step == start:
                print("ready", flush=True)
    """
    out = tmp_path / "run"
    reached = 0
    for delay in (0.013, 0.05):
        process = child(script, str(out), "resume" if out.exists() else "new")
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with RunFolder.create(out, Config(steps=9), resume=True) as run:
            step = run.checkpoint.step if run.checkpoint else 0
            assert step >= reached
            reached = step
            if run.checkpoint:
                assert run.checkpoint.state() == {"cursor": step}
                assert find_fault(run.checkpoint.folder) is None
            lines = (out / "metrics.jsonl").read_text().splitlines() if step else []
            assert [json.loads(line)["step"] for line in lines] == list(range(step))
            assert not list((out / "checkpoints").glob(".tmp-*"))
    assert reached > 0


FILL = """
    import resource, sys
    import numpy, torch
    from alive.config import Config
    from alive.errors import StorageError
    from alive.store import RunFolder
    from alive.types import *
    limit = int(sys.argv[2])
    run = RunFolder.create(sys.argv[1], Config())
    run.append_metrics(0, {"loss": 1.0})
    model = lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 1000)
    run.save_checkpoint(1, model, {"moment": torch.ones(10)}, {"cursor": 1})
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    big = 40_000_000
    def tensors():
        run.save_checkpoint(2, model, {"moment": torch.ones(big // 4)}, {"cursor": 2})
    def weights():
        fat = lambda folder: (folder / "model.safetensors").write_bytes(b"x" * big)
        run.save_checkpoint(2, fat, {}, {"cursor": 2})
    def metrics():
        run.append_metrics(1, {"words": "x" * big})
    def summary():
        run.write_json("summary.json", {"words": "x" * big})
    def episode():
        ids = tuple(range(10))
        text = numpy.random.default_rng(0).bytes(big // 2).hex()
        rollout = Rollout(Prompt("solve", ids), ids, (), text, "stop", 0)
        task = Task("t", "d", "p", "s", "poser")
        attempts = ((Attempt("t", 0, rollout, None, False),),)
        episode = Episode(1, Document("d", "x", "f"), (task,), attempts, ((),))
        run.write_episode(1, [episode], {}, lambda ids: "")
    for write in (tensors, weights, metrics, summary, episode):
        try:
            write()
            print(write.__name__, "was let through", flush=True)
        except StorageError as error:
            print(write.__name__, error, flush=True)
"""


def check_full(out: Path, limit: int) -> None:
    process = child(FILL, str(out), str(limit))
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    lines = said.splitlines()
    names = [line.split()[0] for line in lines]
    assert names == ["tensors", "weights", "metrics", "summary", "episode"]
    for line in lines:
        assert "the disk refused the write" in line
        assert "The checkpoint of step 1 and the records up to it are whole" in line
        assert f"alive train --resume --out {out}" in line
    leftovers = [path.name for path in out.rglob("*") if "tmp" in path.name]
    assert leftovers == []
    with RunFolder.create(out, Config(), resume=True) as run:
        assert run.notices == []
        assert run.checkpoint is not None
        assert run.checkpoint.state() == {"cursor": 1}
    assert (out / "metrics.jsonl").read_text() == '{"step": 0, "loss": 1.0}\n'


def test_write_refused_by_the_system(tmp_path: Path) -> None:
    check_full(tmp_path / "run", limit=100_000)


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 8 MB, where this machine lets one be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_disk_really_full(small_disk: Path) -> None:
    check_full(small_disk / "run", limit=0)


def test_a_newer_state_of_a_step_takes_the_olders_place(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a sound checkpoint of step 4 at every moment, under whichever name."""
    root = saved / "checkpoints"

    def cursor() -> int:
        newest = newest_checkpoint(root)
        assert newest is not None and newest.step == 4
        return newest.state()["cursor"]

    def watched(call):
        def checked(*rest, **named):
            before = cursor()
            result = call(*rest, **named)
            assert cursor() >= before
            return result

        return checked

    with RunFolder.create(saved, Config(), resume=True) as run, monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", watched(shutil.rmtree))
        patch.setattr(Path, "rename", watched(Path.rename))
        run.save_checkpoint(4, save_model, {}, {"cursor": 5})
    assert checkpoint_names(root) == ["step-000004", "step-000002"]
    assert (root / "LATEST").read_text() == "step-000004\n"
    assert cursor() == 5


@pytest.mark.parametrize("lost", [None, "step-000004", "step-000004.new"])
def test_a_kill_between_two_states_of_a_step(
    saved: Path, monkeypatch: pytest.MonkeyPatch, lost: str | None
) -> None:
    from alive.store import checkpoints

    root = saved / "checkpoints"
    with RunFolder.create(saved, Config(), resume=True) as run, monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run.save_checkpoint(4, save_model, {}, {"cursor": 5})
    assert (root / "LATEST").read_text() == "step-000004.new\n"
    if lost:
        truncate(root / lost)
    with RunFolder.create(saved, Config(), resume=True) as run:
        assert run.checkpoint is not None
        state = run.checkpoint.state()["cursor"]
        assert (run.checkpoint.step, state) == (4, 4 if lost == "step-000004.new" else 5)
        run.save_checkpoint(4, save_model, {}, {"cursor": 6})
    assert checkpoint_names(root) == ["step-000004", "step-000002"]
    newest = newest_checkpoint(root)
    assert newest is not None and newest.state() == {"cursor": 6}
