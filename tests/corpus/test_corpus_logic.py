"""``builtin:logic``: puzzles that ask and answer, apart from the suites of the same sets."""

from __future__ import annotations

import builtins
from collections import Counter

import pytest

from alive.config import CorpusConfig, GameConfig
from alive.corpus import logic, open_corpus
from alive.errors import CorpusError
from alive.evaluation.gym import gym_items
from alive.roles.gate import invalid_reason
from alive.roles.questions import answer

pytest.importorskip("reasoning_gym")


@pytest.fixture(scope="module")
def documents():
    config = CorpusConfig(paths=("builtin:logic",), chunk_tokens=512)
    corpus = open_corpus(config, lambda text: len(text) // 4, [], 0)
    train = corpus.documents("train")
    return [next(train) for _ in range(350)]


def test_every_set_asks_and_its_answer_is_a_task(documents) -> None:
    assert set(Counter(document.domain for document in documents)) == set(logic.SETS)
    valid = Counter(
        document.domain
        for document in documents
        if answer(document) and invalid_reason(document, answer(document), GameConfig(), ()) is None
    )
    # A number that the puzzle states as well is no task; words may be one of its choices.
    assert all(valid[name] >= 20 for name in logic.SETS), valid


def test_no_puzzle_twice_and_always_the_same() -> None:
    found = list(logic.puzzles())
    assert len({puzzle.question for puzzle in found}) == len(found) > 1_400
    assert found[:20] == [puzzle for puzzle, _ in zip(logic.puzzles(), range(20), strict=False)]


@pytest.mark.parametrize("name", ["family_relationships", "knights_knaves"])
def test_the_suites_ask_other_puzzles(name: str) -> None:
    suite = {question for question, _ in gym_items(name, 100, 0)[0]}
    assert not suite & {puzzle.question for puzzle in logic.puzzles()}


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *rest):
        if name == "reasoning_gym":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(CorpusError, match=r"pip install 'alive-rl\[gym\]'"):
        next(logic.puzzles())
