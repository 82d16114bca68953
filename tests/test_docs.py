"""What the documents say can be followed: links resolve, line numbers hit, commands parse.

``python tests/test_docs.py`` moves the line numbers of links into the code to where their symbols
stand now.
"""

import ast
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
ALGORITHM = ROOT / "docs" / "algorithm.md"
LINK = re.compile(r"\[(?P<label>[^\]\n]*)\]\((?P<target>[^)\s]+)\)")
LINE_LINK = re.compile(r"\[`(?P<symbol>[^`]+)`\]\((?P<path>\.\./src/[^)#\s]+)#L(?P<line>\d+)\)")
DETAIL = re.compile(r"^(\d+)\. (.*(?:\n(?!\d+\. |#|\n).*)*)", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def local_links():
    for document in DOCUMENTS:
        for link in LINK.finditer(FENCE.sub("", document.read_text("utf-8"))):
            if not re.match(r"[a-z]+:", link["target"]):
                yield document, link["target"]


def headings(document):
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", document.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def lines_of(path, symbol):
    """Lines of a definition in a Python file; of the first line that opens so in any other."""
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        return [n for n, line in enumerate(text.splitlines(), 1) if line.startswith(symbol)][:1]
    body = ast.parse(text).body
    for name in symbol.split("."):
        node = next((node for node in body if name in names_of(node)), None)
        if node is None:
            return []
        body = getattr(node, "body", [])
    return range(node.lineno, node.end_lineno + 1)


def names_of(node):
    targets = getattr(node, "targets", [getattr(node, "target", node)])
    return {getattr(target, "id", getattr(target, "name", None)) for target in targets} - {None}


def details():
    return DETAIL.findall(ALGORITHM.read_text("utf-8"))


def commands():
    for document in DOCUMENTS:
        for block in FENCE.findall(document.read_text("utf-8")):
            for line in block.splitlines():
                words = shlex.split(line, comments=True) if re.match(r"\S*\balive ", line) else []
                if words and Path(words[0]).name == "alive":
                    yield pytest.param(words[1:], id=f"{document.name}: {' '.join(words)}")


@pytest.mark.parametrize(("document", "target"), list(local_links()))
def test_every_relative_link_leads_to_something(document, target):
    path, _, fragment = target.partition("#")
    found = document.parent / path if path else document
    assert found.exists(), f"{document.name}: {target}"
    assert found.resolve().is_relative_to(ROOT)
    if fragment and found.suffix == ".md":
        assert fragment in headings(found), f"{document.name}: {target}"


def test_the_details_of_the_algorithm_are_numbered_without_a_gap():
    assert [int(number) for number, _ in details()] == list(range(1, len(details()) + 1))
    assert len(details()) > 50


@pytest.mark.parametrize(("number", "text"), details())
def test_every_detail_has_one_tag_and_one_link_to_its_definition(number, text):
    assert re.match(r"\*\*\[(paper|inferred)\]\*\* ", text), text
    assert len(re.findall(r"\*\*\[(?:paper|inferred)\]\*\*", text)) == 1
    links = list(LINE_LINK.finditer(text))
    assert len(links) == 1, f"detail {number} has {len(links)} links to a line of code"
    for link in links:
        lines = lines_of(ALGORITHM.parent / link["path"], link["symbol"])
        assert lines, f"detail {number}: {link['path']} has no {link['symbol']}"
        assert int(link["line"]) in lines, (
            f"detail {number}: {link['symbol']} is at line {lines[0]} now; "
            "python tests/test_docs.py moves every link"
        )


@pytest.mark.parametrize("arguments", list(commands()))
def test_every_command_in_the_documents_is_one(arguments):
    from alive.cli import group
    from alive.settings import load_config

    if arguments[0].startswith("-"):
        assert arguments in (["--help"], ["--version"])
        return
    verb = group.commands[arguments[0]]
    given = verb.make_context(arguments[0], arguments[1:]).params
    load_config(given.get("preset"), (), given.get("overrides", ()))


def test_every_make_target_in_the_documents_is_one():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        text = document.read_text("utf-8")
        asked = re.findall(r"^make ([\w-]+)$|`make ([\w-]+)`", text, re.MULTILINE)
        assert {a or b for a, b in asked} <= targets, document.name


@pytest.mark.parametrize("kind", ["Episode", "Record"])
def test_the_data_formats_list_every_column(kind):
    from alive.store import EPISODE_COLUMNS, RECORD_COLUMNS

    text = (ROOT / "docs" / "data-format.md").read_text("utf-8")
    table = re.split(r"\n#+ ", text.partition(f"### {kind} columns\n")[2])[0]
    rows = re.findall(r"^\| (`.*?) \| (\w+) \|", table, re.MULTILINE)
    told = {name: kind for names, kind in rows for name in re.findall(r"`(\w+)`", names)}
    assert told == (EPISODE_COLUMNS if kind == "Episode" else RECORD_COLUMNS)


def move_links():
    def moved(link):
        lines = lines_of(ALGORITHM.parent / link["path"], link["symbol"])
        line = lines[0] if lines else link["line"]
        return f"[`{link['symbol']}`]({link['path']}#L{line})"

    ALGORITHM.write_text(LINE_LINK.sub(moved, ALGORITHM.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    move_links()
