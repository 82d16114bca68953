"""One spelling for what is written in many: Unicode forms, LaTeX wrappers, spacing, punctuation."""

from __future__ import annotations

import re
import unicodedata

from alive.verify.spoken import CARDINALS, ORDINALS

__all__ = ["clean", "compact", "plain_words"]

_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-"),
        **dict.fromkeys("\u2018\u2019\u201a\u2032\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d", '"'),
        **dict.fromkeys("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad\u2061\u2062", None),
        "\u00d7": r"\times ",
        "\u00b7": r"\cdot ",
        "\u22c5": r"\cdot ",
        "\u00f7": "/",
        "\u2044": "/",
        "\u2215": "/",
        "\u00b0": r"^{\circ}",
        "\u221e": r"\infty ",
        "\u2264": r"\le ",
        "\u2265": r"\ge ",
        "\u2260": r"\ne ",
        "\u00b1": r"\pm ",
        "\u222a": r"\cup ",
        "\u2208": r"\in ",
        "\u2248": r"\approx ",
        "\u2205": r"\emptyset ",
        "\u3001": ",",
        "\u3002": ".",
        "\ufe3f": "^",
    }
)
_GREEK_NAMES = "alpha beta gamma delta theta lambda mu pi sigma phi omega"
_GREEK = dict(zip("αβγδθλμπσφω", _GREEK_NAMES.split(), strict=True))
_LONE_GREEK = re.compile(r"(?<![\u0370-\u03ff])[αβγδθλμπσφω](?![\u0370-\u03ff])")
_RAISED = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u207f]+")
_LOWERED = re.compile("[\u2080-\u208e]+")
_SMALL = re.compile(rf"{_RAISED.pattern}[/\u2044]{_LOWERED.pattern}")
_VULGAR = re.compile("[\u00bc-\u00be\u2150-\u215e\u2189]")
_ROOT = re.compile(r"\u221a\s*(?:(\d+|[A-Za-z])|(?=[({]))")

_COMMANDS = (
    r"text(?:bf|rm|it|tt|sf)?|math(?:rm|bf|it|sf|tt|bb)|mbox|operatorname|boxed|emph|ce|underline"
)

_LATEX_FORMS = (
    (re.compile(rf"\\(?:{_COMMANDS})\s*\{{([^{{}}]*)\}}"), r" \1"),
    (re.compile(r"\\(?:left|right|displaystyle|[bB]ig+[lr]?)(?![a-zA-Z])"), ""),
    (re.compile(r"\\!\s*"), ""),
    (re.compile(r"(?<!\\)\\(?:[,;: ]|q?quad(?![a-zA-Z]))"), " "),
    (re.compile(r"(?<=\\)~|(?<![/\w])~(?=[A-Za-z\\])|(?<=[\w}$])~(?=[\w\\])"), " "),
    (re.compile(r"\$(?=[^\s$])([^$]*[^\s$])\$(?!\d)"), r"\1"),
    (re.compile(r"\\varnothing(?![a-zA-Z])"), r"\\emptyset"),
    (re.compile(r"\\([%$#&_])"), r"\1"),
    (re.compile(r"\{,\}\s*"), ","),
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\frac\s*(\d)\s*(\d)(?!\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\frac\s*(\d)\s*\{"), r"\\frac{\1}{"),
    (re.compile(r"(\\frac\s*\{[^{}]*\})\s*(\d)(?!\d)"), r"\1{\2}"),
    (re.compile(r"\\sqrt\s*([\dA-Za-z])"), r"\\sqrt{\1}"),
    (re.compile(r"(?:\^\s*(?:\\circ(?![a-zA-Z])|\{\s*\\circ\s*\})|\\degree(?![a-zA-Z]))"),
     " degrees "),
    (re.compile(r"\\(?:leq|leqslant)(?![a-zA-Z])|<="), r"\\le "),
    (re.compile(r"\\(?:geq|geqslant)(?![a-zA-Z])|>="), r"\\ge "),
    (re.compile(r"\\(?:approx|simeq)(?![a-zA-Z])"), " "),
    (re.compile(r"\\neq(?![a-zA-Z])"), r"\\ne "),
    (re.compile(r"([_^]) ?\{ ?(\w) ?\}"), r"\1\2"),
)  # fmt: skip
_SPACES = re.compile(r"\s+")
# The space in "1, 234" stays: without it the two numbers are one.
_AROUND_COMMA = re.compile(r" ?,(?: (?!\d))?|(?<!\d), ")
_AROUND_SIGNS = re.compile(r" ?([()\[\]{}=+*/<>^;:|]) ?|(?:(?<=\S) |^)(-) ")
_PLAIN = re.compile(r"[A-Za-z0-9.]*")
# What may stand around a whole text, and what then cannot stand within it.
_AROUND = (
    ("\\(", "\\)", "\\)"),
    ("\\[", "\\]", "\\]"),
    ("$$", "$$", "$"),
    ("$", "$", "$"),
    ("**", "**", "*"),
    ("*", "*", "*"),
)
_COMMAND = re.compile(rf"\\(?:{_COMMANDS})\s*\{{")
_BRACE = re.compile(r"\\[\s\S]|[{}]")
MAX_WRAPPERS = 4

_APOSTROPHE = re.compile(r"(?<=[^\W\d])'(?=[^\W\d])")
_INITIALS = re.compile(r"(?<![^\W_])([^\W\d_])\.(?=[^\W\d_](?:\.|$|[^\w]))")
_PUNCTUATION = re.compile(
    r"[,;:!?\"'`()\[\]{}](?!\d)|(?<!\d)[,;:!?\"'`()\[\]{}]|\.+(?=\s|$)"
    r"|(?<=\d),(?=\d)(?!\d{3}(?!\d))"
)
_HYPHEN = re.compile(r"(?<=[^\W_])-(?=[^\W\d_])|(?<=[^\W\d_])-(?=[^\W_])")
_NTH = re.compile(r"(\d{1,2})(?:st|nd|rd|th)")
_NTH_WORDS = {value: word for word, value in ORDINALS.items()}


def clean(text: str) -> str:
    r"""Returns a text in one spelling, its case kept.

    Unifies Unicode forms, digits, dashes, quotes, spaces and roots; unwraps ``$...$`` and LaTeX
    text commands; drops a closing full stop and the spaces around signs.
    """
    if not text.isascii():
        text = _ascii_forms(text)
    if _PLAIN.fullmatch(text):
        return text.removesuffix(".")
    text = _unwrapped(text.strip())
    if "\\" in text or "{" in text or "=" in text:
        for pattern, replacement in _LATEX_FORMS:
            text = pattern.sub(replacement, text)
    text = _SPACES.sub(" ", text).strip()
    text = _AROUND_COMMA.sub(",", text)
    text = _AROUND_SIGNS.sub(r"\1\2", text).strip()
    return text.removesuffix(".").rstrip() or text


def _unwrapped(text: str) -> str:
    """Returns what stands in the dollar signs, stars or commands around a whole text."""
    for _ in range(MAX_WRAPPERS):
        before, text = text, text.removesuffix(".").rstrip()
        for opening, closing, never in _AROUND:
            inner = text[len(opening) : -len(closing)]
            wraps = inner.strip() and text == opening + inner + closing
            if wraps and not inner.endswith("\\") and never not in inner.replace("\\$", ""):
                text = inner.strip()
        text = _without_command(text)
        if text == before:
            break
    return text


def _without_command(text: str) -> str:
    opening = _COMMAND.match(text)
    if opening is None or not text.endswith("}"):
        return text
    depth = 1
    for brace in _BRACE.finditer(text, opening.end()):
        depth += (brace.group() == "{") - (brace.group() == "}")
        if not depth:
            whole = brace.end() == len(text)
            return text[opening.end() : -1].strip() if whole else text
    return text


def _ascii_forms(text: str) -> str:
    text = _SMALL.sub(lambda m: unicodedata.normalize("NFKC", m[0]).replace("\u2044", "/"), text)
    text = _RAISED.sub(lambda m: f"^{{{unicodedata.normalize('NFKC', m[0])}}}", text)
    text = _LOWERED.sub(lambda m: f"_{{{unicodedata.normalize('NFKC', m[0])}}}", text)
    text = _VULGAR.sub(_vulgar, text)
    text = text.translate(_CHARACTERS)
    text = unicodedata.normalize("NFKC", text).translate(_CHARACTERS)
    text = _ROOT.sub(lambda m: f"\\sqrt{{{m[1]}}}" if m[1] else "sqrt", text)
    text = _LONE_GREEK.sub(lambda m: f"\\{_GREEK[m[0]]} ", text)
    return "".join(
        str(digit)
        if ord(char) > 127 and (digit := unicodedata.decimal(char, None)) is not None
        else char
        for char in text
    )


def _vulgar(found: re.Match[str]) -> str:
    top, bottom = unicodedata.normalize("NFKC", found[0]).split("\u2044")
    return f"\\frac{{{top}}}{{{bottom}}}"


def compact(text: str) -> str:
    """Returns a cleaned formula without the differences that no reader of LaTeX sees."""
    text = re.sub(r"\\(?:cdot|times)(?![a-zA-Z])", "*", text)
    text = re.sub(r"(\\[a-zA-Z]+) (?![a-zA-Z])", r"\1", text)
    return re.sub(r"(?<!\\)(?<![a-zA-Z]) | (?![a-zA-Z])", "", text)


def plain_words(text: str) -> str:
    """Returns a cleaned text as words to compare: no case, punctuation or articles.

    What may carry meaning stays: ``C++`` is not ``C``, ``A-`` is not ``A``, nor ``plan A`` a plan.
    Where nothing is left the text itself is.
    """
    folded = text.casefold().replace("&", " and ")
    bare = _INITIALS.sub(r"\1", _APOSTROPHE.sub("", folded))
    words = _HYPHEN.sub(" ", _PUNCTUATION.sub(" ", bare)).split()
    if len(words) > 1 and words[0] in ("a", "an"):
        words = words[1:]
    kept = [_word(word) for word in words if word != "the"]
    return " ".join(kept or words) or folded


def _word(word: str) -> str:
    nth = _NTH.fullmatch(word)
    if nth:
        return _NTH_WORDS.get(int(nth[1]), word)
    return str(CARDINALS[word]) if word in CARDINALS else word
