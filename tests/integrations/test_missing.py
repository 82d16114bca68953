"""Who lacks a package, or has another version of it, is told what to install."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec

import pytest

from alive.errors import UserError
from alive.integrations import MissingPackageError, require


def test_a_missing_package_is_named_with_its_extra() -> None:
    with pytest.raises(MissingPackageError, match=r"pip install 'alive-rl\[alive-no-such\]'"):
        require("alive-no-such", "1")
    assert issubclass(MissingPackageError, UserError)


def test_versions_are_those_that_were_tested() -> None:
    require("numpy", "2.0")
    for least, below in (("99", ""), ("1", "2")):
        with pytest.raises(MissingPackageError, match=f"and {version('numpy')} is installed"):
            require("numpy", least, below)


@pytest.mark.parametrize("package", ["verifiers", "trl"])
def test_an_integration_without_its_package_says_so(package: str) -> None:
    if find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(MissingPackageError, match=f"'alive-rl\\[{package}\\]'"):
        import_module(f"alive.integrations.{package}")


def test_alive_imports_no_integration() -> None:
    program = "import sys, alive, alive.cli; print([n for n in sys.modules if 'integrations' in n])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
