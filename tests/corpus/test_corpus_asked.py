"""Which part of a document asks for the rest, in rows and in plain text."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from alive.config import CorpusConfig
from alive.corpus import open_corpus
from alive.corpus.asked import asked_length
from alive.corpus.columns import source_of


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("How many pens are there?\n\nThere are 7.", "How many pens are there?"),
        ("Ann has 3 pens.\nHow many has she?\nShe has 3.", "Ann has 3 pens.\nHow many has she?"),
        ('He said, "How many?"  \nThere are 7.', 'He said, "How many?"'),
        ("Ann has 3 pens.\n\nHow many has she?\n\nShe has 3.", ""),  # not at its beginning
        ("How many pens are there? There are 7 of them in a box.", ""),  # no line of its own
        ("How many pens are there?\n\n  \n", ""),  # nothing answers
        ("How many?\nOr how few?\n7.", "How many?"),  # up to the first
        ("There are 7 pens.", ""),
        ("", ""),
    ],
)
def test_a_text_asks_what_it_opens_with(text: str, asked: str) -> None:
    assert text[: asked_length(text, "")] == asked


def test_a_source_tells_what_asks() -> None:
    text = "Find x.\n\nIt is 7. Is it?\nYes."
    assert asked_length(text, "Find x.") == len("Find x.")
    assert asked_length(text, "Find x.\r\n") == len("Find x.")
    assert asked_length("It is 7.", "Find x.") == 0  # a later chunk
    assert asked_length("Find x.", "Find x.") == 0  # the answer is in the next one


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        ({"question": "Find x.", "answer": "7"}, "Find x."),
        ({"problem": "Find x.", "answer": "7"}, "Find x."),
        ({"problem": "Find x.", "solution": "It is 7.", "answer": "7"}, "Find x."),
        ({"instruction": "Add.", "input": "3, 4", "output": "7"}, "Add.\n\n3, 4"),
        ({"instruction": "Add 3, 4.", "input": "", "output": "7"}, "Add 3, 4."),
        ({"question": "", "answer": "7 it is"}, ""),
        ({"text": "It is 7."}, ""),
        (
            {
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "Find x."},
                    {"role": "assistant", "content": "It is 7."},
                ]
            },
            "Find x.",
        ),
        ({"messages": [{"role": "user", "content": str(i)} for i in range(4)]}, ""),
        ("It is 7.", ""),
    ],
)
def test_a_row_asks_with_all_but_its_last_part(row: object, asked: str) -> None:
    assert source_of(row, "here:1", "here/1").asked == asked


def test_documents_carry_what_they_ask(tmp_path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        json.dumps({"question": "Find the value of x here.", "answer": "It is 7 or so. " * 9})
        + "\n"
    )
    (tmp_path / "note.txt").write_text("How many pens has Ann in her box?\nShe has 7 or 8 of them.")
    config = CorpusConfig(paths=(str(tmp_path),), chunk_tokens=20, validation_share=0.0)
    corpus = open_corpus(config, lambda text: len(text.split()), (), 0)
    documents = list(islice(corpus.documents("train"), 4))
    asked = sorted(d.text[: d.asked] for d in documents)
    assert asked == ["", "", "Find the value of x here.", "How many pens has Ann in her box?"]
