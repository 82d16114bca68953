import pytest
import torch

from alive.engines import probe


@pytest.fixture(autouse=True)
def _restore_threads():
    before = torch.get_num_threads()
    probe.choose_dtype.cache_clear()
    yield
    torch.set_num_threads(before)
    probe.choose_dtype.cache_clear()


@pytest.mark.parametrize(
    ("bfloat16_seconds", "chosen"), [(0.5, "bfloat16"), (0.9, "float32"), (400.0, "float32")]
)
def test_bfloat16_has_to_win_clearly(monkeypatch, bfloat16_seconds, chosen):
    times = {torch.float32: 1.0, torch.bfloat16: bfloat16_seconds}
    monkeypatch.setattr(probe, "_matmul_seconds", lambda dtype, device: times[dtype])
    assert probe.choose_dtype("cuda") == chosen


def test_a_cpu_takes_float32_whatever_is_faster(monkeypatch):
    """Weights kept in bfloat16 round off small changes: runs must not depend on a CPU's units."""
    monkeypatch.setattr(
        probe, "_matmul_seconds", lambda dtype, device: 1.0 if dtype == torch.float32 else 0.1
    )
    assert probe.choose_dtype("cpu") == "float32"


def test_the_real_probe_measures_this_machine():
    assert probe._matmul_seconds(torch.float32, "cpu") > 0


@pytest.mark.parametrize(("seconds", "chosen"), [({1: 1.0, 4: 0.4}, 4), ({1: 1.0, 4: 9.0}, 1)])
def test_threads_follow_the_probe(monkeypatch, seconds, chosen):
    monkeypatch.setattr(probe, "usable_cpus", lambda: 4)
    monkeypatch.setattr(
        probe, "_matmul_seconds", lambda dtype, device: seconds[torch.get_num_threads()]
    )
    assert probe.choose_threads() == chosen == torch.get_num_threads()


def test_a_given_thread_count_is_taken():
    assert probe.choose_threads(3) == 3 == torch.get_num_threads()


def test_usable_cpus_is_at_least_one():
    assert probe.usable_cpus() >= 1
