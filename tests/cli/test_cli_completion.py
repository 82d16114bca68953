"""Completion, through click's own mechanism, as the shells ask for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alive.cli import run
from alive.setup.shells import SHELLS

ENTRY = "import sys; from alive.cli import main; main()"


def completed(words: str) -> list[str]:
    """What fish would offer for the last of the words."""
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        "_ALIVE_COMPLETE": "fish_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": words.split(" ")[-1],
    }
    done = subprocess.run(
        [sys.executable, "-c", ENTRY], capture_output=True, text=True, env=env, timeout=60
    )
    assert done.returncode == 0, done.stderr
    # Each line is kind, value and help.
    return [line.split(",")[1].split("\t")[0] for line in done.stdout.split("\n") if "," in line]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("alive tr", ["train"]),
        ("alive train --cor", ["--corpus"]),
        ("alive train --preset q", ["quickstart", "qwen"]),
        ("alive completion z", ["zsh"]),
        ("alive train --nothing", []),
    ],
)
def test_the_shell_is_told_what_could_follow(words: str, offered: list[str]) -> None:
    assert completed(words) == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_asks_alive(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_ALIVE_COMPLETE={shell}_complete" in script


def test_the_help_says_where_to_put_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "--help"]) == 0
    shown = capsys.readouterr().out
    for place in SHELLS.values():
        assert place.command in shown
    assert run(["completion", "tcsh"]) == 2
    assert "'tcsh' is not one of" in capsys.readouterr().err


def test_bash_takes_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
