"""What must start at once must not import what is heavy."""

import pkgutil
import subprocess
import sys

import pytest

import alive

HEAVY = ("torch", "transformers", "peft", "datasets", "pandas", "reasoning_gym", "accelerate")
HEAVY_FOR_HELP = (*HEAVY, "pyarrow", "sympy", "math_verify", "numpy", "pydantic")


def imported_by(modules, heavy):
    program = (
        f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
        f"print(*[name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def under(*packages):
    found = [name for _, name, _ in pkgutil.walk_packages(alive.__path__, "alive.")]
    return [
        name
        for name in found
        if any(name == package or name.startswith(f"{package}.") for package in packages)
    ]


def test_the_command_line_starts_without_anything_heavy():
    assert imported_by(["alive", "alive.cli"], HEAVY_FOR_HELP) == []


@pytest.mark.parametrize(
    "package",
    [
        *("arms", "cli", "corpus", "doors", "feedback", "prompts", "roles", "settings"),
        *("integrations.rewards", "teacher", "verify", "worlds"),
    ],
)
def test_rooms_without_tensors_import_no_tensor_library(package):
    # What builds the shipped model needs tensors; nothing else of a world may.
    left_out = ("__main__", "primer.build", "primer.fresh")
    modules = [name for name in under(f"alive.{package}") if not name.endswith(left_out)]
    assert modules
    assert imported_by(modules, HEAVY) == []
