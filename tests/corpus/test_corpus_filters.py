import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from alive.corpus.decontaminate import Decontaminator
from alive.corpus.dedupe import KeySet, text_key
from alive.corpus.split import split_of


def test_text_key_ignores_case_and_layout_only():
    assert text_key("A  b\n c ") == text_key("a b c")
    assert text_key("a b c") != text_key("ab c")
    assert text_key("a b c") != text_key("a b c.")


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3)))
def test_key_set_is_a_set(keys):
    seen, model = KeySet(), set()
    for key in keys:
        # 0 marks an empty slot and shares its place with 1.
        assert seen.add(key) == ((key or 1) not in model)
        model.add(key or 1)
    assert len(seen) == len(model)


def test_key_set_grows_and_copies():
    rng = random.Random(1)
    keys = [rng.getrandbits(64) for _ in range(20_000)]
    seen = KeySet()
    assert all(seen.add(key) for key in keys)
    other = seen.copy()
    assert not any(seen.add(key) for key in keys)
    assert other.add(7) and seen.add(7)
    assert seen._slots.itemsize * len(seen._slots) <= 24 * len(keys)


SUITE = "Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning, and bakes."


def words(text):
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


def test_thirteen_words_in_a_row_are_a_leak_and_twelve_are_not():
    suite = Decontaminator([SUITE], 13)
    run = words(SUITE)
    assert suite.contaminated(f"Once: {' -- '.join(run[2:15]).upper()} there.")
    assert not suite.contaminated(f"Once: {' '.join(run[2:14])} there {' '.join(run[14:])}")


def test_short_items_count_whole_from_five_words():
    suite = Decontaminator(["What is 3 plus 4?", "Four words are nothing"], 13)
    assert suite.contaminated("He asked: what is 3 plus 4, then?")
    assert not suite.contaminated("What is 3 plus 5? four words are nothing")
    assert not Decontaminator([], 13).contaminated(SUITE)


def test_ngrams_below_five_words_are_possible():
    assert Decontaminator(["red green"], 2).contaminated("a red, green b")
    assert not Decontaminator(["red green"], 2).contaminated("a green red b")


@given(
    st.lists(st.lists(st.sampled_from("abc"), max_size=12).map(" ".join), max_size=3),
    st.lists(st.sampled_from("abc"), max_size=30).map(" ".join),
    st.integers(1, 8),
)
def test_agrees_with_the_definition(suites, text, ngram):
    expected = False
    for item in suites:
        size = min(ngram, len(item.split()))
        if size >= min(5, ngram):
            padded = f" {text} "
            split = item.split()
            grams = (split[at : at + size] for at in range(len(split) - size + 1))
            expected |= any(f" {' '.join(gram)} " in padded for gram in grams)
    assert Decontaminator(suites, ngram).contaminated(text) == expected


def test_split_is_by_name_and_near_its_share():
    splits = [split_of(f"folder/file.jsonl:{row}", 0.1) for row in range(10_000)]
    assert splits == [split_of(f"folder/file.jsonl:{row}", 0.1) for row in range(10_000)]
    assert 900 < Counter(splits)["validation"] < 1100
    assert {split_of(str(row), 0.0) for row in range(99)} == {"train"}
    assert {split_of(str(row), 1.0) for row in range(99)} == {"validation"}
