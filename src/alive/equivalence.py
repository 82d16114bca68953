r"""Mathematical equivalence of two formulas, decided by ``math_verify`` in a process of its own.

Why a process: simplifying a formula that a model wrote can take any amount of time and memory, the
library's own limit is a signal that works on the main thread alone and cannot interrupt one long
multiplication, and a process can be killed. It starts with the first pair of formulas, answers one
pair a line, and ends with its parent.

Only the LaTeX reader of ``math_verify`` is used: its reader of plain expressions hands text to
Python's ``eval``.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import select
import subprocess
import sys
import threading
from dataclasses import replace
from functools import lru_cache

from alive.errors import AliveError

__all__ = ["equivalent", "looks_like_formula"]

PAIR_SECONDS = 3.0
START_SECONDS = 60.0
MEMORY_BYTES = 2 * 1024**3
MAX_FORMULA_CHARS = 120

_FORMULA = re.compile(r"[A-Za-z0-9\\{}()\[\]+\-*/^_.,<>|!;& ]+")
_COMMAND = re.compile(r"\\(?:begin|end)\{[a-z]{1,10}\}|\\[A-Za-z]{1,20}")
_WORD = re.compile(r"[A-Za-z]{3,}")
_MARK = re.compile(r"[0-9\\^_+*/<>(]")
# Towers and products too large to work out: not asking saves the wait for the limit.
_BLOWS_UP = re.compile(
    r"\^[^+,]*\^|\*\*|\^\s*\{?\s*-?\d{3}|\d{2,}\s*\}?\s*!|!\s*!|\d{19}|\\d?binom"
)


def looks_like_formula(text: str) -> bool:
    """Says whether a text may be read as a formula.

    Prose may not: read as LaTeX, ``cat`` is the product c a t, which equals ``act``. Nor may an
    equation: any two true ones are equivalent. Nor what would blow up when worked out.
    """
    if len(text) > MAX_FORMULA_CHARS or not _FORMULA.fullmatch(text) or _BLOWS_UP.search(text):
        return False
    return bool(_MARK.search(text)) and not _WORD.search(_COMMAND.sub(" ", text))


def equivalent(first: str, second: str) -> bool:
    """Says whether two LaTeX formulas are mathematically the same; False for anything else.

    A pair that takes longer than 3 seconds is not the same; both orders give one answer, and a
    pair is worked out once in a process.

    Raises:
        AliveError: The comparing process could not start.
    """
    if not (looks_like_formula(first) and looks_like_formula(second)):
        return False
    return _compared(*sorted((first, second)))


@lru_cache(maxsize=4096)
def _compared(first: str, second: str) -> bool:
    return _WORKER.compare(first, second)


class _Worker:
    """The other process, started when first needed and again after it had to be killed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def compare(self, first: str, second: str) -> bool:
        """Returns the process's verdict; False where it gave none in time."""
        with self._lock:
            process = self._started()
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps([first, second]).encode() + b"\n")
                process.stdin.flush()
                line = self._line(process, PAIR_SECONDS)
            except BrokenPipeError:
                line = b""
            if line not in (b"true\n", b"false\n"):
                # Too slow, or out of memory: nothing that can be called the same formula.
                self._stop()
                return False
            return line == b"true\n"

    def stop(self) -> None:
        """Ends the process."""
        with self._lock:
            self._stop()

    def forget(self) -> None:
        """Leaves the process to the parent, in a fork of it: two cannot talk over one pipe."""
        self._process, self._lock = None, threading.Lock()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop()
        # -P: a math_verify.py in the working folder must not be taken for the library.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from alive.equivalence import _serve; _serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the run, which then stops this one
            env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        if self._line(self._process, START_SECONDS) != b"ready\n":
            self._stop()
            raise AliveError(
                "cannot compare formulas: the comparing process did not start. "
                "Is math-verify installed (pip install math-verify)?"
            )
        return self._process

    @staticmethod
    def _line(process: subprocess.Popen[bytes], seconds: float) -> bytes:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        return process.stdout.readline() if ready else b""

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # closing flushes what the killed process no longer reads


_WORKER = _Worker()
atexit.register(_WORKER.stop)
os.register_at_fork(after_in_child=_WORKER.forget)


def _serve() -> None:
    """The other process: answers one JSON pair a line until its input ends."""
    import resource
    import signal

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    memory = MEMORY_BYTES if most == resource.RLIM_INFINITY else min(MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_AS, (memory, most))
    from math_verify import LatexExtractionConfig, parse, verify

    # units=False: it drops what it takes for a unit, and then 2 am is 2 pm.
    reading = LatexExtractionConfig()
    cleaning = replace(reading.normalization_config, units=False)
    latex = [replace(reading, normalization_config=cleaning)]
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    out.write(b"ready\n")
    for line in sys.stdin.buffer:
        # If the parent is gone nobody kills us: the default action of this alarm does.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(2 * PAIR_SECONDS))
        first, second = (
            # The library answers [] for what does not parse; its own limits are off, ours is hard.
            parse(f"${text}$", latex, fallback_mode="no_fallback", parsing_timeout=0)
            for text in json.loads(line)
        )
        same = bool(first and second) and bool(
            verify(first, second, timeout_seconds=0) or verify(second, first, timeout_seconds=0)
        )
        signal.alarm(0)
        out.write(b"true\n" if same else b"false\n")
