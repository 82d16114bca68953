"""Three families through the commands a user types: plan, train, resume, export."""

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
        "warmup.format_steps=1",
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
