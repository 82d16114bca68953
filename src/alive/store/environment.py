"""What a run ran on, for the record."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "peft",
    "numpy",
    "pyarrow",
    "pydantic",
    "math-verify",
    "reasoning-gym",
)


def describe_environment() -> dict[str, Any]:
    """Returns versions, machine and source revision; None where something is not installed."""
    from alive import __version__

    return {
        "alive": __version__,
        "revision": source_revision(Path(__file__).resolve().parents[3]),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def source_revision(root: Path) -> str | None:
    """Returns the commit of the project's own checkout, ``-dirty`` if it was edited.

    None for an installed copy, whose surroundings may be somebody else's repository.
    """
    if not (root / ".git").exists():
        return None
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return None
    return commit + ("-dirty" if _git(root, "status", "--porcelain") else "")


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
