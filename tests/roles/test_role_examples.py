"""Outputs of examples as spans: which are worth hiding, and that the gate takes them."""

import pytest

from alive.config import GameConfig
from alive.roles.examples import outputs
from alive.roles.gate import invalid_reason, mask, random_spans
from alive.roles.spans import candidates, span_type
from alive.types import MASK, Document

SESSION = """\
heapq.nsmallest(n, iterable)

Find the n smallest elements in a dataset, in ascending order.

>>> nsmallest(2, [7, 4, 9])
[4, 7]
>>> words = ['pear', 'fig', 'plum', 'quince', 'apple']
>>> nsmallest(1, words, key=len)
['fig']
>>> ' and '.join(nsmallest(2, words))
'apple and fig'
>>> sum(nsmallest(2, [10, 20, 31]))
30
"""


def test_one_line_outputs_are_found_in_order():
    assert outputs(SESSION) == ("[4, 7]", "['fig']", "'apple and fig'", "30")


@pytest.mark.parametrize(
    ("example", "found"),
    [
        (">>> 6 * 7\n42", ("42",)),
        ("    >>> 6 * 7  # the question\n    42\n\nprose 43", ("42",)),
        (">>> for i in range(2):\n...     print(i + 5)\n5\n6", ()),  # two lines
        (">>> 1 / 0\nTraceback (most recent call last):\n  ...\nZeroDivisionError: no", ()),
        (">>> object()\n<object object at 0x7f3e5c0b2a90>", ()),
        (">>> list(range(99))\n[0, 1, ..., 98]", ()),
        (">>> 2 > 1\nTrue", ()),
        (">>> x = 4", ()),
        (">>> 'word'\n'word'", ()),  # prints its own input
        (">>> print('word')\nword", ()),
        (">>> Decimal('1.50')\nDecimal('1.50')", ()),
        (">>> '='\n'='", ()),
        (">>> f(13)\n3", ("3",)),  # a 3 that is another number's digit
        (">>> a()\n7\n>>> b()\n7", ("7",)),
        (">>>no space\n", ()),  # no example, whatever it looks like
        (">>> broken\n  >>>really\n", ()),
        ("no example", ()),
    ],
)
def test_what_the_code_does_not_decide_is_left_out(example, found):
    assert outputs(example) == found


def test_outputs_are_spans_of_a_type_of_their_own():
    assert span_type(SESSION, "30") == "output" and span_type(SESSION, "31") == "number"
    assert span_type("30 of them", "30") == "number"
    found = list(candidates(SESSION, 5))
    assert {"[4, 7]", "['fig']", "'apple and fig'", "30"} <= set(found)
    assert len(found) == len(set(found))
    assert [span_type(SESSION, span) for span in found[:3]] == ["output", "number", "term"]


def test_an_output_that_stands_in_code_too_is_no_candidate():
    text = ">>> f('a')\n5\n>>> g(5) + 1\n12\n\nNothing more is said about any of it here."
    assert outputs(text) == ("5", "12")
    assert next(candidates(text, 0)) == "12"


def test_the_gate_takes_outputs_and_refuses_what_the_text_still_says():
    document = Document("d", SESSION, "test")
    game = GameConfig()
    reasons = {span: invalid_reason(document, span, game, ()) for span in outputs(SESSION)}
    # Of all the words only this one is the shortest, but it stands among them.
    assert reasons.pop("['fig']") == "still in the text"
    assert reasons == {"[4, 7]": None, "'apple and fig'": None, "30": None}
    assert set(reasons) <= set(random_spans(document, game, (), 1))
    shown = mask(SESSION, "[4, 7]")
    assert f"[7, 4, 9])\n{MASK}\n" in shown and "[4, 7]" not in shown
    told = Document("d", SESSION + "\nThe first one prints 4, 7 and the second a fruit.\n", "test")
    assert invalid_reason(told, "[4, 7]", game, ()) == "still in the text"
