"""What benchmarks, documents and the model card import of the package is there."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from documents import ROOT

from alive.integrations import MissingPackageError

FILES = sorted(
    file
    for pattern in ("benchmarks/*.py", "*.md", "docs/*.md", "src/**/*.md")
    for file in ROOT.glob(pattern)
)
IMPORT = re.compile(r"^[ \t]*from (alive[\w.]*) import (\([^)]*\)|[^\n#]+)", re.MULTILINE)


def missing(text: str) -> list[str]:
    """The names that a text imports from modules that have no such name."""
    found = [
        (module, name.split()[0])
        for module, names in IMPORT.findall(text)
        for name in names.strip("() \n").rstrip(",").split(",")
    ]
    return [f"{module}.{name}" for module, name in found if not exists(module, name)]


def exists(module: str, name: str) -> bool:
    if find_spec(module) is None:
        return False
    try:
        owner = import_module(module)
    except MissingPackageError:  # where it is installed, the integration's own tests ask
        return True
    return hasattr(owner, name) or (
        hasattr(owner, "__path__") and find_spec(f"{module}.{name}") is not None
    )


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_what_is_imported_exists(file: Path) -> None:
    assert missing(file.read_text("utf-8")) == []


def test_what_does_not_exist_is_found() -> None:
    text = "from alive.engines.names import (\n    resolve,\n    nobody,\n)\n"
    text += "from alive import engines\n"
    assert missing(text) == ["alive.engines.names.nobody"]
