"""The benchmark that learns the same games in several ways."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

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
        "way @ rate", "---", "before", "rft@0.0003", "rft+review@1e-3",
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
    before, read = capsys.readouterr().out.splitlines()[-2:]
    assert before.split("|")[2:] == read.split("|")[2:]
