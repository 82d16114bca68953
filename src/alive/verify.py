r"""The verifier: reads a final answer out of a completion and compares it with the hidden text.

Paper: an attempt is right when its answer matches the corpus (normalised exact match or
mathematical equivalence). Inferred: every detail below. Only ``\boxed{...}`` counts as an answer;
nothing a model or a corpus wrote is ever evaluated as code.

The training loop asks this file about every attempt, so the common cases (the same words, the same
number) are settled with the standard library alone; formulas go to ``alive.equivalence``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

__all__ = ["extract_answer", "final_answer", "matches", "normalise"]

MAX_ANSWER_CHARS = 200
MAX_COMPARED_CHARS = 2_000

_BOX = "\\boxed"
_BRACE = re.compile(r"\\[\s\S]|[{}]")
_WORKED = re.compile(r"^[ \t]*####[ \t]*(\S[^\n]*)$", re.MULTILINE)

_CHARACTERS = str.maketrans(
    {
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{HYPHEN}": "-",
        "\N{NON-BREAKING HYPHEN}": "-",
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{MULTIPLICATION SIGN}": r"\times ",
        "\N{DEGREE SIGN}": r"^{\circ}",
    }
)
_LATEX_FORMS = (
    (re.compile(r"\\(?:text|textbf|textrm|textit|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}"),
     r"\1"),
    (re.compile(r"\\(?:left|right)(?![a-zA-Z])"), ""),
    (re.compile(r"\\[,;:! ]"), " "),
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\frac\s*(\d)\s*(\d)(?!\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\([%$#&_])"), r"\1"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\^\s*(?:\\circ(?![a-zA-Z])|\{\s*\\circ\s*\})"), " degrees"),
)  # fmt: skip
_SPACES = re.compile(r"\s+")
_AROUND_SIGNS = re.compile(r"\s*([,()\[\]{}=+\-*/<>^;:|])\s*")
_ASSIGNMENT = re.compile(r"^[A-Za-z]=(?=[^=])")

_DIGITS = r"(?:\d{1,3}(?:,\d{3}){1,12}|\d{1,40})"
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d{{0,40}})?|\.\d{{1,40}})"
_QUANTITY = re.compile(
    rf"""
    (?P<sign>[+-]?)\s*(?P<currency>[$\u20ac\u00a3\u00a5]?)\s*(?P<inner_sign>-?)
    (?:
        (?:(?P<whole>\d{{1,12}})\s*)?\\frac\{{(?P<latex_top>-?\d{{1,40}})\}}\{{(?P<latex_bottom>\d{{1,40}})\}}
      | (?:(?P<mixed>\d{{1,12}})\s)?(?P<top>\d{{1,40}})/(?P<bottom>\d{{1,40}})
      | (?P<decimal>{_DECIMAL})(?:e(?P<exponent>[+-]?\d{{1,2}}))?
    )
    \s*(?P<percent>%?)\s*(?P<words>[a-z]{{0,14}}(?:\s[a-z]{{1,14}})?)
    """,
    re.VERBOSE,
)  # fmt: skip

_SCALES = {"hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9, "dozen": 12}
# A closed list: any word as a unit would take "3 x", "3 squared" or "3 less" for the number 3.
_UNITS = {
    name: unit
    for unit, names in {
        "percent": "percent pct",
        "usd": "dollar buck usd",
        "cent": "cent",
        "eur": "euro eur",
        "gbp": "pound",
        "km": "km kilometer kilometre",
        "m": "m meter metre",
        "cm": "cm centimeter centimetre",
        "mm": "mm millimeter millimetre",
        "mile": "mile",
        "ft": "ft foot feet",
        "in": "inch",
        "yd": "yard",
        "kg": "kg kilogram",
        "g": "g gram",
        "lb": "lb",
        "oz": "oz ounce",
        "l": "l liter litre",
        "ml": "ml milliliter millilitre",
        "gal": "gallon",
        "s": "second sec",
        "min": "minute min",
        "h": "h hour hr",
        "day": "day",
        "week": "week",
        "month": "month",
        "year": "year",
        "deg": "degree",
        "mph": "mph",
        "time": "time",
    }.items()
    for name in names.split()
}
_CURRENCIES = {"$": "usd", "\u20ac": "eur", "\u00a3": "gbp", "\u00a5": "yen"}


def extract_answer(completion: str) -> str | None:
    r"""Returns the content of the last balanced ``\boxed{...}``, or None.

    The last one is the one that opens last. Escaped braces do not count for the balance; a box that
    never closes is skipped. If the box found is empty or holds more than 200 characters, there is
    no answer.

    Args:
        completion: The solver's own text, without its prompt. Untrusted.
    """
    openings: list[int] = []
    box = (-1, -1)
    for brace in _BRACE.finditer(completion):
        if brace.group() == "{":
            openings.append(brace.start())
        elif brace.group() == "}" and openings:
            opening = openings.pop()
            if opening > box[0] and completion.endswith(_BOX, 0, opening):
                box = (opening, brace.start())
    content = completion[box[0] + 1 : box[1]] if box[0] >= 0 else ""
    if len(content) > MAX_ANSWER_CHARS:
        return None
    return content.strip() or None


def final_answer(worked: str) -> str:
    r"""Returns the answer that a suite's ``answer`` stands for.

    A worked solution ends with ``#### X`` or holds ``\boxed{X}``; then it is X. Any other text is
    the answer itself, stripped.
    """
    marks = _WORKED.findall(worked)
    if marks:
        return str(marks[-1]).strip()
    return extract_answer(worked) or worked.strip()


def normalise(text: str) -> str:
    """Returns the text as it is compared: one spelling, one spacing, no case, no wrapping.

    Unifies dashes, quotes and spaces; unwraps ``$...$``, quotation marks and LaTeX text commands;
    drops a closing full stop and the spaces around signs; folds case.
    """
    return _clean(text).casefold()


def matches(answer: str | None, target: str) -> bool:
    """Says whether an extracted answer matches the hidden text.

    In this order: the same text after ``normalise``; the same number (exactly: 1/2 is 0.5, 0.333 is
    not 1/3; thousands separators, currency, a percent sign and known units are understood, and a
    missing unit is forgiven where two different ones are not); the same formula. Where either side
    is a plain number only a plain number matches it, so that boxing the unworked ``23+14`` is not
    an answer to 37 (inferred).

    Args:
        answer: What ``extract_answer`` returned; None never matches.
        target: The hidden text or a suite's final answer; an empty one is never matched.
    """
    if answer is None or not answer.strip() or not target.strip():
        return False
    if answer.strip() == target.strip():
        return True
    if max(len(answer), len(target)) > MAX_COMPARED_CHARS:
        return False
    ours, theirs = _clean(answer), _clean(target)
    if ours.casefold() == theirs.casefold():
        return bool(ours)
    mine, wanted = _quantity(ours.casefold()), _quantity(theirs.casefold())
    if mine is not None and wanted is not None:
        return mine.equals(wanted)
    if mine is not None or wanted is not None:
        return False
    from alive.equivalence import equivalent

    return equivalent(ours, theirs)


def _clean(text: str) -> str:
    """Everything ``normalise`` does but the case, which formulas need."""
    text = unicodedata.normalize("NFC", text).translate(_CHARACTERS)
    for pattern, replacement in _LATEX_FORMS:
        text = pattern.sub(replacement, text)
    text = _SPACES.sub(" ", text).strip()
    if text.startswith("\\(") and text.endswith("\\)"):
        text = text[2:-2]
    if text.startswith("$") and text.endswith("$"):
        text = text.strip("$")
    text = _AROUND_SIGNS.sub(r"\1", text.strip("\"'` "))
    return _ASSIGNMENT.sub("", text.removesuffix(".").rstrip())


@dataclass(frozen=True, slots=True)
class _Quantity:
    value: Fraction
    unit: str

    def equals(self, other: _Quantity) -> bool:
        if self.unit and other.unit and self.unit != other.unit:
            return False
        if self.value == other.value:
            return True
        # "5%" is asked for both as 5 and as 0.05: either bare number is taken.
        if {self.unit, other.unit} == {"percent", ""}:
            part, bare = (self, other) if self.unit == "percent" else (other, self)
            return part.value == bare.value * 100
        return False


def _quantity(text: str) -> _Quantity | None:
    """Reads a cleaned, case-folded text as a number with an optional unit; None if it is none."""
    parts = _QUANTITY.fullmatch(text)
    if parts is None or (parts["sign"] and parts["inner_sign"]):
        return None
    value = _magnitude(parts)
    unit = "percent" if parts["percent"] else _CURRENCIES.get(parts["currency"], "")
    for word in parts["words"].split():
        name = word if word in _UNITS else word.removesuffix("s")
        if name in _SCALES:
            value = None if value is None else value * _SCALES[name]
        elif name in _UNITS and not unit:
            unit = _UNITS[name]
        elif _UNITS.get(name) != unit:
            return None
    if value is None:
        return None
    negative = "-" in (parts["sign"], parts["inner_sign"])
    return _Quantity(-value if negative else value, unit)


def _magnitude(parts: re.Match[str]) -> Fraction | None:
    if parts["decimal"]:
        exponent = int(parts["exponent"] or 0)
        return Fraction(Decimal(parts["decimal"].replace(",", ""))) * Fraction(10) ** exponent
    top = int(parts["latex_top"] or parts["top"])
    bottom = int(parts["latex_bottom"] or parts["bottom"])
    whole = int(parts["whole"] or parts["mixed"] or 0)
    if bottom == 0 or (whole and top < 0):
        return None
    return whole + Fraction(top, bottom)
