"""``builtin:python-docs``: the language reference, and docstrings whose examples print."""

import textwrap
from collections import defaultdict

import pytest

from alive.config import CorpusConfig
from alive.corpus import open_corpus, python_docs
from alive.corpus.readers import find_units
from alive.errors import CorpusError


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A standard library of a few modules in place of Python's own."""
    monkeypatch.setattr(python_docs.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(
        python_docs.sys, "stdlib_module_names", frozenset({"_pyale", "ale", "json", "turtle"})
    )
    python_docs.docstrings.cache_clear()
    yield tmp_path
    python_docs.docstrings.cache_clear()


def write(path, source):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(textwrap.dedent(source))


def test_docstrings_are_read_from_sources_that_are_never_run(library):
    write(
        library / "json" / "__init__.py",
        '''
        """Codes.

        >>> dumps([1])
        '[1]'
        """
        raise SystemExit("this was run")

        class Coder:
            """No example."""

            def code(self, value: int = 3, *rest) -> str:
                """Codes a value.

                >>> Coder().code(4)
                'four'
                """

            async def quiet(self):
                """Prints nothing.

                >>> import json
                """
        ''',
    )
    write(library / "json" / "tests" / "a.py", '"""A test.\n\n>>> 1\n1\n"""')
    write(library / "turtle.py", '"""Not everywhere.\n\n>>> 1\n1\n"""')
    write(library / "other.py", '"""Not of the library.\n\n>>> 1\n1\n"""')
    write(library / "_pyale.py", '"""Beer.\n\n>>> brew(2)\n\'ale\'\n"""')
    found = [(d.group, d.name, d.text) for d in python_docs.docstrings()]
    assert found == [
        ("ale", "ale", "ale\n\nBeer.\n\n>>> brew(2)\n'ale'"),
        ("json", "json", "json\n\nCodes.\n\n>>> dumps([1])\n'[1]'"),
        (
            "json",
            "json.Coder.code",
            "json.Coder.code(self, value: int=3, *rest)\n\n"
            "Codes a value.\n\n>>> Coder().code(4)\n'four'",
        ),
    ]


def test_a_python_without_sources_is_told(library):
    with pytest.raises(CorpusError, match="no sources of the standard library in"):
        python_docs.docstrings()


def test_the_reference_is_prose_without_underlines():
    [unit] = find_units(("builtin:python-docs",))[0]
    found = [s for s in unit.read(lambda _: True) if s.domain == "python-docs"]
    first = next(s for s in found if s.name == "builtin:python-docs assert")
    assert first.blocks[0].startswith('The "assert" statement\n\nAssert statements are')
    whole = "".join(source.blocks[0] for source in found)
    assert len(whole) > 300_000 and "\n****" not in whole and "\n=====" not in whole
    assert python_docs.strip_markup("a - b\n---\n ~~~~~\n x ** y\n") == "a - b\n---\n x ** y\n"


def test_a_module_is_held_out_whole():
    config = CorpusConfig(paths=("builtin:python-docs",), validation_share=0.2)
    corpus = open_corpus(config, lambda text: len(text) // 3, [], 0)
    held_out = [d for d in corpus.documents("validation") if d.domain == "python-examples"]
    train, documents = defaultdict(int), corpus.documents("train")
    while corpus.report.train + corpus.report.validation > sum(train.values()) + len(held_out):
        document = next(documents)
        if document.domain == "python-examples":
            train[_module(document)] += 1
        if corpus._epoch_length is not None:
            break
    assert len(train) > 10 and len(held_out) > 10
    assert not set(train) & {_module(document) for document in held_out}
    assert all(">>>" in python_docs.docstrings()[at].text for at in range(100))
    assert "decimal.Context.power(self, a, b, modulo=None)" in {
        document.text.split("\n")[0] for document in python_docs.docstrings()
    }


def _module(document):
    return document.source.removeprefix("builtin:python-docs ").split(".")[0]
