"""Every command and every Python block of the documents is run, in order, on small things.

Each document gets a folder that holds what it names. What would take long is shrunk by options
that are appended to the command, chosen by its verb; later options win.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import toy
from documents import ROOT, blocks

from alive import api, settings, sizing
from alive.cli import run
from alive.compare import workers
from alive.worlds.primer import primer

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

SMALL = (
    *("model.threads=1", "game.documents_per_step=1", "game.masks_per_document=2"),
    *("game.solutions_per_mask=2", "game.revisions_per_mask=1"),
    *("game.reviews_per_document=2", "sampling.pose_tokens=4", "sampling.solve_tokens=8"),
    *("sampling.review_tokens=8", "evaluate.limit=2"),
    *("evaluate.samples=0", "evaluate.condition_tasks=2"),
)
SET = tuple(word for text in SMALL for word in ("--set", text))
SHRINK: dict[str, tuple[str, ...]] = {
    "train": ("--steps", "1", *SET),
    "plan": SET,
    "eval": ("--limit", "2", "--max-tokens", "8"),
    "solve": ("--max-tokens", "8"),
    "compare": (
        *("--seeds", "1", "--budget-tokens", "1", "--limit", "2", "--samples", "1"),
        *("--wide", "0", "--workers", "1", *SET),
    ),
}
"""Options appended, by verb."""

RUN = "runs/mine"
"""The run that documents speak of, some without having made it."""


class InProcess(Executor):
    """In the place of worker processes, each of which would import torch anew."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def submit(self, do: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(do(*given, **named))
        return done


@cache
def heldout(split: Any, draw: Any = primer.heldout_items) -> Any:
    """The seed's problems, drawn once: they would be drawn for every command."""
    return tuple(draw(split))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the documents name: texts, questions, a model's folder, and a run in ``RUN``."""
    folder = tmp_path_factory.mktemp("world")
    toy.write_model(folder / "path/to/model")
    texts = [text for text, _ in toy.documents()]
    (folder / "notes").mkdir()
    (folder / "notes/birds.md").write_text("\n\n".join(texts[:40]))
    (folder / "book.txt").write_text("\n\n".join(texts[40:80]))
    (folder / "gsm8k").mkdir()
    rows = [{"question": text, "answer": "#### 7"} for text in texts[80:]]
    (folder / "gsm8k/train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("gsm8k-test.jsonl", "questions.jsonl", "gsm8k/test.jsonl"):
        toy.write_suite(folder / name)
    math = {"problem": texts[0], "answer": "7", "subject": "Algebra", "level": 2}
    (folder / "math500").mkdir()
    (folder / "math500/test.jsonl").write_text(json.dumps(math) + "\n")
    # SmolLM2, as converted on its first use, would take minutes: the toy stands in its place.
    shutil.copytree(folder / "path/to/model", folder / "cache/alive/smollm2")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["train", *SHRINK["train"], "--out", RUN]) == 0
    return folder


@pytest.fixture
def scratch(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "scratch"
    shutil.copytree(world, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setattr(workers, "ProcessPoolExecutor", InProcess)
    monkeypatch.setattr(primer, "heldout_items", heldout)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(folder / "trackio"))
    monkeypatch.setattr(sizing, "available_memory", lambda: 10**11)
    yield folder
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


def small_python(patch: pytest.MonkeyPatch) -> None:
    """Shrinks what a Python block calls as commands are shrunk."""
    load, evaluate = settings.load_config, api.evaluate

    def load_small(preset: str | None = None, files: Any = (), overrides: Any = ()) -> Any:
        return load(preset, files, [*overrides, "steps=1", *SMALL])

    def evaluate_small(*given: Any, **named: Any) -> Any:
        return evaluate(*given, **{**named, "limit": 2, "max_tokens": 8})

    patch.setattr(settings, "load_config", load_small)
    patch.setattr(api, "evaluate", evaluate_small)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_what_a_document_says_to_run_runs(
    document: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    found = blocks(document)
    trains = [words for block in found for words in block.commands if words[0] == "train"]
    if any(RUN in words and "--resume" not in words for words in trains):
        shutil.rmtree(RUN)
    done: list[list[str]] = []
    for block in found:
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.text)
        elif block.language == "python":
            with monkeypatch.context() as patch:
                small_python(patch)
                exec(compile(block.text, document.name, "exec"), {"__name__": "__main__"})
        else:
            for words in block.commands:
                if words not in done:
                    done.append(words)
                    code = run([*words, *SHRINK.get(words[0], ())])
                    assert code == 0, (words, capsys.readouterr().err)


SCRIPTS = {
    "benchmarks/view_million.py": ("--attempts", "4096"),
    "benchmarks/game_step.py": ("--steps", "1"),
    "benchmarks/trl_step.py": ("--steps", "1"),
    "benchmarks/gpu.py": ("--device", "cpu", "--only", "floor", "--out", "/dev/null"),
    "benchmarks/verifier.py": ("--limit", "2"),
}
"""Options appended to scripts of ours; evaluation data, which is the user's, is left out."""


def scripts() -> list[tuple[str, ...]]:
    found = {
        tuple(shlex.split(line)[1:])
        for document in DOCUMENTS
        for block in blocks(document)
        for line in block.text.splitlines()
        if line.startswith("python ")
    }
    return sorted(found)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, marks=() if "view_million" in words[0] else pytest.mark.slow)
        for words in scripts()
    ],
    ids=" ".join,
)
def test_a_script_that_a_document_names_runs(words: tuple[str, ...]) -> None:
    if "trl" in words[0]:
        pytest.importorskip("trl")
    words = tuple(word for word in words if not word.endswith(".jsonl"))
    done = subprocess.run(
        [sys.executable, *words, *SCRIPTS[words[0]]], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_there_are_commands_to_run() -> None:
    found = {words[0] for document in DOCUMENTS for b in blocks(document) for words in b.commands}
    assert found >= set(SHRINK)


@pytest.mark.slow
def test_commands_for_smollm2_run_with_smollm2_itself(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    pytest.importorskip("gguf")
    monkeypatch.setenv("XDG_CACHE_HOME", str(scratch / "own-cache"))
    for block in blocks(ROOT / "README.md"):
        for words in block.commands:
            if "smollm2" in words:
                code = run([*words, *SHRINK.get(words[0], ())])
                assert code == 0, (words, capsys.readouterr().err)
    config = json.loads((scratch / "own-cache/alive/smollm2/config.json").read_text())
    assert config["num_hidden_layers"] == 30
