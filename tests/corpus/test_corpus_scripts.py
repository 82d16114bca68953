# ruff: noqa: RUF001
"""Case 18: leaks and duplicates in scripts without spaces, and in every form of Unicode."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alive.corpus.decontaminate import Decontaminator
from alive.corpus.dedupe import text_key

CHINESE = "小明有十二个苹果,又买了三十个,他现在一共有多少个苹果?"
THAI = "เมืองหลวงของประเทศไทยคืออะไร"
FRENCH = "Où est né l'écrivain célèbre du café français où l'on fête Noël à présent ?"


@pytest.mark.parametrize(
    ("question", "text", "seen"),
    [
        (CHINESE, f"前言。{CHINESE}后文。", True),
        (CHINESE, "前言 小明有十二个 苹果\n又买了三十个他现在一共有多少个苹果 后文", True),
        (CHINESE, "前言。十二个苹果，又买了三十个，他现在一共有多少？后文。", True),
        (CHINESE, "小明有十二个苹果，又买了两个。他现在一共有多少个梨？", False),
        ("中国的首都是哪里?", "他问:中国的首都是哪里呢", True),
        ("水的沸点?", "水的沸点是一百度", False),
        ("東京タワーの高さは何メートルですか。", "問:東京ﾀﾜｰの高さは何ﾒｰﾄﾙですか。", True),
        (THAI, f"ข้อ 1 {THAI} ตอบ", True),
        (THAI, "เมืองหลวงของประเทศลาวคืออะไร", False),
        ("ປະເທດລາວມີເມືອງຫຼວງຊື່ວ່າຫຍັງ", "ຖາມ:ປະເທດລາວມີເມືອງຫຼວງຊື່ວ່າຫຍັງ?", True),
        ("មជ្ឈមណ្ឌលរាជធានីនៃប្រទេសកម្ពុជា", "សួរ មជ្ឈមណ្ឌលរាជធានីនៃប្រទេសកម្ពុជា", True),
        (
            "대한민국의 수도는 어디이며 인구는 몇 명인가",
            "문: 대한민국의 수도는 어디이며 인구는 몇 명인가?",
            True,
        ),
        ("भारत की राजधानी कौन सी है", "प्रश्न: भारत की राजधानी कौन सी है?", True),
        ("भारत की राजधानी कौन सी है", "भारत का राजा कौन सा है", False),
        (FRENCH, FRENCH.upper(), True),
        (FRENCH, FRENCH.replace("café", "thé"), False),
        ("ＡＢＣ　ｄｅｆ ｇｈｉ ｊｋｌ ｍｎｏ", "abc DEF ghi jkl mno", True),
        ("the eﬃcient ﬁsh swims away", "THE EFFICIENT FISH SWIMS AWAY", True),
        ("zero width is no space here", "zero wi\u200bdth is no spa\u00adce here", True),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_case_18_leaks_are_seen_in_every_script_and_form(question, text, seen, form):
    for ours, theirs in ((question, normalize(form, text)), (normalize(form, question), text)):
        assert Decontaminator([ours], 13).contaminated(theirs) is seen


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_case_18_a_form_of_the_text_changes_nothing(question, text, form):
    suite = Decontaminator([question], 5)
    assert suite.contaminated(text) == suite.contaminated(normalize(form, text))
    long_enough = suite._grams
    assert not long_enough or suite.contaminated(f"{text} {normalize(form, question)}. {text}")


def test_duplicates_are_seen_in_every_form():
    assert text_key("Caf\u00e9 ABC") == text_key("cafe\u0301 \uff21\uff22\uff23")
