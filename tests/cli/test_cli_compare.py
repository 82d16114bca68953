"""``alive compare``: what it asks for, and which mistakes it tells before anything is trained."""

from __future__ import annotations

from typing import Any

import pytest

from alive import compare
from alive.cli import run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(
        compare, "compare", lambda comparison, _: found.append(comparison) or {"arms": {}}
    )
    return found


def test_a_comparison_is_what_was_asked_for(asked: list[Any], capsys) -> None:
    line = "compare --arms base,grpo,alive --ablate words --seeds 2 --seed 5 --out here --workers 3"
    line += " --budget-tokens 99 --train-on maths,code --rate grpo=1e-3 --suite seed-validation"
    assert run([*line.split(), "--limit", "7", "--set", "game.solutions_per_mask=4"]) == 0
    [one] = asked
    assert [arm.name for arm in one.arms] == ["base", "grpo", "alive", "alive-words"]
    assert list(one.seeds) == [5, 6]
    assert (one.budget, one.workers, one.rates) == (99, 3, {"grpo": 1e-3})
    assert one.corpora == [
        ("maths", "builtin:primer-maths"),
        ("code", "builtin:primer-code"),
    ]
    assert (one.measuring.suites, one.measuring.limit) == (("seed-validation",), 7)
    assert one.shared.game.solutions_per_mask == 4
    base, others = one.cells()
    assert len(base) == 2
    assert len(others) == 2 * 3 * 2
    assert {cell.rate for cell in others if cell.arm.name == "grpo"} == {1e-3}
    assert "here/compare.md" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--arms", "ppo"], "no arm named ppo"),
        (["--ablate", "everything"], "no arm named everything"),
        (["--train-on", "physics"], "no corpus named builtin:primer-physics"),
        (["--rate", "grpo"], "write it as ARM=RATE"),
        (["--rate", "ppo=1"], "arms are base, rft"),
        (["--rate", "grpo=fast"], "such as grpo=1e-4"),
        (["--steps", "3"], "by --budget-tokens, not by steps"),
        (["--suite", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--seeds", "0"], "0"),
    ],
)
def test_mistakes_are_told_first(asked: list[Any], capsys, more: list[str], said: str) -> None:
    assert run(["compare", "--out", "here", *more]) == 2
    assert said in capsys.readouterr().err
    assert not asked
