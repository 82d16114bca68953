"""When a signal takes effect, by hand."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from alive.errors import Terminated
from alive.signals import Signals


class Run:
    """What a session tells ``Signals``, and what it is told."""

    def __init__(self) -> None:
        self.whole, self.said = True, []
        self.signals = Signals(lambda: self.whole, self.said.append)


@pytest.fixture
def run() -> Iterator[Run]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests under nohup would ignore it
    before = [signal.getsignal(number) for number in numbers]
    run = Run()
    run.signals.take()
    yield run
    run.signals.give_back()
    assert [signal.getsignal(number) for number in numbers] == before
    signal.signal(signal.SIGHUP, hangup)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_systems_signals_end_the_process_at_once(run: Run, number: int, code: int) -> None:
    with pytest.raises(SystemExit) as ended:
        send(number)
    assert isinstance(ended.value, Terminated)
    assert (ended.value.code, ended.value.exit_code) == (code, code)
    assert ended.value.name == signal.Signals(number).name


def test_ctrl_c_waits_for_a_safe_point_and_the_second_does_not(run: Run) -> None:
    run.signals.safe_point()
    send(signal.SIGINT)
    assert "again to stop at once" in run.said[0]
    with pytest.raises(KeyboardInterrupt):
        run.signals.safe_point()


def test_the_second_ctrl_c_does_not_wait(run: Run) -> None:
    send(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)


def test_a_first_ctrl_c_does_not_wait_where_nothing_can_be_lost(run: Run) -> None:
    with pytest.raises(KeyboardInterrupt), run.signals.at_rest():
        send(signal.SIGINT)


def test_what_must_not_be_torn_is_finished_first(run: Run) -> None:
    done = []
    with pytest.raises(Terminated), run.signals.uninterrupted():
        with run.signals.uninterrupted():
            send(signal.SIGTERM)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_a_step_that_was_taken_is_recorded_first(run: Run) -> None:
    """Between the optimiser's step and its record there is nothing that could be saved."""
    with run.signals.uninterrupted():
        run.whole = False  # the weights move, and with them the version
    send(signal.SIGTERM)
    with pytest.raises(Terminated), run.signals.uninterrupted():
        run.whole = True  # the step is counted


def test_nothing_stops_the_saving_that_a_signal_led_to(run: Run) -> None:
    with pytest.raises(Terminated):
        send(signal.SIGTERM)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
        send(number)


def test_a_run_that_ends_anyway_is_not_disturbed(run: Run) -> None:
    run.signals.end()
    send(signal.SIGTERM)


def test_a_fault_in_a_held_block_is_what_is_told(run: Run) -> None:
    with pytest.raises(ZeroDivisionError), run.signals.uninterrupted():
        send(signal.SIGTERM)
        raise ZeroDivisionError


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        signals = Signals(lambda: True, print)
        signals.take()
        send(signal.SIGHUP)
        signals.give_back()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
