import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alive.corpus import chunk as chunking
from alive.corpus.chunk import chunk, cut


def by_words(text):
    """Counts words and newlines: about what a tokenizer with whitespace tokens does."""
    return len(re.findall(r"\S+|\n", text))


def by_letters(text):
    return len(text)


def awkward(text):
    """Counts more for a text than for its parts, as merges across a boundary can."""
    return len(text) + len(text) // 7


def ink(text):
    return "".join(text.split())


TEXTS = st.text(alphabet=st.sampled_from(list("ab. \n\t!?\u3002\u00e9\U0001f600")), max_size=400)


@given(TEXTS, st.integers(8, 40), st.sampled_from([by_words, by_letters, awkward]))
def test_slices_join_to_the_text_and_fit(text, limit, count):
    slices = list(cut(text, limit, count))
    assert "".join(slices) == text
    assert all(count(piece.strip("\n").rstrip()) <= limit for piece in slices)


@given(st.lists(TEXTS, max_size=5), st.integers(8, 40), st.integers(4, 50))
def test_chunks_lose_only_whitespace_however_the_blocks_fall(blocks, limit, window):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunking, "WINDOW", window)
        chunks = list(chunk(blocks, limit, by_letters))
    assert ink("".join(chunks)) == ink("".join(blocks))
    assert all(0 < by_letters(piece) <= limit for piece in chunks)


def test_blocks_never_join_words():
    words = [f"w{index}" for index in range(20_000)]
    text = " ".join(words)
    blocks = [text[at : at + 777] for at in range(0, len(text), 777)]
    assert " ".join(chunk(blocks, 50, by_words)).split() == words


def test_paragraphs_stay_whole_where_they_fit():
    text = "One two three.\nFour five.\n\nSix seven eight nine.\n\nTen."
    assert list(chunk([text], 9, by_words)) == [
        "One two three.\nFour five.",
        "Six seven eight nine.\n\nTen.",
    ]


def test_a_long_paragraph_is_cut_at_sentences():
    text = 'One two three. Four "five six." Seven eight nine! Ten?'
    assert list(chunk([text], 6, by_words)) == [
        'One two three. Four "five six."',
        "Seven eight nine! Ten?",
    ]


def test_a_long_line_is_cut_at_words_and_a_long_word_inside():
    chunks = list(chunk(["alpha beta gamma " + "x" * 45], 20, by_letters))
    assert chunks[0] == "alpha beta gamma"
    assert "".join(chunks[1:]) == "x" * 45
    assert max(map(len, chunks)) <= 20


def test_a_single_character_is_never_cut():
    assert list(chunk(["\U0001f600\U0001f600"], 1, lambda text: 4 * len(text))) == [
        "\U0001f600",
        "\U0001f600",
    ]


def test_indentation_of_the_first_line_stays():
    assert list(chunk(["\n  \n    return x\n\n"], 9, by_words)) == ["    return x"]


@pytest.mark.parametrize("kind", ["words", "one word", "dots", "lines", "spaces"])
def test_counting_is_linear(kind):
    rng = random.Random(0)
    size = 400_000
    text = {
        "words": " ".join("x" * rng.randint(1, 9) for _ in range(size // 6)),
        "one word": "x" * size,
        "dots": "." * size,
        "lines": "a line\n" * (size // 7),
        "spaces": "a" + " " * size + "b",
    }[kind]
    counted = 0

    def count(piece):
        nonlocal counted
        counted += len(piece)
        return len(piece) // 4

    blocks = [text[at : at + 5000] for at in range(0, len(text), 5000)]
    chunks = list(chunk(blocks, 256, count))
    assert ink("".join(chunks)) == ink(text)
    assert counted < 12 * size
