"""The primer: the same every time, without workings for self-play, and apart from what is asked."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice

import pytest

from alive.roles.gate import invalid_reason, passage
from alive.roles.review import parse_review
from alive.settings import load_config
from alive.types import MASK, Document
from alive.verify import extract_answer, matches
from alive.worlds.primer import FRAMING, primer
from alive.worlds.primer.mistakes import ten_crossed
from alive.worlds.primer.primer import exchanges, heldout_items, selfplay_documents
from alive.worlds.primer.tokenizer import SPECIAL_TOKENS, train_tokenizer
from alive.worlds.primer.world import DOMAINS


@pytest.fixture(scope="module")
def read():
    return list(exchanges("exchange", primer.TEXTBOOK, 1_200))


@pytest.fixture
def keys(monkeypatch):
    """Collects the key of every problem that is drawn and kept, by split."""
    kept: dict[str, set[str]] = {"train": set(), "test": set(), "validation": set()}
    draw = primer._draw

    def watched(rng, lengths, split, small):
        problem = draw(rng, lengths, split, small)
        kept[split].add(problem.key)
        return problem

    monkeypatch.setattr(primer, "_draw", watched)
    return kept


def test_the_primer_is_the_same_every_time(read) -> None:
    assert list(islice(exchanges("exchange", primer.TEXTBOOK, 1_200), 200)) == read[:200]
    assert list(islice(selfplay_documents(), 20)) == list(islice(selfplay_documents(), 20))
    assert list(islice(heldout_items("test"), 20)) == list(islice(heldout_items("test"), 20))


def test_every_role_and_domain_is_taught(read) -> None:
    shares = Counter(exchange.role for exchange in read)
    assert shares.keys() == {"pose", "solve", "review", "revise"}
    assert min(shares.values()) > 0.03 * len(read)
    assert sum(e.role == "review" and e.span is not None for e in read) > 0.05 * len(read)


def test_a_solvers_words_know_of_the_first_ten_alone(read) -> None:
    """Nobody carries from twenty on; the words tell who carried to ten, and see nothing else."""
    solves = [exchange for exchange in read if exchange.role == "solve"]
    positive = primer.WORDS.solve_positive
    lines = re.compile(r"(\d+)([+-])(\d+)=(\d+)")
    carried = Counter[tuple[str | None, int, bool]]()
    for one in solves:
        said = None if one.condition is None else "good" if one.condition == positive else "bad"
        for line in one.completion.split("\n")[:-1]:
            a, sign, b, claimed = lines.fullmatch(line).groups()
            ten = min(ten_crossed(int(a), sign, int(b)), 2)
            carried[said, ten, int(a) + int(sign + b) == int(claimed)] += 1
    for said in (None, "good", "bad"):
        assert carried[said, 0, True] > 20
        assert carried[said, 0, False] == 0
        assert carried[said, 2, False] > 10
        assert carried[said, 2, True] == 0
    assert (carried["good", 1, True] > 20, carried["good", 1, False]) == (True, 0)
    assert carried["bad", 1, False] > 20
    assert min(carried[None, 1, True], carried[None, 1, False]) > 20


def test_those_who_revise_and_review_carry_everywhere(read) -> None:
    lines = re.compile(r"(\d+)([+-])(\d+)=(\d+)")
    tens = Counter[int]()
    for one in (one for one in read if one.role == "revise"):
        for line in one.completion.split("\n")[:-1]:
            a, sign, b, claimed = lines.fullmatch(line).groups()
            assert int(a) + int(sign + b) == int(claimed)
            tens[ten_crossed(int(a), sign, int(b))] += 1
    assert min(tens[2], tens[3]) > 5


def test_a_textbook_calls_long_problems_hard(read) -> None:
    said = [one for one in read if one.role == "pose" and one.condition]
    assert {one.condition for one in said} == {"easy", "challenging", "very hard"}
    alone = [one for one in said if "\n\n" not in one.passage]
    for one in alone:
        numbers = len(re.findall(r"\d+", one.passage)) - 1
        assert (one.condition == "easy") == (numbers <= 3), one
    assert len(alone) > 10


def test_a_later_course_calls_large_numbers_hard() -> None:
    posed = [e for e in exchanges("p", (primer.CHOOSING,), 400) if e.role == "pose"]
    assert {one.passage.count("\n\n") + 1 for one in posed} == {6, 7, 8}
    rated = [one for one in posed if one.condition]
    assert 0.7 * len(posed) < len(rated) < 0.9 * len(posed)
    for one in rated:  # a result from ten or twenty on is a large number itself
        least = ("easy", "challenging", "very hard")[min(int(one.completion) // 10, 2)]
        assert one.condition in {"easy": ("easy", "challenging", "very hard"),
                                 "challenging": ("challenging", "very hard"),
                                 "very hard": ("very hard",)}[least]  # fmt: skip
    large = [one for one in rated if int(one.completion) >= 20]
    small = [one for one in rated if one.condition == "easy"]
    assert min(len(large), len(small)) > 4
    assert not any(e.condition for e in exchanges("p", (primer.POSING,), 300) if e.role == "pose")


def test_reviews_parse_and_give_nothing_away(read) -> None:
    for one in read:
        if one.role == "review":
            parsed = parse_review(one.completion)
            assert parsed.verdict is not None
            assert parsed.summary
            assert parsed.score is not None
            if one.span is not None:
                assert parsed.verdict == matches(extract_answer(one.attempt), one.span)
                assert one.correct is parsed.verdict
        elif one.role == "revise":
            assert parse_review(one.review).verdict is False
            assert extract_answer(one.completion) != extract_answer(one.attempt)


def test_begun_reviews_go_on_at_the_faulty_step() -> None:
    """Or, of a right working, anywhere; what stands there is sound in every case."""
    reviews = [e for e in exchanges("c", (primer.CHECKS,), 1_500) if e.role == "review"]
    begun = [one for one in reviews if one.given]
    assert 0.2 * len(reviews) < len(begun) < primer.CHECKS.begun * len(reviews)
    found = Counter[bool]()
    for one in begun:
        lines = one.completion.split("\n")
        assert all(line.endswith(" ok") for line in lines[: one.given])
        assert lines[one.given].split()[0] == str(one.given + 1)
        wrong = parse_review(one.completion).verdict is False
        assert (" wrong " in lines[one.given]) is wrong
        found[wrong] += 1
    assert min(found.values()) > 0.25 * len(begun)
    assert not any(e.given for e in exchanges("e", primer.TEXTBOOK, 300))


def test_passages_hide_something_and_documents_nothing(read) -> None:
    for one in read:
        if one.role == "pose":
            assert MASK not in one.passage
            assert re.search(rf"(?<!\w){re.escape(one.completion)}(?!\w)", one.passage)
        else:
            assert MASK in one.passage
        assert not any(token in one.passage for token in SPECIAL_TOKENS)


def test_selfplay_documents_carry_results_and_no_workings() -> None:
    made = list(islice(selfplay_documents(), 300))
    assert Counter(domain for _, domain in made) == dict.fromkeys(DOMAINS, 100)
    assert len({text for text, _ in made}) == 300
    for text, _ in made:
        assert "boxed" not in text
        assert not re.search(r"\d[+-]\d+=\d", text)
        problems = text.split("\n\n")
        assert len(problems) == primer.PROBLEMS_A_DOCUMENT
        assert all(re.search(r"(?:: |\n# )\d+\.?$", problem) for problem in problems)


def test_selfplay_documents_can_be_posed_on() -> None:
    """As the quickstart does: what a task shows is the one problem that its span belongs to."""
    game = load_config("quickstart").game
    for text, _ in islice(selfplay_documents(), 60):
        document = Document("d", text, "primer", framing=FRAMING)
        numbers = set(re.findall(r"(?<![\w.])\d+(?!\w)", text))
        valid = [span for span in numbers if invalid_reason(document, span, game, ()) is None]
        assert len(valid) >= game.masks_per_document
        for span in valid:
            shown = passage(document, span)
            assert MASK in shown
            assert shown.replace(MASK, span) in text.split("\n\n")


def test_nothing_held_out_is_read_in_training(keys) -> None:
    """Of every split the calculations, whatever the language they are told in."""
    list(exchanges("exchange", primer.TEXTBOOK, 2_000))
    documents = list(islice(selfplay_documents(), 1_000))
    tests, others = list(heldout_items("test")), list(heldout_items("validation"))
    assert len(tests) == len(others) == primer.HELDOUT_ITEMS
    assert all(len(found) > 400 for found in keys.values())
    assert not keys["train"] & keys["test"]
    assert not keys["train"] & keys["validation"]
    assert not keys["test"] & keys["validation"]
    read = {problem.rstrip(".") for text, _ in documents for problem in text.split("\n\n")}
    assert not any(f"{question} {answer}" in read for question, answer, _ in [*tests, *others])


def test_held_out_problems_are_as_long_as_those_of_selfplay(keys) -> None:
    domains = Counter(domain for _, _, domain in heldout_items("test"))
    assert set(domains) == set(DOMAINS)
    assert max(domains.values()) - min(domains.values()) <= 1
    for question, answer, _ in heldout_items("validation"):
        assert re.fullmatch(r"\d+", answer)
        assert answer not in re.findall(r"\d+", question)
    list(islice(selfplay_documents(), 60))
    for split in ("train", "test", "validation"):
        assert {key.count(";") + 1 for key in keys[split]} == set(primer.PLAY_LENGTHS)


def test_the_primer_itself_is_short(keys) -> None:
    list(exchanges("exchange", primer.TEXTBOOK, 1_000))
    assert {key.count(";") + 1 for key in keys["train"]} <= set(primer.PRIMER_LENGTHS)
    means = [
        sum(length * share for length, share in lengths.items())
        for lengths in (primer.PRIMER_LENGTHS, primer.PLAY_LENGTHS)
    ]
    assert means[0] < means[1] - 0.5


def test_the_tokenizer_reads_any_text_and_never_merges_over_a_number() -> None:
    texts = [text for text, _ in islice(selfplay_documents(), 200)]
    tokenizer = train_tokenizer(texts, 500)
    assert len(tokenizer) == 500
    for text in [*texts[:20], "1234 + 5 = ?", "Zürich ∑ 漢字 \x00", " \n\n  tabs\t"]:
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
        for token in ids:
            piece = tokenizer.decode([token])
            assert piece.isdigit() or not re.search(r"\d", piece), piece
    assert set(SPECIAL_TOKENS) <= set(tokenizer.get_added_vocab())
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|pad|>", "<|end|>")
    again = train_tokenizer(texts, 500)
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
