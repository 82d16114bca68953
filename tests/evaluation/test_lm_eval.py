"""lm-evaluation-harness on an exported folder beside ``alive eval``, as docs/evaluation.md says."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import toy
from documents import ROOT, blocks

import alive
from alive.cli import run
from alive.evaluation import load_suite

pytestmark = pytest.mark.slow


def follow(folder: Path, model: Path, limit: int) -> tuple[dict[str, Any], float, list[Any]]:
    """Does in a folder what the document says, with questions.jsonl and the model there.

    Returns:
        What alive eval wrote, the harness's accuracy, and its samples by the order of documents.
    """
    pytest.importorskip("lm_eval")
    found = blocks(ROOT / "docs/evaluation.md")
    (task,) = [block for block in found if block.file == "same.yaml"]
    (script,) = [block for block in found if block.language == "python"]
    (words,) = [
        shlex.split(line)
        for block in found
        for line in block.text.splitlines()
        if "--tasks same" in line
    ]
    short = str(limit)
    asked = ["eval", str(model), "--suite", "questions.jsonl", "--max-tokens", short]
    assert run([*asked, "--json", "result.json"]) == 0
    exec(compile(script.text, "evaluation.md", "exec"), {})
    Path("same.yaml").write_text(task.text.replace("max_gen_toks: 512", f"max_gen_toks: {short}"))
    words[words.index("--model_args") + 1] = f"pretrained={model},dtype=float32,add_bos_token=False"
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "home")}
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", *words[1:], "--device", "cpu"],
        env=os.environ | offline,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (result,) = folder.glob("harness/**/results_*.json")
    (samples,) = folder.glob("harness/**/samples_same_*.jsonl")
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    accuracy = json.loads(result.read_text())["results"]["same"]["exact_match,boxed"]
    ordered = sorted(lines, key=lambda line: int(line["doc_id"]))
    return json.loads(Path("result.json").read_text()), accuracy, ordered


def test_the_harness_counts_as_many_of_an_exported_run(
    toy_run: tuple[Path, dict[str, Any], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    alive.export(toy_run[0], tmp_path / "mine")
    # The toy mostly says one number: half of the answers are another, so that some are wrong.
    toy.write_suite(tmp_path / "questions.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "questions.jsonl").read_text().splitlines()]
    for row in rows[::2]:
        row["answer"] = "3"
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ours, accuracy, samples = follow(tmp_path, tmp_path / "mine", 12)
    assert [s["resps"][0][0] for s in samples] == [r["completion"] for r in ours["completions"]]
    assert 0 < ours["accuracy"] < 1
    assert accuracy == ours["accuracy"]


def test_the_harness_counts_as_many_of_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"id": str(at), "question": item.question, "answer": item.answer, "domain": item.domain}
        for at, item in enumerate(load_suite("seed", 24).items)
    ]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = ROOT / "src/alive/worlds/primer/model"
    ours, accuracy, samples = follow(tmp_path, model, 96)
    assert [s["resps"][0][0] for s in samples] == [r["completion"] for r in ours["completions"]]
    assert 0 < ours["accuracy"] < 1
    assert accuracy == ours["accuracy"]
