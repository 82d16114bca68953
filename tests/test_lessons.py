"""The benchmark that learns the same games in several ways."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from alive.prompts import make_renderer
from alive.types import Document, Episode, Task

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

SMALL = (
    *("--documents", "8", "--attempts", "4", "--reviews", "4", "--tokens", "48", "--lora", "0"),
    *("--updates", "2", "--batch", "4", "--held", "12"),
)


def test_every_way_learns_the_same_games_and_none_is_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import lessons

    def printed(*arguments: str) -> tuple[list[str], list[str]]:
        """The lines of the table, and the others."""
        line = ("lessons.py", "seed", "builtin:primer", str(tmp_path / "kept"), *SMALL, *arguments)
        monkeypatch.setattr(sys, "argv", [*line])
        lessons.main()
        lines = capsys.readouterr().out.splitlines()
        return [x for x in lines if x[0] == "|"], [x for x in lines if x[0] != "|"]

    first, notes = printed("--ways", "rft,rft+review@1e-3")
    games = tmp_path / "kept/seed-56/games.json"
    kept = games.read_bytes()
    assert [row.split("|")[1].strip() for row in first] == [
        "way @ rate", "---", "before", "rft@0.0003", "rft+review@0.001",
    ]  # fmt: skip
    assert any(note.startswith("  rft+review, seed 56, update 2") for note in notes)
    again, notes = printed("--ways", "rft,rft+review@1e-3,grpo")
    assert games.read_bytes() == kept
    assert not any(note.startswith("  rft") for note in notes)
    assert again[: len(first)] == first
    with pytest.raises(SystemExit, match="other settings"):
        printed("--updates", "3")


def test_a_way_that_learns_nothing_leaves_the_model_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import lessons

    # No text of the primer goes on after a question, so there is nothing to read.
    line = ("lessons.py", "seed", "builtin:primer", str(tmp_path), *SMALL, "--ways", "read")
    monkeypatch.setattr(sys, "argv", [*line])
    lessons.main()
    printed = capsys.readouterr().out
    assert "update" not in printed
    before, read = printed.splitlines()[-2:]
    assert before.split("|")[2:] == read.split("|")[2:]


def test_what_follows_a_question_is_read_once_with_its_answer_in_a_box(seed_tokenizer) -> None:
    import lessons

    question = "What is 2 + 2?"
    document = Document("d", f"{question}\n\nIt is four.\n#### 4", "test", asked=len(question))
    asked = Task("t", "d", question, "4", "random")
    hidden = Task("u", "d", f"{question} It is [MASK].", "four", "random")
    renderer = make_renderer(seed_tokenizer)
    [record] = lessons.read(Episode(0, document, (asked, hidden), ((), ()), ((), ())), renderer)
    assert record.prompt_ids == renderer.solve(asked.passage, None).ids
    assert renderer.decode(record.completion_ids) == "It is four.\n#### 4\n\\boxed{4}"


@pytest.mark.parametrize(("way", "why"), [("rtf", "no way 'rtf'"), ("review+empty", "at a time")])
def test_ways_that_cannot_be_learned_are_refused(way: str, why: str) -> None:
    import lessons

    with pytest.raises(SystemExit, match=why):
        lessons.named(way, 1e-3)
