from hypothesis import given
from hypothesis import strategies as st

from alive.corpus.clean import clean, has_lone_surrogates


def test_newlines_controls_and_blank_lines():
    text = "a\r\nb\rc\x0cd\u2028e\x00\x1b\x7f\x9ff \t\n\n\n\n\n\n\tg\x85h"
    assert clean(text) == "a\nb\nc\nd\nef\n\n\n\tg\nh"


def test_words_marks_and_indentation_stay():
    text = "  if x:\n\treturn <EF> \\mask{} \\boxed{3} <|im_start|>\u200b caf\u00e9 cafe\u0301"
    assert clean(text) == text


@given(st.text())
def test_cleaning_twice_changes_nothing_and_no_word_is_lost(text):
    once = clean(text)
    assert clean(once) == once
    assert "\n\n\n\n" not in once
    kept = [c for c in text if not c.isspace() and not (c < " " or "\x7f" <= c < "\xa0")]
    assert [c for c in once if not c.isspace()] == kept


def test_a_long_run_of_spaces_is_not_quadratic():
    assert clean(" " * 1_000_000 + "x") == " " * 1_000_000 + "x"


def test_lone_surrogates():
    assert has_lone_surrogates("a\ud800b")
    assert not has_lone_surrogates("a\U0001f600b")
