"""A whole comparison on a tiny model, and that what is done is not done again."""

from __future__ import annotations

import io
import json
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from alive.cli import group
from alive.compare import Comparison, cells, chosen_arms, compare, merge
from alive.compare.measures import Measuring
from alive.config import LogConfig
from alive.engines.local import LocalPolicy
from alive.errors import CorpusError, RunError, UserError
from alive.settings import build_config


@pytest.fixture(scope="module")
def comparison(toy_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("compare")
    shared = build_config(
        [
            (
                "test",
                {
                    "model": {"id": str(toy_world / "model"), "dtype": "float32"},
                    "corpus": {
                        "paths": [str(toy_world / "corpus.jsonl")],
                        "validation_share": 0.1,
                    },
                    "game": {
                        "masks_per_document": 2,
                        "solutions_per_mask": 4,
                    },
                    "sampling": {"pose_tokens": 6, "solve_tokens": 12, "review_tokens": 40},
                    "learn": {"learning_rate": 1e-4},
                    "warmup": {"steps": 1},
                    "log": {"to": "tensorboard"},
                },
            )
        ]
    )
    return Comparison(
        arms=chosen_arms("base,rft,grpo,alive", "", shared),
        shared=shared,
        corpora=[("all", "")],
        seeds=(0,),
        budget=4000,
        rates={"grpo": 1e-3},
        measuring=Measuring((str(toy_world / "birds.jsonl"),), 4, 2, 2, 4),
        out=folder / "out",
        workers=2,
    )


def do(comparison: Comparison) -> str:
    shown = io.StringIO()
    compare(comparison, Console(file=shown, width=120))
    return shown.getvalue()


def test_arms_are_trained_alike_measured_alike_and_only_once(comparison: Comparison) -> None:
    shown = do(comparison)
    assert "3/3" in shown
    out = comparison.out
    found = json.loads((out / "compare.json").read_text())
    assert set(found["arms"]) == {"base", "rft", "grpo", "alive"}
    for name in ("rft", "grpo", "alive"):
        spent = found["arms"][name]["pooled"]["tokens"]
        assert spent >= 4000
        config = json.loads((out / f"cells/{name}/all/seed-0/run/config.json").read_text())
        assert config["learn"]["learning_rate"] == (1e-3 if name == "grpo" else 1e-4)
        assert list((out / f"cells/{name}/all/seed-0/run/tensorboard").iterdir())
    cells = {
        name: json.loads((out / f"cells/{name}/all/seed-0/measured.json").read_text())
        for name in found["arms"]
    }
    # The same problems, and every reviewer judges the base model's attempts.
    assert len({tuple(row["id"] for row in cell["rows"]) for cell in cells.values()}) == 1
    assert all(cell["frozen"] == cells["base"]["frozen"] for cell in cells.values())
    assert {"base", "rft", "grpo"} == set(found["differences"])
    assert all("after self-correction" in one for one in found["differences"].values())
    text = (out / "compare.md").read_text()
    assert "`alive` minus each other arm" in text
    assert "| in-domain, sampled | " in text
    assert "out of domain" not in text
    assert (out / "compare.png").stat().st_size > 1000
    before = {path: path.stat().st_mtime_ns for path in out.glob("cells/**/measured.json")}
    assert do(comparison) == ""  # nothing was left to do
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert json.loads((out / "compare.json").read_text()) == found


def part(comparison: Comparison, folder: Path, *arms: str) -> Path:
    """A folder as a machine leaves it that did the base model and some of the arms."""
    for name in ("settings.json", *(f"cells/{arm}/all/seed-0/measured.json" for arm in arms)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(comparison.out / name, folder / name)
    return folder


def test_parts_that_several_machines_did_are_the_whole(
    comparison: Comparison, tmp_path: Path
) -> None:
    do(comparison)
    first = part(comparison, tmp_path / "a", "base", "rft")
    second = part(comparison, tmp_path / "b", "base", "grpo", "alive")
    own = second / "cells/base/all/seed-0/measured.json"
    own.write_text(own.read_text() + " ")  # another machine's figures
    shown = io.StringIO()
    merged = merge([first, second], tmp_path / "c", Console(file=shown, width=200))
    whole = json.loads((comparison.out / "compare.json").read_text())
    assert shown.getvalue() == f"{own}: measured before; the first is kept\n"
    assert merged["arms"] == whole["arms"]
    assert merged["differences"] == whole["differences"]
    assert list(merged["arms"]) == list(whole["arms"])
    told = CliRunner().invoke(
        group, ["compare", "--merge", str(first), str(second), "--out", str(tmp_path / "d")]
    )
    assert told.exit_code == 0, told.output
    for out in ("c", "d"):
        assert json.loads((tmp_path / out / "compare.json").read_text())["arms"] == whole["arms"]


def test_parts_of_different_comparisons_are_not_merged(
    comparison: Comparison, tmp_path: Path
) -> None:
    do(comparison)
    first = part(comparison, tmp_path / "a", "base", "rft")
    second = part(comparison, tmp_path / "b", "base")
    settings = json.loads((second / "settings.json").read_text())
    settings["shared"]["seed"] = 5
    (second / "settings.json").write_text(json.dumps(settings))
    with pytest.raises(RunError, match=r"b holds another comparison than .*a: shared\.seed differ"):
        merge([first, second], tmp_path / "c", Console())
    with pytest.raises(RunError, match="holds no comparison"):
        merge([first, tmp_path], tmp_path / "c", Console())
    with pytest.raises(RunError, match="none of the folders holds the base model"):
        merge([part(comparison, tmp_path / "d", "rft")], tmp_path / "e", Console())


def test_a_cell_of_another_rate_is_not_taken_for_this_one(comparison: Comparison) -> None:
    do(comparison)
    with pytest.raises(RunError, match=r"grpo.*another learning rate \(0\.001, .*now \(0\.002\)"):
        do(replace(comparison, rates={"grpo": 2e-3}))


def test_no_run_reads_what_it_is_measured_on(comparison: Comparison, tmp_path: Path) -> None:
    suite = tmp_path / "leaked.jsonl"
    lines = Path(comparison.shared.corpus.paths[0]).read_text().splitlines()
    read = [json.loads(line)["text"] for line in lines]
    asked = [json.dumps({"question": text, "answer": "7"}) + "\n" for text in read]
    suite.write_text("".join(asked))
    other = replace(
        comparison,
        arms=chosen_arms("rft", "", comparison.shared),
        measuring=replace(comparison.measuring, suites=(str(suite),)),
        out=tmp_path / "out",
    )
    with pytest.raises(CorpusError, match=r"[1-9]\d* shared with a suite"):
        do(other)


def test_where_to_log_is_no_part_of_what_is_compared(comparison: Comparison) -> None:
    elsewhere = comparison.shared.model_copy(update={"log": LogConfig()})
    assert replace(comparison, shared=elsewhere).identity == comparison.identity
    seed = comparison.shared.model_copy(update={"seed": 1})
    assert replace(comparison, shared=seed).identity != comparison.identity


def test_what_logging_needs_is_asked_for_first(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    shared = comparison.shared.model_copy(update={"log": LogConfig(to=("wandb",))})
    with pytest.raises(UserError, match=r"alive-rl\[wandb\]"):
        do(replace(comparison, out=tmp_path / "out", shared=shared))
    assert not (tmp_path / "out").exists()


def test_a_folder_holds_one_comparison(comparison: Comparison, tmp_path: Path) -> None:
    other = replace(comparison, out=tmp_path, arms=chosen_arms("base", "", comparison.shared))
    do(other)
    with pytest.raises(RunError, match="other settings"):
        do(replace(other, budget=4001))


def test_at_its_time_limit_it_leaves_what_is_done_and_goes_on_the_next_time(
    comparison: Comparison, tmp_path: Path
) -> None:
    """Without the base model's attempts nobody is measured; with them alone there is a report."""
    late = replace(
        comparison,
        out=tmp_path / "out",
        arms=chosen_arms("rft", "", comparison.shared),
        minutes=1e-9,
    )
    said = "time is up: {} of 2 cells are done; the same command goes on\n"
    assert do(late) == said.format(0)
    assert not (late.out / "compare.json").exists()
    do(replace(late, arms=chosen_arms("base", "", comparison.shared), minutes=0.0))
    assert do(late) == said.format(1)
    assert list(json.loads((late.out / "compare.json").read_text())["arms"]) == ["base"]


def test_a_cell_whose_time_is_up_is_saved_and_goes_on(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timer goes off in the midst of its third step, and of its second after that."""
    ends = iter([3, 2])
    left = 0

    def alarm(which: int, seconds: float) -> None:
        nonlocal left
        if seconds:
            left = next(ends)

    def update(policy: LocalPolicy, *given: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if not left:
            signal.raise_signal(signal.SIGALRM)
        return learn(policy, *given, **named)

    learn = LocalPolicy.update
    monkeypatch.setattr(signal, "setitimer", alarm)
    monkeypatch.setattr(LocalPolicy, "update", update)
    other = replace(
        comparison, out=tmp_path / "out", arms=chosen_arms("rft", "", comparison.shared)
    )
    _, [cell] = replace(other, budget=10**8).cells()
    shared = other.shared.model_dump(mode="json")
    answers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)
    for done in (2, 3):
        assert not cells.do(cell, shared, other.measuring, "", until=1e12)
        lines = (Path(cell.folder) / "run/metrics.jsonl").read_text().splitlines()
        assert len(lines) == done
        assert cell.measured is None
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)) == answers
