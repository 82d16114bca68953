"""Several values in one text: lists, tuples, sets, intervals, ranges, matrices, unions."""

from __future__ import annotations

import re
from collections.abc import Callable

from alive.verify.dates import Clock, Day
from alive.verify.numbers import Number
from alive.verify.readings import Choice, Exact, Formula, Group, Named, Quoted, Reading

__all__ = ["expand_sign", "inside", "read_group", "read_range"]

Read = Callable[[str], Reading]

MAX_ITEMS = 100

_END = r"[$\u20ac\u00a3]?\d[\d.,]*%?"
_RANGE = re.compile(
    rf"(?:from |between )?(?P<low>-?{_END})(?:-| ?(?:to|until|through) | and )"
    rf"(?P<high>(?:(?<= )-)?{_END})"
    r"(?P<behind>(?: [a-z]+){0,3}|[a-z]{2,3})"
)
_PRODUCT = re.compile(r"\d+(?:\.\d+)?(?: ?(?:[xX]|\\times) ?\d+(?:\.\d+)?){1,3}")
_MATRIX = re.compile(r"\\begin\{([pb]?matrix|array)\}(?:\{[lcr| ]*\})?(.*)\\end\{\1\}", re.DOTALL)
_OPENING, _CLOSING = "([{", ")]}"
_TOKEN = re.compile(r"\\[{}]|\\\\|\\[a-zA-Z]+|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|.", re.DOTALL)
_AND = re.compile(r",? (?:and|or) |,(?:and|or) | ?; ?|,")
_PAIR = re.compile(r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^:]+):(.+)", re.DOTALL)


def read_range(text: str, item: Read) -> Group | None:
    """Reads ``1914-1918``, ``10 to 12 years`` and ``4x4``: neither is worked out."""
    if _PRODUCT.fullmatch(text):
        sides = re.split(r" ?(?:[xX]|\\times) ?", text)
        return Group("product", tuple(map(item, sides)), text)
    found = _RANGE.fullmatch(text)
    if found is None or ("and" in text and not text.startswith("between")):
        return None
    low, high, behind = found["low"], found["high"], found["behind"]
    if re.match(r"0\d", low) or re.match(r"0\d", high):
        return None  # 0123-4567 is a code
    if low.isdigit() and high.isdigit() and len(low) == 4 and len(high) == 2 and low[2:] < high:
        high = low[:2] + high  # 1914-18
    ends = (item(low), item(high + behind))
    return Group("range", ends, text) if all(isinstance(e, Number) for e in ends) else None


def expand_sign(text: str) -> list[str] | None:
    r"""Returns the two values of a formula with one ``\pm``, or None."""
    if text.count("\\pm") != 1 or "," in text or "=" in text:
        return None
    before, after = re.split(r"\\pm ?", text)
    return [before.rstrip() + "+" + after if before else after, before.rstrip() + "-" + after]


def read_group(text: str, item: Read) -> Reading | None:
    """Reads brackets, a matrix, a union of intervals or a bare list; None for anything else.

    Args:
        text: Cleaned.
        item: Reads one value.
    """
    matrix = _MATRIX.fullmatch(text)
    if matrix:
        return _matrix(matrix[2], text, item)
    parts = _split(text, re.compile(r" ?\\cup ?"))
    if len(parts) > 1:
        return Group("union", tuple(map(item, parts)), text)
    inner = inside(text)
    if inner is not None:
        return _bracketed(text, inner, item)
    parts = _split(text, _AND)
    if not 1 < len(parts) <= MAX_ITEMS or not all(parts):
        return None
    items = tuple(map(item, parts))
    if not all(_listable(one, alone=False) for one in items):
        return None
    if not any(_listable(one, alone=True) for one in items):
        return None
    return _either(items, text) or Group("bare", items, text)


def _either(items: tuple[Reading, ...], text: str) -> Named | None:
    """Reads ``x < 3 or x > 5`` as a union of intervals."""
    parts = [one for one in items if isinstance(one, Named) and isinstance(one.value, Group)]
    if " or " not in text or len(parts) < len(items) or len({one.name for one in parts}) > 1:
        return None
    return Named(parts[0].name, Group("union", tuple(one.value for one in parts), text), text)


def _bracketed(text: str, inner: str, item: Read) -> Reading | None:
    opening, closing = text.removeprefix("\\")[0], text[-1]
    kind = opening + closing
    if not inner:
        return Group(kind, (), text)
    parts = _split(inner, re.compile(r" ?[,;] ?"))
    if len(parts) > MAX_ITEMS:
        return None
    if len(parts) > 1 and not parts[-1]:
        parts.pop()  # (1,)
    elif len(parts) == 1 and kind == "()":
        reading = item(inner)
        return None if isinstance(reading, Formula | Exact) else reading
    if not all(parts):
        return None
    if kind == "{}":
        pairs = [_PAIR.fullmatch(part) for part in parts]
        if all(pairs):
            items = [Group("pair", (item(p[1]), item(p[2].strip())), p[0]) for p in pairs if p]
            return Group(kind, tuple(items), text)
        # A brace of LaTeX around one value, or a set of it; several values with \pm are its own.
        signs = [one for part in parts for one in expand_sign(part) or [part]]
        return Group(kind, tuple(map(item, signs)), text)
    return Group(kind, tuple(map(item, parts)), text)


def _matrix(body: str, text: str, item: Read) -> Group | None:
    lines = [line.strip() for line in re.split(r"\\\\|\\cr\b", body.replace("\\hline", ""))]
    rows = [
        Group("row", tuple(item(cell.strip()) for cell in line.split("&")), line)
        for line in lines
        if line
    ]
    return Group("matrix", tuple(rows), text) if rows else None


def _listable(reading: Reading, *, alone: bool) -> bool:
    """Says whether a value makes a list of what stands between commas.

    Words between commas are a sentence, so at least one must be a value; and a text beside it must
    be something that no sentence is made of.
    """
    if isinstance(reading, Exact):
        return reading.kind in ("infinity", "chemical", "version", "code") and not alone
    if isinstance(reading, Number):
        return reading.unit is None or bool(reading.unit.dimension) or not alone
    return isinstance(reading, Choice | Formula | Group | Named | Quoted | Day | Clock)


def inside(text: str) -> str | None:
    """Returns what stands between a text's first and last character, if they are one pair."""
    if len(text) < 2 or text[-1] not in _CLOSING:
        return None
    start = 2 if text.startswith("\\{") else 1
    if text[start - 1] not in _OPENING:
        return None
    depth = 0
    tokens = list(_TOKEN.finditer(text))
    for token in tokens:
        bracket = token[0][-1] if len(token[0]) < 3 else ""
        depth += (bracket in _OPENING) - (bracket in _CLOSING) if bracket else 0
        if depth == 0:
            if token is not tokens[-1]:
                return None
            return text[start : token.start()].strip()
    return None


def _split(text: str, separator: re.Pattern[str]) -> list[str]:
    """Splits a text at separators that stand in no brackets and no quotes."""
    if not separator.search(text):
        return [text]
    parts: list[str] = []
    depth = start = place = 0
    while place < len(text):
        found = separator.match(text, place) if depth == 0 else None
        if found and found.end() > place and not _thousands(text, found):
            parts.append(text[start:place].strip())
            start = place = found.end()
            continue
        token = _TOKEN.match(text, place)
        assert token is not None
        bracket = token[0][-1] if len(token[0]) < 3 else ""
        depth += (bracket in _OPENING) - (bracket in _CLOSING) if bracket else 0
        place = token.end()
    return [*parts, text[start:].strip()]


def _thousands(text: str, found: re.Match[str]) -> bool:
    """Says whether a comma groups the digits of one number, as each in ``1,234, 5,678`` but one."""
    if found[0] != "," or not re.search(r"[,;] | and | or ", text):
        return False
    around = text[found.start() - 1 : found.start()] + text[found.end() :]
    return re.match(r"\d\d{3}(?!\d)", around) is not None
