"""The messages that the FAQ explains are those the code has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from documents import ROOT

from alive import errors

HOLE = "\0"
ROW = re.compile(r"^\| `(?P<message>.+?)` \| (?P<meaning>.+) \|$", re.MULTILINE)


def text_of(node: ast.expr) -> str:
    """The text of an expression, a hole where only a run can say."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return text_of(node.left) + text_of(node.right)
    return HOLE


def texts() -> Iterator[str]:
    for file in sorted((ROOT / "src" / "alive").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, (ast.Constant, ast.JoinedStr, ast.BinOp)):
                yield text_of(node)


TEXTS = list(texts())
MESSAGES = [row["message"] for row in ROW.finditer((ROOT / "docs" / "faq.md").read_text("utf-8"))]


def raised() -> Iterator[str]:
    """The messages of the errors that the code raises for a user."""
    names = {name for name, one in vars(errors).items() if isinstance(one, type)}
    for file in sorted((ROOT / "src" / "alive").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            call = getattr(node, "exc", None)
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in names and call.args:
                yield text_of(call.args[0])


def occurs(message: str) -> bool:
    """Whether one text holds the parts between the dots, in order, with holes between them."""
    parts = [re.escape(part) for part in message.split("…")]
    fixed = re.compile(rf"[\s\S]*{HOLE}[\s\S]*".join(parts))
    return any(fixed.search(text) for text in TEXTS)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_of_the_faq_is_one_of_the_code(message: str) -> None:
    assert occurs(message)


def test_messages_are_explained_once_and_others_are_found_out() -> None:
    assert len(MESSAGES) > 100
    assert len(set(MESSAGES)) == len(MESSAGES)
    assert not occurs("…: no such message")
    assert not occurs("…: unknown setting …; there is another part")


@pytest.mark.parametrize("text", [text for text in raised() if text.strip(HOLE)])
def test_every_message_of_the_code_is_explained(text: str) -> None:
    parts = ([re.escape(part) for part in message.split("…")] for message in MESSAGES)
    assert any(re.search(rf"[\s\S]*{HOLE}[\s\S]*".join(each), text) for each in parts)
