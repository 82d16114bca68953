"""What a CUDA device does with ALIVE: its tests, its limits, the engine's rates, whole steps.

    python benchmarks/gpu.py MODEL --corpus TEXT --out gpu.json
    python benchmarks/gpu.py --only tests floor
    python benchmarks/gpu.py MODEL --only compare --corpus TEXT --suite QUESTIONS

Needs no network. Figures are written to the JSON file as they come, so that a run that is cut off
leaves what it had. ``compare`` is no part of it unless asked for: arms beside each other for eight
minutes, and the same command goes on the next time. ``--device cpu`` runs the same on a CPU, with
small sizes, to see that it works.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from alive.config import ModelConfig
from alive.engines.floor import measure_machine, measure_speeds
from alive.engines.local import LocalPolicy, load_policy
from alive.engines.local.layout import Layout
from alive.engines.names import resolve
from alive.protocols import Request, SamplingParams

PARTS = ("tests", "floor", "sampler", "engine", "steps", "trl")
COMPARE = [
    "--arms", "base,grpo,alive,distil-text,distil-nothing,distil", "--seeds", "1",
    "--limit", "400", "--wide", "0", "--budget-tokens", "1500000", "--minutes", "8",
    "--set", "corpus.chunk_tokens=512", "--set", "game.documents_per_step=32",
    "--set", "game.masks_per_document=1", "--set", "game.solutions_per_mask=8",
    "--set", "game.random_share=1.0", "--set", "game.reviews_per_document=4",
    "--set", "game.revisions_per_mask=1", "--set", "sampling.review_tokens=160",
    "--set", "learn.pose_weight=0", "--set", "learn.micro_batch_tokens=16384",
    "--set", "warmup.steps=2", "--set", "evaluate.condition_tasks=32",
    "--set", "checkpoint_every=1000",
]  # fmt: skip
"""Questions of the corpus alone, and nothing of the poser: the same tasks for every arm."""
SMALL_COMPARE = [
    "--arms", "base,alive", "--limit", "2", "--samples", "1", "--budget-tokens", "1",
    "--set", "game.documents_per_step=1", "--set", "game.solutions_per_mask=2",
]  # fmt: skip
TEXT = "and one more apple in the basket " * 15 + r"is \mask{} apples"
STEPS = [
    "--steps", "2", "--set", "evaluate.suites=[]", "--set", "game.conditioned=false",
    "--set", "game.masks_per_document=4", "--set", "game.solutions_per_mask=8",
    "--set", "sampling.solve_tokens=192", "--set", "sampling.review_tokens=96",
    "--set", "warmup.steps=0", "--set", "checkpoint_every=100",
]  # fmt: skip


def main() -> None:
    """Reads the options, measures and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", help="model folders or names; default: seed")
    parser.add_argument("--corpus", default="builtin:python-docs")
    parser.add_argument("--suite", default="seed-validation", help="of compare")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--only", nargs="+", choices=(*PARTS, "compare"), default=PARTS)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no CUDA device here; --device cpu tries the script on small sizes")
    small = options.device == "cpu"
    found: dict[str, Any] = {"device": _device(options.device), "torch": torch.__version__}

    def note(name: str, measure: Callable[[], Any]) -> None:
        started = time.perf_counter()
        found[name] = measure()
        seconds = time.perf_counter() - started
        print(f"{name} ({seconds:.1f} s): {json.dumps(found[name])}", flush=True)
        options.out.write_text(json.dumps(found, indent=1) + "\n")

    if "tests" in options.only:
        note("tests", _tests)
    if "floor" in options.only:
        note("floor", lambda: asdict(measure_machine(options.device)))
    for model in options.models or ["seed"]:
        name = Path(model).name
        if "sampler" in options.only:
            note(f"sampler: {name}", partial(sampler, model, small))
        if "trl" in options.only:
            note(f"trl: {name}", partial(trl, model, small))
        for rank in (0, 16):
            kind = f"{name}, {'LoRA' if rank else 'full'}"
            if "engine" in options.only:
                note(f"engine: {kind}", partial(engine, model, rank, small))
            if "steps" in options.only:
                note(f"steps: {kind}", partial(steps, model, rank, options.corpus))
        if "compare" in options.only:
            out = options.out.with_name(f"compare-{name}")
            note(f"compare: {name}", partial(compare, model, out, options, small))


def sampler(model: str, small: bool) -> dict[str, Any]:
    """Tokens a second of ALIVE's sampler and of ``generate``, on the same weights and prompt.

    ``generate`` has a copy: the policy's own layers are joined, and no longer its family's. Nothing
    ends before its limit on either side. Each of ours is measured twice: the first call
    includes what is captured and allocated once.
    """
    policy, renderer = load_policy(ModelConfig(id=model))
    prompt, tokens = renderer.solve(TEXT, None), 8 if small else 128
    policy.endless()
    device, dtype = policy.model.device, policy.model.dtype
    plain = AutoModelForCausalLM.from_pretrained(resolve(model), dtype=dtype).eval().to(device)
    decoder = policy._sampler.decoder
    result: dict[str, Any] = {"layout": decoder.layout.name, "dtype": str(dtype)}
    layouts = dict.fromkeys((decoder.layout, Layout.SHARED))
    for rows in (4,) if small else (64, 256, 512):
        request = Request(prompt, rows, SamplingParams(tokens), rows)
        for layout in layouts:
            if layout is decoder.layout or rows < 512:
                decoder.layout = layout
                result[f"tokens/s at {rows} rows, {layout.name.lower()}"] = _rates(policy, request)
        decoder.layout = next(iter(layouts))
        ids = torch.tensor([prompt.ids] * rows, device=device)
        started = time.perf_counter()
        with torch.inference_mode():
            plain.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                top_k=0,
                top_p=1.0,
                repetition_penalty=1.0,
                temperature=1.0,
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                pad_token_id=renderer.pad_id,
            )
        seconds = time.perf_counter() - started
        result[f"tokens/s at {rows} rows, generate"] = round(rows * tokens / seconds)
    slots = decoder.slots._slots
    return result | {"graphs": slots.captured if slots else 0}


def engine(model: str, rank: int, small: bool) -> dict[str, Any]:
    """The sampler and the learner of one policy beside the machine's floor, as ``alive bench``."""
    gc.collect()
    if not small:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return measure_speeds(
        ModelConfig(id=model, lora_rank=rank),
        rows=(4,) if small else (),
        new_tokens=8 if small else 0,
    ).as_dict()


def steps(model: str, rank: int, corpus: str) -> dict[str, Any]:
    """Two steps of ``alive train``: seconds by stage, and the most memory the device held."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        command = [
            sys.executable, "-m", "alive.cli", "train", "--model", model, "--corpus", corpus,
            "--out", str(run), *STEPS, *(["--set", f"model.lora_rank={rank}"] if rank else []),
        ]  # fmt: skip
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - started
        if done.returncode:
            return {"failed": (done.stdout + done.stderr)[-1500:]}
        rows = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
        metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    played = [row for row in rows if row["event"] == "step"]
    return {
        "seconds": round(seconds, 1),
        "stages": [row["seconds"] for row in played],
        "memory": [row["memory"] for row in played],
        "metrics": [
            {key: row[key] for key in ("loss", "tokens_sampled", "tokens_trained", "pass_rate")}
            for row in metrics
        ],
    }


def trl(model: str, small: bool) -> dict[str, Any]:
    """A GRPO step beside TRL's (``trl_step.py``), in a process of its own: what it printed."""
    if importlib.util.find_spec("trl") is None:
        return {"left out": "TRL is not installed: pip install 'alive-rl[bench]'"}
    sizes = ("1", "8", "2") if small else ("16", "96", "5")
    given = [str(resolve(model)), *sizes]
    options = [
        part
        for pair in zip(("--model", "--prompts", "--tokens", "--steps"), given, strict=True)
        for part in pair
    ]
    script = Path(__file__).with_name("trl_step.py")
    done = subprocess.run([sys.executable, script, *options], capture_output=True, text=True)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1:]}
    return {"printed": done.stdout.strip().splitlines()}


def _rates(policy: LocalPolicy, request: Request) -> list[int]:
    """Tokens a second of a first call and of a second."""
    rates = []
    for _ in range(2):
        used = policy.usage
        asyncio.run(policy.sample(request))
        tokens = policy.usage.tokens_sampled - used.tokens_sampled
        seconds = policy.usage.seconds_sampling - used.seconds_sampling
        rates.append(round(tokens / seconds))
    return rates


def compare(model: str, out: Path, options: argparse.Namespace, small: bool) -> dict[str, Any]:
    """Arms beside each other on one device, as far as the minutes last; ``out`` is gone on with."""
    command = [
        sys.executable, "-m", "alive.cli", "compare", "--model", model, "--corpus", options.corpus,
        "--suite", options.suite, "--out", str(out), *COMPARE, *(SMALL_COMPARE if small else []),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"failed": (done.stdout + done.stderr)[-1500:]}
    told: dict[str, Any] = {"end": done.stdout.strip().splitlines()[-3:]}
    report = out / "compare.json"
    if report.exists():
        arms = json.loads(report.read_text())["arms"]
        told |= {name: arm["figures"] | arm["pooled"] for name, arm in arms.items()}
    return told


def _tests() -> dict[str, Any]:
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/gpu"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    return {"exit code": done.returncode, "end": done.stdout.strip().splitlines()[-25:]}


def _device(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


if __name__ == "__main__":
    main()
