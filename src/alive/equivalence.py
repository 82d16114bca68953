r"""Mathematical equivalence of two formulas, decided by ``math_verify`` in a process of its own.

Why a process: simplifying a formula that a model wrote can take any amount of time and memory, the
library's own limit is a signal that works on the main thread alone, and a process can be killed. It
starts with the first pair of formulas, answers one pair a line, and ends with its parent. Each pair
is worked out in a fork of it, so that what a pair takes does not depend on the pairs before it.

What bounds a comparison is work, not time: function calls are counted, and the fork that makes too
many ends itself. So a pair gets the same verdict on a slow machine and under load. What hangs
without calling anything, in one huge multiplication, is killed after 20 seconds of its own CPU
time. ``given_up`` counts both.

Only the LaTeX reader of ``math_verify`` is used: its reader of plain expressions hands text to
Python's ``eval``.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from functools import lru_cache
from typing import NoReturn

from alive.errors import AliveError

__all__ = ["equivalent", "given_up", "looks_like_formula"]

MAX_CALLS = 500_000
"""Function calls that one comparison may make; what people write takes a few thousand."""

HANG_SECONDS = 20.0
"""CPU time after which a comparison that makes no calls is killed."""

START_SECONDS = 120.0
ANSWER_SECONDS = 1_800.0
MEMORY_BYTES = 2 * 1024**3
MAX_FORMULA_CHARS = 200

_FORMULA = re.compile(r"[A-Za-z0-9\\{}()\[\]+\-*/^_.,<>|!;&=' ]+")
_COMMAND = re.compile(r"\\(?:begin|end)\{[a-z]{1,10}\}|\\[A-Za-z]{1,20}")
_WORD = re.compile(r"[A-Za-z]{2,}")
_PRODUCT = ("xy", "yx", "xz", "yz", "ab", "ba", "ac", "bc", "mn", "pq", "rs", "st", "dx", "dt")
_MARK = re.compile(r"[0-9\\^_+*/<>(=]|(?:^|[^A-Za-z])[a-zA-Z]-[a-zA-Z](?![a-zA-Z])")
_ALGEBRA = re.compile(r"\\[A-Za-z]|[A-Za-z]")
# A letter with digits behind it is a name, x2, and no product; 3:40 and 2020-02-01 are no sums.
_NAME = re.compile(r"(?<![\\A-Za-z])[A-Za-z]\d")
# Towers and products too large to work out.
_BLOWS_UP = re.compile(
    r"\^[ {(]{0,4}\d+[ )}]{0,4}\^|\*\*|\^\s*\{?\s*-?\d{3}"
    r"|\d{2,}\s*\}?\s*!|!\s*!|\d{19}|\\d?binom"
)
_BRACED = re.compile(r"\{[^{}]*\}")


def looks_like_formula(text: str) -> bool:
    """Says whether a text may be read as a formula: it holds LaTeX or algebra, and no words.

    Prose may not: read as LaTeX, ``cat`` is the product c a t, which equals ``act``. Nor may digits
    alone, or what would blow up when worked out.
    """
    if len(text) > MAX_FORMULA_CHARS or not _FORMULA.fullmatch(text) or _BLOWS_UP.search(text):
        return False
    bare = _COMMAND.sub(" ", text)
    if not _MARK.search(text) or not _ALGEBRA.search(text) or _NAME.search(bare):
        return False
    return all(_is_product(word) for word in _WORD.findall(bare))


def _is_product(word: str) -> bool:
    """Letters in a row are a product only if no other order of them would pass: not ``act``."""
    return word in _PRODUCT or (len(word) <= 4 and list(word) == sorted(set(word)))


def equivalent(first: str, second: str) -> bool:
    """Says whether two LaTeX formulas are mathematically the same; False for anything else.

    Two equations are the same where one is a multiple of the other. A pair that takes too much work
    is not the same; both orders give one answer, and a pair is worked out once in a process.

    Raises:
        AliveError: The comparing process could not start, or does not answer at all.
    """
    if not (looks_like_formula(first) or _is_symbol(first)):
        return False
    if not (looks_like_formula(second) or _is_symbol(second)):
        return False
    equations = _equations(first)
    if equations > 1 or equations != _equations(second):
        return False
    # The library reads R as r.
    ours, theirs = _letters(first), _letters(second)
    if ours != theirs and ours.lower() == theirs.lower():
        return False
    return _compared(*sorted((first, second)), equations == 1)


def given_up() -> int:
    """Returns how many comparisons this process has given up on so far; each counted as wrong."""
    return _WORKER.given_up


def _equations(text: str) -> int:
    """Returns the number of equations: ``=`` in the limits of a sum makes none."""
    return _BRACED.sub("", text).count("=")


def _letters(text: str) -> str:
    bare = _COMMAND.sub(" ", text)
    return "".join(sorted({char for char in bare if char.isalpha()}))


def _is_symbol(text: str) -> bool:
    """A lone letter is a formula beside another formula."""
    return len(text) == 1 and text.isascii() and text.isalpha()


@lru_cache(maxsize=4096)
def _compared(first: str, second: str, equations: bool) -> bool:
    return _WORKER.compare(first, second, equations)


class _Worker:
    """The other process, started when first needed and again after it ended."""

    def __init__(self) -> None:
        self.given_up = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def compare(self, first: str, second: str, equations: bool) -> bool:
        """Returns the process's verdict; False, and counted, where it ended without one."""
        with self._lock:
            process = self._started()
            assert process.stdin is not None
            try:
                question = json.dumps([first, second, equations, MAX_CALLS, HANG_SECONDS])
                process.stdin.write(question.encode() + b"\n")
                process.stdin.flush()
                line = self._line(process, ANSWER_SECONDS)
            except BrokenPipeError:
                line = b""
            if line is None:
                self._stop()
                raise AliveError(
                    f"the process that compares formulas has said nothing for {ANSWER_SECONDS:.0f} "
                    f"seconds: is it stopped? It was asked whether {first!r} is {second!r}"
                )
            if line not in (b"same\n", b"different\n"):
                # Too much work, or out of memory: nothing that can be called the same formula.
                self.given_up += 1
            return line == b"same\n"

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
        # -P: a math_verify.py in the working folder must not be taken for the library. The hash
        # seed: sympy sorts by it, and how much work a pair takes must not depend on the run.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from alive.equivalence import _serve; _serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the run, which then stops this one
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONHASHSEED": "0"},
        )
        if self._line(self._process, START_SECONDS) != b"ready\n":
            self._stop()
            raise AliveError(
                "cannot compare formulas: the comparing process did not start. "
                "Is math-verify installed (pip install math-verify)?"
            )
        return self._process

    @staticmethod
    def _line(process: subprocess.Popen[bytes], seconds: float) -> bytes | None:
        """Returns a line of its output, empty where it ended, None where it kept silent."""
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        return process.stdout.readline() if ready else None

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with the fork that is at work
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # closing flushes what the killed process no longer reads


_SAME, _DIFFERENT = 10, 11  # exit codes that nothing else uses

_WORKER = _Worker()
atexit.register(_WORKER.stop)
os.register_at_fork(after_in_child=_WORKER.forget)


def _serve() -> None:
    """The other process: answers one JSON pair a line until its input ends."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    memory = MEMORY_BYTES if most == resource.RLIM_INFINITY else min(MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_AS, (memory, most))
    from alive.formulas import warm_up

    warm_up()
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # by default it ends a process
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    out.write(b"ready\n")
    for line in sys.stdin.buffer:
        worker = os.fork()
        if not worker:
            _answer(*json.loads(line))
        _, status = os.waitpid(worker, 0)
        code = os.waitstatus_to_exitcode(status)
        out.write({_SAME: b"same\n", _DIFFERENT: b"different\n"}.get(code, b"given up\n"))


def _answer(first: str, second: str, equations: bool, calls: int, seconds: float) -> NoReturn:
    """A fork of the other process: answers one pair by its exit code."""
    from alive.formulas import same_formula

    code = 1
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        code = _SAME if same_formula(first, second, equations, calls) else _DIFFERENT
    finally:
        os._exit(code)  # whatever was raised must not reach the loop of the process it came from
