"""What ships inside CPython as text: the language reference, and docstrings with examples.

Nothing is imported for its text and nothing is executed: the library's sources are parsed.
"""

from __future__ import annotations

import ast
import re
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from doctest import DocTestParser
from functools import lru_cache
from pathlib import Path

from alive.errors import CorpusError

__all__ = ["Docstring", "docstrings", "topics"]

_LEFT_OUT = {
    # Not with every Python of the version, or not as its makers wrote it.
    *("distutils", "ensurepip", "idlelib", "lib2to3", "tkinter", "turtle", "turtledemo", "venv"),
    # Examples of examples, some wrong on purpose.
    "doctest",
}
_TESTS = ("test", "tests")

# A line of one repeated mark under a title, and the heading Sphinx writes over footnotes.
_UNDERLINE = re.compile(r"^[ \t]*(?:([*=~^#+-])\1{3,}|-\[ Footnotes \]-)[ \t]*\n", re.MULTILINE)
# Sphinx fills tables with columns of marks; they say nothing in words.
_TABLE_RULE = re.compile(r"^[ \t]*[+|][-=+| \t]*[+|][ \t]*\n", re.MULTILINE)

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring of the standard library with examples that print something.

    Attributes:
        group: The top-level module it belongs to; what decides its split.
        name: The dotted name of what it documents.
        text: A line that says what is documented, and the docstring.
    """

    group: str
    name: str
    text: str


def topics() -> Iterator[tuple[str, str]]:
    """Yields name and text of the topics of the language reference, sorted."""
    from pydoc_data.topics import topics as rendered

    return ((name, strip_markup(rendered[name])) for name in sorted(rendered))


def strip_markup(text: str) -> str:
    """Drops the lines of a rendered reST text that hold marks and no words."""
    return _TABLE_RULE.sub("", _UNDERLINE.sub("", text))


@lru_cache(maxsize=1)
def docstrings() -> tuple[Docstring, ...]:
    """Returns the docstrings of the standard library whose examples print something.

    The same ones in the same order wherever this version of Python runs: by module, then as they
    stand in its source. A module in C has none.

    Raises:
        CorpusError: This Python came without the sources of its library.
    """
    library = Path(sysconfig.get_path("stdlib"))
    found: list[Docstring] = []
    for top in sorted(sys.stdlib_module_names - _LEFT_OUT):
        for path in _sources(library, top):
            source = path.read_bytes()
            if b">>>" in source:
                module = _module_name(path.relative_to(library))
                group = module.partition(".")[0].lstrip("_")
                texts = _documented(ast.parse(source), module)
                found += [Docstring(group, name, text) for name, text in texts]
    if not found:
        raise CorpusError(
            f"builtin:python-docs: no sources of the standard library in {library}. Install "
            "Python with its library as files."
        )
    return tuple(found)


def _sources(library: Path, top: str) -> list[Path]:
    """Returns the source files of a top-level module, without its tests."""
    if (library / f"{top}.py").is_file():
        return [library / f"{top}.py"]
    below = (path.relative_to(library) for path in (library / top).rglob("*.py"))
    kept = (path for path in below if not set(path.parts) & set(_TESTS))
    return [library / path for path in sorted(kept, key=lambda path: path.as_posix())]


def _module_name(path: Path) -> str:
    """Returns a module's dotted name; ``_pydecimal`` is how people read ``decimal``."""
    parts = list(path.with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    public = parts[0].removeprefix("_py")
    return ".".join([public if public in sys.stdlib_module_names else parts[0], *parts[1:]])


def _documented(node: _Documented, name: str) -> Iterator[tuple[str, str]]:
    """Yields name and text of a node and of what it defines, in the order of the source."""
    text = ast.get_docstring(node)
    if text and _prints(text):
        yield name, f"{_heading(node, name)}\n\n{text}"
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _documented(child, f"{name}.{child.name}")


def _prints(text: str) -> bool:
    if ">>>" not in text:
        return False
    try:
        return any(example.want for example in DocTestParser().get_examples(text))
    except ValueError:  # marks in prose that only look like an example
        return False


def _heading(node: _Documented, name: str) -> str:
    if isinstance(node, ast.ClassDef):
        return f"class {name}"
    return name if isinstance(node, ast.Module) else f"{name}({ast.unparse(node.args)})"
