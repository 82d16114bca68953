from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from alive import equivalence
from alive.equivalence import equivalent, looks_like_formula
from alive.errors import AliveError


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch):
    worker = equivalence._Worker()
    monkeypatch.setattr(equivalence, "_WORKER", worker)
    equivalence._compared.cache_clear()
    yield worker
    worker.stop()
    equivalence._compared.cache_clear()


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("\\sqrt{8}", "2\\sqrt{2}", True),
        ("x^2+1", "1+x^2", True),
        ("2\\pi", "\\pi\\cdot 2", True),
        ("(3,\\frac{\\pi}{2})", "(3,\\pi/2)", True),
        ("x>5", "5<x", True),
        ("x^2", "x^3", False),
        ("(1,2)", "(2,1)", False),
        ("x>5", "x>6", False),
        ("\\frac{1}{0}", "\\frac{2}{0}", False),
        ("2 am", "2 pm", False),
        ("x+y=1", "2y+2x=2", True),
        ("x+y=1", "x+y=2", False),
        ("x=1", "x^2=1", False),
        ("1=1", "2=2", False),
        ("R^2", "r^2", False),
        ("x^5-x^4", "x^4(x-1)", True),
        ("\\sum_{k=1}^{3} k^2x", "14x", True),
    ],
)
def test_formulas(first: str, second: str, same: bool) -> None:
    assert equivalent(first, second) is same
    assert equivalent(second, first) is same


@pytest.mark.parametrize(
    "text",
    ["cat", "to-be", "foo bar 2", "3:40", "23+14", "2020-02-01", "x2", "2 cat", "9**9", "9^{9^9}",
     "x^{1000}", "100!", "x" * 201, "9" * 19, "__import__('os')", "\\binom{99}{50}", ""],
)  # fmt: skip
def test_texts_that_are_not_worked_out(text: str) -> None:
    assert not looks_like_formula(text)
    assert not equivalent(text, text + "+1")


def test_it_works_off_the_main_thread_and_leaves_signals_alone(
    fresh: equivalence._Worker,
) -> None:
    before = signal.getsignal(signal.SIGALRM)
    verdicts: list[bool] = []

    def ask() -> None:
        verdicts.append(equivalent("y^2+1", "1+y^2"))
        verdicts.append(equivalent("y^2+1", "2+y^2"))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(verdicts) == [False] * 3 + [True] * 3
    assert signal.getsignal(signal.SIGALRM) is before


def test_a_pair_of_too_much_work_is_not_the_same_and_counted_and_the_next_is_answered(
    fresh: equivalence._Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked = ("(z+1)^2", "z^2+2z+1")
    assert equivalent(*worked)
    assert equivalence.given_up() == 0
    monkeypatch.setattr(equivalence, "MAX_CALLS", 100)
    equivalence._compared.cache_clear()
    assert not equivalent(*worked)
    assert equivalence.given_up() == 1
    monkeypatch.undo()
    monkeypatch.setattr(equivalence, "_WORKER", fresh)
    assert equivalent("(z+2)^2", "z^2+4z+4")
    assert equivalence.given_up() == 1


def test_what_a_pair_takes_does_not_depend_on_the_pairs_before_it(
    fresh: equivalence._Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def calls_needed() -> int:
        low, high = 0, 64_000
        while high - low > 1:
            middle = (low + high) // 2
            monkeypatch.setattr(equivalence, "MAX_CALLS", middle)
            equivalence._compared.cache_clear()
            same = equivalent("\\sqrt{8}z", "2z\\sqrt{2}")
            low, high = (low, middle) if same else (middle, high)
        return high

    first = calls_needed()
    monkeypatch.undo()
    monkeypatch.setattr(equivalence, "_WORKER", fresh)
    assert equivalent("(z+1)^3", "z^3+3z^2+3z+1")
    assert 10 < first == calls_needed()


def test_what_hangs_in_one_call_is_killed_and_counted(
    fresh: equivalence._Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equivalence, "HANG_SECONDS", 1e-4)  # of CPU time: the first tick ends it
    assert not equivalent("(z+1)^3", "z^3+3z^2+3z+1")
    assert equivalence.given_up() == 1


def test_a_process_that_keeps_silent_is_no_verdict(
    fresh: equivalence._Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert equivalent("z^2+1", "1+z^2")
    assert fresh._process is not None
    os.kill(fresh._process.pid, signal.SIGSTOP)
    monkeypatch.setattr(equivalence, "ANSWER_SECONDS", 0.2)
    with pytest.raises(AliveError, match="said nothing"):
        equivalent("z^3+1", "1+z^3")


def test_a_killed_process_is_replaced(fresh: equivalence._Worker) -> None:
    assert equivalent("z^2+2", "2+z^2")
    assert fresh._process is not None
    fresh._process.kill()
    fresh._process.wait()
    assert equivalent("z^2+3", "3+z^2")


def test_a_missing_library_is_said(
    fresh: equivalence._Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(AliveError, match="pip install math-verify"):
        equivalent("z^2+4", "4+z^2")


def test_the_process_ends_with_its_parent() -> None:
    script = (
        "from alive import equivalence as e\n"
        "assert e.equivalent('x^2+1', '1+x^2')\n"
        "print(e._WORKER._process.pid)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)
