"""Spans in scripts that put no space between words."""

from __future__ import annotations

import pytest

from alive.roles.spans import candidates, occurrences
from alive.scripts import count_words

UNSPACED = {
    "zh": ("北京大学成立于1898年。学校最初名为《京师大学堂》,有14个学院。", "学院", {"14", "1898"}),
    "ja": (
        "東京タワーは1958年に完成し、「東京スカイツリー」より低い333メートル。",
        "東京",
        {"333"},
    ),
    "ko": ("서울은 대한민국의 수도이다. 한강이 흐르고 25개의 구가 있다.", "한강", {"25"}),
}


@pytest.mark.parametrize("script", UNSPACED)
def test_a_script_without_spaces_has_spans_to_hide(script: str) -> None:
    """No letter beside a word goes on with it there; in Latin and in numbers it does."""
    text, word, numbers = UNSPACED[script]
    assert len(occurrences(text, word)) == text.count(word) > 0
    found = set(candidates(text, 0))
    assert numbers <= found
    assert found & {"京师大学堂", "東京スカイツリー", "대한민국의"}
    assert all(occurrences(text, span) for span in found)
    assert occurrences("第128页", "28") == []
    assert occurrences("在Paris的3.28米", "28") == []
    assert occurrences("在Paris的3.28米", "Paris") == [(1, 6)]


def test_words_are_counted_in_any_script() -> None:
    assert [count_words(text) for text in ("a bc, d1", "北京大学", "北京大学 has 3", "")] == [
        3, 2, 4, 0,
    ]  # fmt: skip
