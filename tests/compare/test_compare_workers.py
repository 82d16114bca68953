"""Workers: each has a GPU of its own, and none outlives its comparison."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from alive.compare.workers import gpus_here, make_workers

PARENT = """
import os, time
from alive.compare.workers import make_workers
if __name__ == "__main__":
    with make_workers(1, []) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        for _ in range(3):
            pool.submit(time.sleep, 600)
        time.sleep(600)
"""


def alive(process: psutil.Process) -> bool:
    """Whether it runs; one that ended and that nobody has asked for its status does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    assert alive(worker)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(worker)


def seen(folder: Path, workers: int) -> str | None:
    """What a worker is told to use, once so many have been told."""
    fd, _ = tempfile.mkstemp(dir=folder)
    os.close(fd)
    while len(list(folder.iterdir())) < workers:
        time.sleep(0.01)
    return os.environ.get("CUDA_VISIBLE_DEVICES")


@pytest.mark.parametrize(
    ("gpus", "told"),
    [(["4", "GPU-5"], ["4", "4", "GPU-5"]), ([], [None, None, None])],
    ids=["three share two", "none"],
)
def test_each_worker_sees_one_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: list[str], told: list[str | None]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with make_workers(3, gpus) as pool:
        found = [one.result() for one in [pool.submit(seen, tmp_path, 3) for _ in range(3)]]
    assert sorted(found, key=str) == told


@pytest.mark.parametrize(
    ("named", "count", "gpus"),
    [
        (None, 2, ["0", "1"]),
        ("", 0, []),
        ("3,1", 2, ["3", "1"]),
        ("0,-1,2", 1, ["0"]),  # what comes after a name that is none is not seen
        ("MIG-a,MIG-b", 2, ["MIG-a", "MIG-b"]),
        (None, 0, []),
    ],
)
def test_gpus_are_those_that_this_process_sees(
    monkeypatch: pytest.MonkeyPatch, named: str | None, count: int, gpus: list[str]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    monkeypatch.setattr("alive.engines.shape.gpu_count", lambda: count)
    assert gpus_here() == gpus
