"""A second world goes through all four doors, and the core never heard of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import toy
from toy_world import MARKER, make_world

from alive import doors
from alive.cli import run
from alive.config import Config, CorpusConfig
from alive.corpus import open_corpus
from alive.doors import World
from alive.errors import CorpusError, ModelError, SuiteError
from alive.evaluation import load_suite
from alive.prompts import make_renderer
from alive.report.verdicts import out_of_its_world
from alive.roles.gate import passage
from alive.types import Attempt, Prompt, Rollout, Task
from alive.warmup import make_critic


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(doors, "_guests", list(doors._guests))
    world = make_world(tmp_path)
    doors.register(world)
    return world


@pytest.fixture
def tokenizer(plain_tokenizer: Any) -> Any:
    marked = copy.deepcopy(plain_tokenizer)
    marked.add_special_tokens({"pad_token": "<|pad|>", "extra_special_tokens": [MARKER]})
    return marked


def test_a_world_is_registered_once_and_loaded_when_asked_for(world: World) -> None:
    doors.register(world)
    assert [one.name for one in doors.worlds()] == ["primer", "twos"]
    assert doors._guests[0] == "alive.worlds.primer:WORLD"


def test_its_corpus_is_read_whole_and_framed(world: World) -> None:
    config = CorpusConfig(paths=("builtin:twos",), validation_share=0)
    # Of other corpora documents of a single token would be dropped.
    corpus = open_corpus(config, lambda text: 1, [], 0)
    stream = corpus.documents("train")
    read = {document.source: document for document in (next(stream) for _ in range(30))}
    document = read["builtin:twos 15"]
    assert document.text == "In box 15 lie 15 red pens\n\nand twice as many blue, 30"
    assert (document.domain, document.framing.context) == ("boxes", "paragraph")
    assert passage(document, "30") == r"and twice as many blue, \mask{}"
    with pytest.raises(CorpusError, match=r"no corpus named builtin:two\. .*builtin:twos"):
        open_corpus(CorpusConfig(paths=("builtin:two",)), len, [], 0)


def test_its_suite_is_measured_whole_or_by_domain(world: World) -> None:
    suite = load_suite("twos:boxes", limit=2)
    told = [(item.id, item.question, item.answer, item.domain) for item in suite.items]
    assert told == [
        ("twos/0", "Twice 50 is", "100", "boxes"),
        ("twos/1", "Twice 51 is", "102", "boxes"),
    ]
    with pytest.raises(SuiteError, match=r"no domain 'bags'; 'twos' has boxes"):
        load_suite("twos:bags")
    with pytest.raises(SuiteError, match="Did you mean 'twos'"):
        load_suite("twoss")


def test_its_prompts_and_its_teacher_serve_who_holds_its_token(
    world: World, tokenizer: Any, plain_tokenizer: Any
) -> None:
    task = Task("t", "d", r"Twice 4 is \mask{}", "8", "random")
    tried = Attempt("t", 0, Rollout(Prompt("solve", ()), (), (), "8", "stop", 0), "8", True)
    renderer = make_renderer(tokenizer)
    assert renderer.templates.version == "twos-1"
    shown = renderer.show(renderer.solve(task.passage, "well").ids)
    assert shown == rf"well: {MARKER} Twice 4 is \mask{{}} answer:"
    [review] = make_critic(Config(), renderer)([task], [tried])
    assert (review.summary, review.verdict, review.score) == ("doubled rightly", True, 5.0)
    # Others teach themselves.
    other = make_renderer(plain_tokenizer)
    assert other.templates.world is None and other.sound_lines("1 1+1=2 ok") == 0
    assert make_critic(Config(), other) is None


def test_its_model_is_known_by_name(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    from alive.engines.names import resolve

    with pytest.raises(ModelError, match=r"'two' is missing from .*; rebuild it: nothing"):
        resolve("two")
    (world.model.folder).mkdir()
    (world.model.folder / "config.json").write_text("{}")
    assert resolve("two") == world.model.folder
    assert out_of_its_world("two", ["builtin:twos"]) == ""
    assert out_of_its_world("two", ["builtin:twos", "notes/"]) == "It can double, and no more."
    assert run(["eval", "two", "--suite", "twos:bags"]) == 2
    assert "no domain 'bags'" in capsys.readouterr().err


def test_a_run_plays_its_game(world: World, tokenizer: Any, tmp_path: Path) -> None:
    """The model is random: what its warm-up learns are the world's own critiques."""
    from alive.worlds.primer.fresh import new_model

    new_model(tokenizer, hidden=32, layers=1).save_pretrained(world.model.folder)
    tokenizer.save_pretrained(world.model.folder)
    settings = toy.settings_of(tmp_path, tmp_path / "run")
    settings["model"] = {"id": "two", "threads": 1, "dtype": "float32"}
    settings["corpus"] = {"paths": ["builtin:twos"]}
    settings["evaluate"] = {"suites": ["twos"], "limit": 2, "condition_tasks": 2}
    summary, _ = toy.play(settings | {"steps": 1})
    assert summary["steps"] == 1
    rows = pq.read_table(next((tmp_path / "run" / "episodes").glob("*.parquet"))).to_pylist()
    solved = [row for row in rows if row["role"] == "solve"]
    assert len(solved) == toy.M * toy.N and {row["domain"] for row in rows} == {"boxes"}
    assert {row["critique"].split("\n")[0] for row in rows} == {"Step 1 doubles."}
    assert all("\n\n" not in row["passage"] for row in rows)
