"""The shells that can complete ``alive`` commands, and where each looks for the script."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SHELLS", "Shell", "completion_installed", "login_shell"]


@dataclass(frozen=True, slots=True)
class Shell:
    """Where a shell looks.

    Attributes:
        script: File of the completion script, below the home folder.
        settings: File read by each new shell, below the home folder, that may load it instead.
        name: The shell's.
    """

    name: str
    script: str
    settings: str

    @property
    def command(self) -> str:
        """The command that puts the script there."""
        folder = str(Path(self.script).parent)
        return f"mkdir -p ~/{folder} && alive completion {self.name} > ~/{self.script}"


SHELLS = {
    "bash": Shell("bash", ".local/share/bash-completion/completions/alive", ".bashrc"),
    "zsh": Shell("zsh", ".zfunc/_alive", ".zshrc"),
    "fish": Shell("fish", ".config/fish/completions/alive.fish", ".config/fish/config.fish"),
}


def login_shell() -> str | None:
    """Returns the user's shell, if it is one of these."""
    name = Path(os.environ.get("SHELL", "")).name
    return name if name in SHELLS else None


def completion_installed(shell: str) -> bool:
    """Whether the script stands where the shell looks, or its settings load it."""
    home, place = Path.home(), SHELLS[shell]
    if (home / place.script).is_file():
        return True
    try:
        text = (home / place.settings).read_text("utf-8", errors="replace")
    except OSError:
        return False
    return "alive completion" in text or "_ALIVE_COMPLETE" in text
