"""Exported runs: other programs load them and compute the same; the card says what was found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from markdown_it import MarkdownIt
from safetensors.torch import load_file
from test_end_to_end import play, settings_of

import alive
from alive.api import open_policy
from alive.cli import run as command
from alive.config import Config
from alive.engines.local import load_policy
from alive.errors import RunError, UserError
from alive.publish import card
from alive.publish import folder as publishing
from alive.settings import build_config
from alive.store import newest_checkpoint, read_config

STEPS = 2


@pytest.fixture(scope="session")
def world(toy_world: Path) -> Path:
    return toy_world


def train(world: Path, out: Path, rank: int) -> Path:
    settings = settings_of(world, out)
    settings["steps"] = STEPS
    settings["model"]["lora_rank"] = rank
    settings["evaluate"]["self_correct"] = False
    play(settings)
    return out


@pytest.fixture(scope="module")
def whole(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that trained all weights."""
    return train(world, tmp_path_factory.mktemp("whole") / "run", 0)


@pytest.fixture(scope="module")
def adapted(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that trained adapters."""
    return train(world, tmp_path_factory.mktemp("adapted") / "run", 4)


IDS = torch.arange(5, 29).reshape(2, 12)


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(IDS).logits
    return found


def policy_logits(run: Path) -> torch.Tensor:
    """What the run's own policy computes after its last step."""
    config = build_config([("run", read_config(run))])
    policy, _ = load_policy(config.model, config.learn, config.seed)
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    policy.restore(checkpoint.model, checkpoint.tensors(), checkpoint.step)
    return logits(policy.model)


def read_card(folder: Path) -> tuple[dict[str, Any], str]:
    _, head, body = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(head), body


def test_a_whole_model_loads_and_computes_the_same(
    whole: Path, world: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = alive.export(whole, tmp_path / "new" / "folder")
    assert folder == tmp_path / "new" / "folder"
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert torch.equal(logits(model), policy_logits(whole))
    base = AutoModelForCausalLM.from_pretrained(world / "model")
    assert not torch.equal(logits(model), logits(base))
    text = "there were 7 in all"
    known = AutoTokenizer.from_pretrained(world / "model").encode(text)
    assert AutoTokenizer.from_pretrained(folder).encode(text) == known
    assert list((tmp_path / "new").iterdir()) == [folder]


# PEFT asks transformers for a property that transformers has renamed.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_adapters_on_the_base_compute_what_is_merged(
    adapted: Path, world: Path, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    merged = AutoModelForCausalLM.from_pretrained(alive.export(adapted, tmp_path / "merged"))
    alone = alive.export(adapted, tmp_path / "alone", adapters=True)
    assert {file.name for file in alone.iterdir()} == {
        *("adapter_config.json", "adapter_model.safetensors", "README.md"),
    }
    assert {oct(file.stat().st_mode & 0o777) for file in alone.iterdir()} == {"0o644"}
    told = json.loads((alone / "adapter_config.json").read_text())
    assert told["base_model_name_or_path"] == str(world / "model")
    assert (told["r"], told["lora_alpha"]) == (4, 32.0)
    base = AutoModelForCausalLM.from_pretrained(world / "model")
    before = logits(base)
    on_base = PeftModel.from_pretrained(base, alone)
    assert torch.equal(logits(on_base), policy_logits(adapted))
    assert torch.allclose(logits(on_base), logits(merged), atol=1e-5)
    assert (logits(on_base) - before).abs().max() > 1e-3
    head, body = read_card(alone)
    assert head["library_name"] == "peft"
    assert "PeftModel.from_pretrained" in body
    assert "vllm" not in body


def test_exported_adapters_are_measured_as_the_run_was(
    adapted: Path, world: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "adapters"
    assert command(["export", str(adapted), "--adapters", "--to", str(folder)]) == 0
    assert not (folder / "config.json").exists()
    # So short a run may change no completion, but it does change what is computed.
    opened: Any = open_policy(folder).sampler
    assert torch.equal(logits(opened.model), policy_logits(adapted))

    def measured(model: Path) -> dict[str, Any]:
        result = tmp_path / f"{model.name}.json"
        options = ["--suite", str(world / "birds.jsonl"), "--limit", "4", "--max-tokens", "12"]
        assert command(["eval", str(model), *options, "--json", str(result)]) == 0
        found = json.loads(result.read_text())
        return {key: found[key] for key in found if key not in ("model", "seconds")}

    alone = measured(folder)
    assert alone == measured(adapted)
    after = json.loads((adapted / "after.json").read_text())
    shared = alone.keys() & after["result"].keys()
    assert shared >= {"n", "accuracy", "accuracy_interval", "cut", "boxed"}
    assert [row["completion"] for row in alone["completions"]] == [
        row["completion"] for row in after["rows"]
    ]
    for key in shared - {"domains"}:
        assert alone[key] == after["result"][key]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_case_8_adapters_are_float32_and_what_is_merged_is_of_the_bases_type(
    world: Path, tmp_path: Path, dtype: str
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = tmp_path / "base"
    AutoModelForCausalLM.from_pretrained(world / "model").bfloat16().save_pretrained(base)
    AutoTokenizer.from_pretrained(world / "model").save_pretrained(base)
    settings = settings_of(world, tmp_path / "run")
    settings |= {"steps": 1, "warmup": {"steps": 0}, "evaluate": {"suites": []}}
    settings["model"] = {"id": str(base), "threads": 1, "dtype": dtype, "lora_rank": 4}
    play(settings)
    saved = tmp_path / "run" / "checkpoints" / "step-000001" / "model"
    adapters = load_file(saved / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in adapters.values()} == {torch.float32}
    assert all("lora_" in name for name in adapters)
    stored = load_file(base / "model.safetensors")
    merged = load_file(alive.export(tmp_path / "run", tmp_path / "out") / "model.safetensors")
    assert {tensor.dtype for tensor in merged.values()} == {torch.bfloat16}
    assert merged.keys() == stored.keys()
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"
    moved = {name for name in stored if not torch.equal(merged[name], stored[name])}
    assert moved
    assert moved <= {name for name in stored if "_proj." in name}


def test_the_card_says_what_the_run_found(whole: Path, world: Path, tmp_path: Path) -> None:
    head, body = read_card(alive.export(whole, tmp_path / "out"))
    verdicts = json.loads((whole / "summary.json").read_text())["verdicts"]
    assert verdicts
    assert all(f"- {line}" in body for line in verdicts)
    assert head["pipeline_tag"] == "text-generation"
    assert "base_model" not in head  # a folder of this machine is nobody's base model
    assert "license" not in head
    summary = json.loads((whole / "summary.json").read_text())
    after, low = summary["after"]["accuracy"], summary["after"]["accuracy_interval"][0]
    [total, cut, boxed] = [line for line in body.splitlines() if line.startswith("| `total` | 4 |")]
    assert ("cut at the token limit" in cut, "answered in a box" in boxed) == (True, True)
    assert f"{100 * after:.1f} [{100 * low:.1f}, " in total
    change = summary["change"]["accuracy"]["total"]
    assert f"{100 * change['mean']:+.1f} [{100 * change['low']:.1f}, " in total
    for said in (
        f"**{STEPS} of {STEPS} steps**",
        f"- `{world / 'corpus.jsonl'}`",
        f"{summary['corpus']['train']} for training",
        f"{summary['tokens_trained']} trained on",
        "| `learn.learning_rate` | `0.005` |",
        "rest on 4 problems",
        "llama.cpp cannot use it",  # the toy's tokenizer is cut like the seed's
        "vllm serve",
    ):
        assert said in body


def test_figures_of_other_weights_are_not_told(whole: Path, tmp_path: Path) -> None:
    config, state = Config(), newest_checkpoint(whole / "checkpoints").state()
    summary = json.loads((whole / "summary.json").read_text())

    def told(step: int, summary: dict[str, Any]) -> str:
        return card.render(card.Card(config, step, state, summary, {}, "X", {}, False))

    assert "| `total` |" in told(STEPS, summary)
    assert "figures are of step 2, and these are the weights of step 1" in told(1, summary)
    assert "not finished" in told(1, {})
    assert "had no suites" in told(STEPS, {"steps": STEPS})


NASTY = [
    "a\n---\ninjected: yes\n",
    "`<script>alert(1)</script>` | x | [l](http://e)",
    "``` | ``",
    "{{ config }} {% raw %} \u202e \x07",
    "|",
    " ",
]


@pytest.mark.parametrize("name", NASTY)
def test_names_break_neither_the_head_nor_the_body(whole: Path, name: str) -> None:
    state = newest_checkpoint(whole / "checkpoints").state()
    config = build_config(
        [("test", {"model": {"id": f"x/{name}"}, "corpus": {"paths": [name]}, "arm": "rft"})]
    )
    row = {"n": 4, "accuracy": 0.5}
    summary = {"steps": 1, "before": row, "after": {**row, "domains": {name: row}}}
    text = card.render(card.Card(config, 1, state, summary, {}, name, {}, False))
    _, head, body = text.split("---\n", 2)
    assert yaml.safe_load(head).keys() == {"library_name", "pipeline_tag", "tags"}
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    inner = [child for token in tokens for child in token.children or ()]
    assert not [token for token in [*tokens, *inner] if token.type.startswith(("html", "link"))]
    rows = [token.children for token in tokens if token.type == "inline"]
    seen = [
        child[0].content for child in rows if len(child) == 1 and child[0].type == "code_inline"
    ]
    plain = card._CONTROL.sub("\N{REPLACEMENT CHARACTER}", name)
    # As a corpus path, and as a domain.
    assert seen.count(plain) >= 2 or not plain.strip()


def test_a_tokenizer_like_the_seeds_is_known_to_be_refused(tmp_path: Path) -> None:
    from alive.engines.names import resolve

    seed = json.loads((Path(resolve("seed")) / "tokenizer.json").read_text())
    state = {"documents": 1, "proposed": 1, "filled": 0, "tokens_sampled": 1, "tokens_trained": 1}

    def told(tokenizer: dict[str, Any]) -> str:
        return card.render(card.Card(Config(), 1, state, {}, {}, "X", tokenizer, False))

    assert "llama.cpp cannot use it" in told(seed)
    for other in ({"pre_tokenizer": {"type": "ByteLevel"}}, {}):
        assert "convert_hf_to_gguf.py" in told(other)


def test_what_cannot_be_exported_is_said(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"lora_rank = 0.*leave --adapters out"):
        alive.export(whole, tmp_path / "out", adapters=True)
    with pytest.raises(RunError, match="holds no run"):
        alive.export(tmp_path, tmp_path / "out")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").write_text("kept")
    for place in (taken, taken / "mine"):
        with pytest.raises(UserError, match="not an empty folder"):
            alive.export(whole, place)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    (taken / "mine").unlink()
    assert alive.export(whole, taken) == taken  # empty is as good as new


def test_a_run_of_an_earlier_version_can_be_looked_at_and_exported(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from alive.cli import run

    old = Path(shutil.copytree(whole, tmp_path / "old"))
    config = json.loads((old / "config.json").read_text())
    config["learn"] |= {"repair_weight": 1.0, "min_right": 2}
    del config["learn"]["corrected_weight"], config["checkpoint_minutes"]
    (old / "config.json").write_text(json.dumps(config))
    assert run(["report", str(old)]) == 0
    assert "An earlier version of ALIVE ran it" in (old / "report.html").read_text()
    assert run(["export", str(old), "--to", str(tmp_path / "out")]) == 0
    assert alive.solve(str(old), "How many birds?").attempts
    capsys.readouterr()
    assert run(["train", "--resume", "--out", str(old)]) == 2
    assert "learn.min_right is gone: every right attempt trains" in capsys.readouterr().err


def test_a_run_without_a_checkpoint_says_how_to_go_on(tmp_path: Path) -> None:
    from alive.store import RunFolder

    RunFolder.create(tmp_path / "run", Config()).close()
    with pytest.raises(RunError, match=r"no sound checkpoint yet.*--resume"):
        alive.export(tmp_path / "run", tmp_path / "out")


def test_a_checkpoint_that_the_run_replaces_meanwhile(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(whole, tmp_path / "run")
    copy = publishing._copy_files

    def overtaken(source: Path, folder: Path, pattern: str) -> None:
        shutil.rmtree(source.parent)
        copy(source, folder, pattern)

    monkeypatch.setattr(publishing, "_copy_files", overtaken)
    with pytest.raises(RunError, match=r"replaced step-000002 while it was read; run the command"):
        alive.export(tmp_path / "run", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


FULL = """
import resource, sys
from alive.cli import run
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
sys.exit(run(["export", sys.argv[1], "--to", sys.argv[2]]))
"""


def test_a_full_disk_leaves_nothing_behind(whole: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(whole), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    assert "the disk refused the write" in done.stderr
    assert "the run is untouched" in done.stderr
    assert list(tmp_path.iterdir()) == []
