"""Reads a text as what it is: a number, a date, a list, a formula, a code or plain words."""

from __future__ import annotations

import re
from functools import lru_cache

from alive.equivalence import looks_like_formula
from alive.verify.clean import clean, compact, plain_words
from alive.verify.dates import read_clock, read_day
from alive.verify.groups import expand_sign, inside, read_group, read_range
from alive.verify.numbers import read_number
from alive.verify.readings import Choice, Exact, Formula, Group, Named, Quoted, Reading
from alive.verify.spoken import CARDINALS
from alive.verify.units import read_unit

__all__ = ["read"]

MAX_DEPTH = 6

_CHOICE = re.compile(
    r"(?:(?:option|choice|answer)\b ?:? ?)?(?:[(\[{]([a-z])[)\]}]|([a-z])[).:]?)", re.IGNORECASE
)
_CHOICE_SAID = re.compile(
    r"(?:option |choice )?(?:[(\[]([A-J])[)\]]:?|([A-J])[).]|([A-J])[.:] )\s*"
    r"(?=[\w\\$\"'-])(.{2,}|\d)"
)
_QUOTED = re.compile(r"b?(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|`([^`]+)`)")
_VERSION = re.compile(r"(?:v(?:ersion|er)?\.? ?)?(\d{1,5}(?:\.\d{1,5}){2,4})", re.IGNORECASE)
_TWO_PARTS = re.compile(r"v(?:ersion|er)?\.? ?(\d{1,5}(?:\.\d{1,5})?)", re.IGNORECASE)
_NAMED = re.compile(
    r"((?:\\[a-zA-Z]+|[A-Za-z](?:_\{?\w{1,5}\}?|'{1,2})?|[A-Za-z]\([A-Za-z](?:,[A-Za-z])*\)"
    r"|\([A-Za-z](?:,[A-Za-z]){1,3}\)|[A-Za-z]{2,12}))"
    r"(?:=| ?\\in ?(?=[\\(\[{]))(?=[^=])"
)
# Most hidden words are nothing else: a long word, and none that begins a number or joins a list.
_LETTER = r"[A-Za-z\u00c0-\u024f]"
_PROSE = re.compile(rf"(?=.*{_LETTER}{{5}})(?!.*[a-z][A-Z]){_LETTER}+(?: {_LETTER}+)*")
_JOINS = {"a", "an", "and", "or"}
_TELLING = {
    *CARDINALS,
    *_JOINS,
    "half",
    "minus",
    "negative",
    "option",
    "choice",
    "answer",
    "infinity",
}
# Without any of these a text is words.
_SIGN = re.compile(r"[\d=<>\\()\[\]{},;:\"'`]| (?:and|or) ")
_MORE = re.compile(r"[=,;<>]|\\(?:le|ge|ne|in|cup)\b| (?:and|or) ")
_BOUND = r"[^<>=,;\\]*(?:\\(?!le|ge|ne)[a-z][^<>=,;\\]*)*"
_RELATION = re.compile(
    rf"(?:(?P<low>{_BOUND}?) ?(?P<first><|>|\\le|\\ge) ?)?(?P<name>[A-Za-z]|\\theta)"
    rf" ?(?:(?P<second><|>|\\le|\\ge) ?(?P<high>{_BOUND}))?"
)
_INFINITY = re.compile(r"([+-]?)(?:float\(')?(?:\\infty|infinity|inf)(?:'\))?")

_ELEMENT = (
    "A[cglmrstu]|B[aehikr]?|C[adeflmnorsu]?|D[bsy]|E[rsu]|F[elmr]?|G[ade]|H[efgos]?|I[nr]?|K[r]?"
    "|L[airuv]|M[cdgnot]|N[abdehiop]?|O[gs]?|P[abdmortu]?|R[abefghnu]|S[bcegimnr]?|T[abcehilms]|U"
    "|V|W|Xe|Yb?|Z[nr]"
)
_CHEMICAL = re.compile(
    rf"\d{{0,2}}(?:(?:{_ELEMENT})\d{{0,3}}|\((?:(?:{_ELEMENT})\d{{0,3}}){{1,8}}\)\d{{0,3}}){{1,20}}"
    r"(?:\^?\{?\d?[+-]\}?)?"
)
# Of letters alone: NaCl is a formula, COIN and Henry are words.
_MIXED = re.compile(r"[a-z][A-Z]")
_METALS = frozenset({"Co", "CO", "Hf", "HF", "Cs", "CS", "Sn", "SN", "Pb", "PB"})
_CODE = re.compile(
    r"\w*[^\W_]_\w+|__\w+__|\w*[A-Za-z]\w*\([^ ]*\)|[~.]?/[\w./-]+|--?[a-z][\w-]*"
    r"|[A-Za-z]{1,3}\d+|0[xXbBoO][0-9a-fA-F_]+|<[^ <>]+( [^<>]*)?>|[\w.]+\[[^ ]+\]"
    r"|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\.[A-Za-z_]\w*\([^ ]*\)"
    r"|[\w.\"']+ ?(?:==|!=|->|=>|::|&&|\|\||//|<<|>>|:=) ?[\w.\"']+"
)
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)", re.IGNORECASE)
_FUNCTION = re.compile(r"(?<![\\a-zA-Z])(sin|cos|tan|cot|sec|csc|log|ln|exp|max|min)(?![a-z])")
_ROOT = re.compile(r"(?<![\\a-zA-Z])(?:sqrt|\\sqrt(?=\())\(([^()]*)\)")
_PI = re.compile(r"(?<![\\a-zA-Z])pi(?![a-zA-Z])")
_POWER = re.compile(r"\^(-?\d{2,3})(?!\d)")
_TRAILING_UNIT = re.compile(r"(?:(?<=[})])| )([a-z]{2,14}(?: [a-z]{2,14}){0,2}(?:\^\{?[23]\}?)?)$")


@lru_cache(maxsize=4096)
def read(text: str, depth: int = 0) -> Reading:
    """Reads a text that ``clean`` has cleaned.

    Args:
        text: At most a few thousand characters; untrusted.
        depth: How deep within brackets it stands.
    """
    folded = text.casefold()
    if _PROSE.fullmatch(text) and _TELLING.isdisjoint(folded.split()):
        return Exact("text", plain_words(text))
    number = read_number(folded)
    if number is not None:
        return number
    reading: Reading | None = _choice(text) or _infinity(folded)
    if reading is None and _SIGN.search(text):
        reading = _quoted(text) or read_day(folded) or read_clock(folded) or _version(text)
    if reading is not None:
        return reading
    if depth < MAX_DEPTH and _SIGN.search(text):
        inner = _held(text, depth)
        if inner is not None:
            return inner
    return _symbols(text)


def _held(text: str, depth: int) -> Reading | None:
    """Reads what holds other values: a range, brackets, a list, a name with its value."""

    def item(part: str) -> Reading:
        return read(part, depth + 1)

    ranged = read_range(text, item)
    if ranged is not None:
        return ranged
    named = _NAMED.match(text)
    behind = text[named.end() :] if named else ""
    if named and (inside(behind) is not None or not _MORE.search(behind)):
        value = item(behind)
        word = re.fullmatch(r"[A-Za-z]{2,}", named[1])
        if not isinstance(value, Exact) and not (word and isinstance(value, Formula)):
            return Named(named[1], value, text)
    if named and "\\in" in named[0]:
        return Named(named[1], item(behind), text)
    bounds = _relation(text)
    if bounds is not None:
        return Named(bounds[0], Group(bounds[1], (item(bounds[2]), item(bounds[3])), text), text)
    if _is_code(text.replace(", ", ",")):
        return None
    signs = expand_sign(text)
    if signs is not None:
        return Group("bare", tuple(item(one) for one in signs), text)
    return read_group(text, item)


def _relation(text: str) -> tuple[str, str, str, str] | None:
    r"""Reads ``x > 5`` and ``-2 \le x < 7`` as intervals: name, brackets, lower and upper end."""
    found = _RELATION.fullmatch(text)
    if found is None or not (found["first"] or found["second"]):
        return None
    signs = {found["first"], found["second"]} - {None}
    rising = signs <= {"<", "\\le"}
    if not rising and not signs <= {">", "\\ge"}:
        return None
    ends = [found["low"] or "", found["high"] or ""]
    closed = [found["first"] in ("\\le", "\\ge"), found["second"] in ("\\le", "\\ge")]
    if not rising:
        ends, closed = ends[::-1], closed[::-1]
    low, high = ends[0] or "-\\infty", ends[1] or "\\infty"
    return found["name"], ("[" if closed[0] else "(") + ("]" if closed[1] else ")"), low, high


def _symbols(text: str) -> Reading:
    """Reads what is neither a value nor holds one: a chemical, a code, a formula or words."""
    based = re.fullmatch(r"(\d+)_\{?(\d{1,2})\}?", text)
    if based:
        return Exact("base", f"{based[1]}_{based[2]}")
    bare = re.sub(r"_\{?(\d+)\}?", r"\1", text).replace(" ", "")
    if _CHEMICAL.fullmatch(bare) and (
        (re.search(r"[A-Za-z)]\d", bare) and not re.search(r"[a-z]_", text))
        or bare[-1] in "+-"
        or _MIXED.search(bare[1:])
        or bare in _METALS
    ):
        return Exact("chemical", re.sub(r"[\^{}]", "", bare))
    spaced = text.replace(", ", ",")
    if _is_code(spaced):
        return Exact("code", spaced)
    if _ORDINAL.fullmatch(text) or text.casefold() == "n/a":
        return Exact("text", plain_words(text))
    formula = _formula(text)
    if formula is not None:
        return formula
    return Exact("text", plain_words(text))


def _is_code(text: str) -> bool:
    if "\\" in text or not _CODE.fullmatch(text):
        return False
    # One letter with an index or an argument is mathematics: x_1, f(x).
    return not re.fullmatch(r"[A-Za-z](?:_\w|\([\w,+*/^-]*\))|[a-z]{2,4}\([\w*/^+-]{1,20}\)", text)


def _choice(text: str) -> Choice | None:
    alone = _CHOICE.fullmatch(text)
    if alone:
        letter = alone[1] or alone[2]
        return Choice(letter.casefold(), "", letter)
    said = _CHOICE_SAID.fullmatch(text)
    if said is None:
        return None
    letter = said[1] or said[2] or said[3]
    return Choice(letter.casefold(), plain_words(clean(said[4])), letter)


def _quoted(text: str) -> Quoted | None:
    found = _QUOTED.fullmatch(text)
    if found is None:
        return None
    inner = next(part for part in found.groups() if part is not None)
    return Quoted(re.sub(r"\\(['\"])", r"\1", inner))


def _version(text: str) -> Exact | None:
    found = _VERSION.fullmatch(text) or _TWO_PARTS.fullmatch(text)
    return Exact("version", found[1]) if found else None


def _infinity(folded: str) -> Exact | None:
    found = _INFINITY.fullmatch(folded)
    return Exact("infinity", "-" if found[1] == "-" else "+") if found else None


def _formula(text: str) -> Formula | None:
    latex = _latex(text)
    trailing = _TRAILING_UNIT.search(latex)
    if trailing is not None:
        unit = read_unit(trailing[1], False)
        before = latex[: trailing.start()].rstrip()
        if unit is not None and unit.dimension and looks_like_formula(before):
            return Formula(compact(before), unit)
    return Formula(compact(latex), None) if looks_like_formula(latex) else None


def _latex(text: str) -> str:
    """Writes plain algebra as LaTeX: ``sqrt(2)``, ``pi/2``, ``x**10``."""
    text = text.replace("**", "^")
    for _ in range(3):
        text = _ROOT.sub(r"\\sqrt{\1}", text)
    text = _FUNCTION.sub(r"\\\1 ", text)
    text = _PI.sub(r"\\pi ", text)
    return _POWER.sub(r"^{\1}", text)
