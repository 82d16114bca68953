"""What is measured of a machine, and what follows from it."""

from __future__ import annotations

import pytest
import torch

from alive.engines import probe


@pytest.fixture(autouse=True)
def _restore_threads():
    before = torch.get_num_threads()
    probe.choose_compute.cache_clear()
    yield
    torch.set_num_threads(before)
    probe.choose_compute.cache_clear()


@pytest.mark.parametrize("device", ["cuda", "cpu"])
@pytest.mark.parametrize(
    ("bfloat16_seconds", "chosen"), [(0.5, "bfloat16"), (0.9, "float32"), (400.0, "float32")]
)
def test_bfloat16_has_to_win_clearly(monkeypatch, device, bfloat16_seconds, chosen):
    """On a CPU as on a GPU: what trains is float32 either way."""
    times = {torch.float32: 1.0, torch.bfloat16: bfloat16_seconds}
    asked = []

    def seconds(dtype, *where):
        asked.append(where[:3])
        return times[dtype]

    monkeypatch.setattr(probe, "_matmul_seconds", seconds)
    assert probe.choose_compute(device, 896, 4864) == chosen
    assert set(asked) == {(device, 896, 4864)}  # at the model's own width


def test_a_narrow_model_is_not_asked_about(monkeypatch):
    monkeypatch.setattr(probe, "_matmul_seconds", lambda *_: pytest.fail("measured"))
    assert probe.choose_compute("cpu", 128, 384) == "float32"


def test_it_is_measured_once(monkeypatch):
    asked = []
    monkeypatch.setattr(probe, "_matmul_seconds", lambda *where: asked.append(where) or 1.0)
    for _ in range(3):
        assert probe.choose_compute("cpu", 896, 4864) == "float32"
    assert len(asked) == 2 * probe._ROUNDS


def test_noise_that_meets_one_type_once_decides_nothing(monkeypatch):
    times = {torch.float32: [1.0] * 6, torch.bfloat16: [3.0, 2.0, 0.4, 3.0, 3.0, 3.0]}
    monkeypatch.setattr(probe, "_matmul_seconds", lambda dtype, *_: times[dtype].pop(0))
    assert probe.choose_compute("cpu", 896, 4864) == "bfloat16"


def test_a_type_without_units_is_given_up_at_once(monkeypatch):
    asked = []
    times = {torch.float32: 1.0, torch.bfloat16: 400.0}
    monkeypatch.setattr(
        probe, "_matmul_seconds", lambda dtype, *_: asked.append(dtype) or times[dtype]
    )
    assert probe.choose_compute("cpu", 896, 4864) == "float32"
    assert asked == [torch.float32, torch.bfloat16]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_real_probe_measures_this_machine(dtype):
    assert probe._matmul_seconds(dtype, "cpu", 16, 32) > 0


@pytest.mark.parametrize(("seconds", "chosen"), [({1: 1.0, 4: 0.4}, 4), ({1: 1.0, 4: 9.0}, 1)])
def test_threads_follow_the_probe(monkeypatch, seconds, chosen):
    monkeypatch.setattr(probe, "usable_cpus", lambda: 4)
    monkeypatch.setattr(probe, "_matmul_seconds", lambda *_: seconds[torch.get_num_threads()])
    assert probe.choose_threads() == chosen == torch.get_num_threads()


def test_a_given_thread_count_is_taken():
    assert probe.choose_threads(3) == 3 == torch.get_num_threads()


@pytest.mark.parametrize(
    ("told", "expected"), [("", 8), ("2", 2), ("64", 8), ("0", 8), ("many", 8), ("2,1", 8)]
)
def test_whoever_shares_a_machine_says_so(monkeypatch, told, expected):
    monkeypatch.setattr(probe.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(probe, "Path", lambda _: NoQuota())
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert probe.usable_cpus() == expected


class NoQuota:
    def is_file(self) -> bool:
        return False


def test_usable_cpus_is_at_least_one():
    assert probe.usable_cpus() >= 1
