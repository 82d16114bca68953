"""Families through the commands a user types: plan, train, resume, export."""

from __future__ import annotations

import warnings
from pathlib import Path

import families
import pytest
import toy
from driver import plain_model

from alive.cli import run

CASES = {
    "qwen3_5": 0,  # recurrent layers beside full ones
    "gemma3": 0,  # a nested configuration, windows
    "mixtral": 4,  # adapters, experts
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_plans_trains_resumes_and_exports(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, corpus, out = tmp_path / "model", tmp_path / "corpus.jsonl", tmp_path / "run"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        families.save(name, model)
    toy.write_corpus(corpus)
    settings = ["--model", str(model), "--corpus", str(corpus), "--set", "model.threads=1"]
    for assignment in (
        f"model.lora_rank={CASES[name]}",
        "model.dtype=float32",
        "checkpoint_every=1",
        "sampling.pose_tokens=4",
        "sampling.solve_tokens=6",
        "sampling.review_tokens=6",
        "game.documents_per_step=2",
        "warmup.steps=1",
        "evaluate.suites=[]",
    ):
        settings += ["--set", assignment]

    assert run(["plan", *settings]) == 0
    assert "trained parameters" in capsys.readouterr().out
    assert run(["train", *settings, "--steps", "1", "--out", str(out)]) == 0
    assert run(["train", "--resume", "--out", str(out), "--steps", "2"]) == 0
    assert run(["export", str(out), "--to", str(tmp_path / "exported")]) == 0
    exported, base = plain_model(tmp_path / "exported"), plain_model(model)
    assert any(
        not weight.equal(before)
        for weight, before in zip(exported.parameters(), base.parameters(), strict=True)
    )


@pytest.mark.parametrize("command", ["plan", "train"])
def test_settings_that_cannot_fit_the_context_are_refused_before_the_start(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """GPT-2 with 64 learned positions: none of the prompts of 256 tokens has room."""
    model, corpus, out = tmp_path / "model", tmp_path / "corpus.jsonl", tmp_path / "run"
    families.save("gpt2", model)
    toy.write_corpus(corpus)
    settings = ["--model", str(model), "--corpus", str(corpus), "--set", "evaluate.suites=[]"]

    code = run([command, *settings, *(["--out", str(out)] if command == "train" else [])])

    said = " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert "has room for 64 tokens, and a revision needs up to" in said
    assert "lower corpus.chunk_tokens (256) or" in said
    assert not out.exists()


@pytest.mark.slow
def test_settings_that_just_fit_the_context_train(tmp_path: Path) -> None:
    model, corpus, out = tmp_path / "model", tmp_path / "corpus.jsonl", tmp_path / "run"
    families.save("gpt2", model)
    toy.write_corpus(corpus)
    settings = ["--model", str(model), "--corpus", str(corpus), "--out", str(out)]
    for assignment in (
        "corpus.chunk_tokens=24",
        "sampling.pose_tokens=4",
        "sampling.solve_tokens=8",
        "sampling.review_tokens=8",
        "warmup.steps=0",
        "evaluate.suites=[]",
        "model.threads=1",
    ):
        settings += ["--set", assignment]

    assert run(["train", *settings, "--steps", "2"]) == 0
