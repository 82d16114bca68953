"""What a CUDA device does with ALIVE: its tests, its limits, the engine's rates, whole steps.

    python benchmarks/gpu.py MODEL --corpus TEXT --out gpu.json
    python benchmarks/gpu.py --only tests floor

Needs no network. Figures are written to the JSON file as they come, so that a run that is cut off
leaves what it had. ``--device cpu`` runs the same on a CPU, with small sizes, to see that it works.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from alive.config import LearnConfig, ModelConfig
from alive.engines.local import LocalPolicy, load_policy
from alive.engines.local.layout import Layout
from alive.protocols import Request, SamplingParams
from alive.types import TrainingRecord

PARTS = ("tests", "floor", "sampler", "engine", "steps")
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
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
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
        note("floor", lambda: floor(options.device, small))
    for model in options.models or ["seed"]:
        name = Path(model).name
        if "sampler" in options.only:
            note(f"sampler: {name}", lambda m=model: sampler(m, small))
        for rank in (0, 16):
            kind = f"{name}, {'LoRA' if rank else 'full'}"
            if "engine" in options.only:
                note(f"engine: {kind}", lambda r=rank, m=model: engine(m, r, small))
            if "steps" in options.only:
                note(f"steps: {kind}", lambda r=rank, m=model: steps(m, r, options.corpus))


def floor(device: str, small: bool) -> dict[str, float]:
    """Measured limits: matrix products (TFLOP/s) and copies (TB/s, read and written)."""
    size = 1024 if small else 8192
    rates = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in "ab")
        seconds = _median(lambda a=left, b=right: a @ b, device)
        rates[f"{name} TFLOP/s"] = round(2 * size**3 / seconds / 1e12, 2)
    numbers = torch.randn(size * size, device=device)
    target = torch.empty_like(numbers)
    seconds = _median(lambda: target.copy_(numbers), device)
    rates["copy TB/s"] = round(2 * 4 * size * size / seconds / 1e12, 3)
    return rates


def sampler(model: str, small: bool) -> dict[str, Any]:
    """Tokens a second of ALIVE's sampler and of ``generate``, on the same weights and prompt.

    Nothing ends before its limit on either side. Each of ours is measured twice: the first call
    includes what is captured and allocated once.
    """
    policy, renderer = load_policy(ModelConfig(id=model))
    prompt, tokens = renderer.solve(TEXT, None), 8 if small else 128
    decoder = policy._sampler.decoder
    decoder._stops, decoder.slots._stop_ids = frozenset({-1}), (-1,)
    result: dict[str, Any] = {"layout": decoder.layout.name, "dtype": str(policy.model.dtype)}
    layouts = dict.fromkeys((decoder.layout, Layout.SHARED))
    for rows in (4,) if small else (64, 256, 512):
        request = Request(prompt, rows, SamplingParams(tokens), rows)
        for layout in layouts:
            if layout is decoder.layout or rows < 512:
                decoder.layout = layout
                result[f"tokens/s at {rows} rows, {layout.name.lower()}"] = _rates(policy, request)
        decoder.layout = next(iter(layouts))
        ids = torch.tensor([prompt.ids] * rows, device=policy.model.device)
        started = time.perf_counter()
        with torch.inference_mode():
            policy.model.generate(
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
    """Tokens a second and peak memory of the sampler and the learner alone."""
    if not small:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    pass_tokens = 1024 if small else 8192
    learn = LearnConfig(micro_batch_tokens=pass_tokens)
    started = time.perf_counter()
    policy, renderer = load_policy(ModelConfig(id=model, lora_rank=rank), learn)
    result: dict[str, Any] = {
        "load s": round(time.perf_counter() - started, 1),
        **policy.choices,
        "layout": policy._sampler.decoder.layout.name,
    }
    rows = 4 if small else 256
    request = Request(renderer.solve(TEXT, None), rows, SamplingParams(8 if small else 64), rows)
    result |= {f"sample tokens/s at {rows} rows": _rates(policy, request)}
    rollouts = asyncio.run(policy.sample(request))
    width = 64 if small else 256
    records = [
        replace(
            TrainingRecord("solve", one.prompt.ids, one.completion_ids, 1.0, "d"),
            prompt_ids=(at + 5, *one.prompt.ids[1 : width - len(one.completion_ids)]),
        )
        for at, one in enumerate(rollouts[: pass_tokens // width])
    ]  # no two begin alike: every token is computed
    tokens = sum(len(one.prompt_ids) + len(one.completion_ids) for one in records)
    seconds = [_update(policy, records) for _ in range(3)][1:]
    result |= {
        "train tokens/s": round(tokens / min(seconds)),
        "train TFLOP/s": round(_flops(policy, tokens) / min(seconds) / 1e12, 1),
        "peak GB": round(policy.usage.device_bytes / 1e9, 2),
    }
    return result


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


def _update(policy: LocalPolicy, records: list[TrainingRecord]) -> float:
    before = policy.usage.seconds_learning
    policy.update(records, 1e-6)
    return policy.usage.seconds_learning - before


def _flops(policy: LocalPolicy, tokens: int) -> float:
    """Operations of a step: 2 a weight and token forward, 4 backward, 2 of them for its input."""
    weights = sum(weight.numel() for weight in policy.model.parameters())
    trained = sum(weight.numel() for _, weight in policy._trainable())
    recomputed = 2 * weights if policy.choices["recomputes"] else 0
    return tokens * (4 * weights + 2 * trained + recomputed)


def _tests() -> dict[str, Any]:
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/gpu"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    return {"exit code": done.returncode, "end": done.stdout.strip().splitlines()[-25:]}


def _median(call: Callable[[], Any], device: str) -> float:
    seconds = []
    for _ in range(12):
        if device == "cuda":
            torch.cuda.synchronize()
        started = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return sorted(seconds[2:])[5]


def _device(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


if __name__ == "__main__":
    main()
