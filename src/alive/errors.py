"""The errors a user can cause or must know of. Everything else is a bug and shows its traceback."""

from __future__ import annotations

import signal


class AliveError(Exception):
    """Stops the run with a message that names the place and the remedy. Exit code 1."""

    exit_code = 1


class UserError(AliveError):
    """The user's mistake: a wrong path, setting, model or suite. Exit code 2."""

    exit_code = 2


class ConfigError(UserError):
    """A setting that is unknown, of the wrong type or out of range."""


class CorpusError(UserError):
    """A corpus that is missing, empty or unreadable; names the file and the line."""


class ModelError(UserError):
    """A model that cannot be used: not a causal LM, pickle-only, remote code, missing."""


class SuiteError(UserError):
    """An evaluation suite that is missing or malformed; names the file and the line."""


class RunError(UserError):
    """An output folder that belongs to another run, or a resume that does not match it."""


class StorageError(AliveError):
    """The disk refused a write; nothing already saved is lost."""


class ServerError(AliveError):
    """A server that samples cannot be reached, fails, or is not what it should be; names it."""


class DivergenceError(AliveError):
    """Losses or gradients stopped being finite; the state before them was saved."""


class RankError(AliveError):
    """Another rank of the run is gone; its own message says why."""


class Terminated(SystemExit):
    """A signal asked the process to end; the state was saved.

    Where nobody catches it the process ends quietly with the shell's code for that signal.

    Attributes:
        name: Of the signal.
        exit_code: 128 plus the signal's number.
    """

    def __init__(self, number: int) -> None:
        """Names the signal."""
        self.name, self.exit_code = signal.Signals(number).name, 128 + number
        super().__init__(self.exit_code)
