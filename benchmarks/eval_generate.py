r"""``alive eval`` against transformers' own ``generate``, on the same problems with the same limit.

The other side asks as the model's makers do: the question and "Please reason step by step, and put
your final answer within \boxed{}." through its chat template, greedily, in the type that ``alive
eval`` computes in on this machine. Both sides' completions are recounted by math-verify alone,
which knows nothing of our verifier.

    python benchmarks/eval_generate.py MODEL SUITE [--limit 32] [--max-tokens 400] [--batch 8]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alive.api import evaluate, open_policy
from alive.evaluation import Suite, load_suite
from alive.verify import final_answer

USUAL = r"Please reason step by step, and put your final answer within \boxed{}."


@dataclass(frozen=True)
class Answered:
    """One side's completion of a problem: its text, and whether it was cut."""

    text: str
    cut: bool


def by_alive(model: str, suite: str, limit: int, tokens: int) -> tuple[list[Answered], float, str]:
    """Returns the completions of ``alive eval``, its seconds, and its own count."""
    policy = open_policy(model, tokens)
    began = time.perf_counter()
    found = evaluate(policy, [suite], limit=limit)
    took = time.perf_counter() - began
    share = found.total.accuracy
    own = f"{100 * share.mean:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"
    return [Answered(row["completion"], row["cut"]) for row in found.rows], took, own


def by_generate(model: str, suite: Suite, tokens: int, batch: int) -> tuple[list[Answered], float]:
    """Returns the completions of plain ``generate``, and its seconds.

    Args:
        model: A folder or hub id with a chat template.
        suite: The problems.
        tokens: Longest completion.
        batch: Problems at once, padded on the left.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from alive.config import ModelConfig
    from alive.engines.local.loading import compute_type

    tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = getattr(torch, compute_type(ModelConfig(id=model), device))
    network = AutoModelForCausalLM.from_pretrained(model, dtype=dtype).eval().to(device)
    usual = network.generation_config
    usual.update(do_sample=False, temperature=None, top_p=None, top_k=None)
    if usual.repetition_penalty not in (None, 1.0):
        # It stays, since plain generate heeds it; alive eval draws from what the model says.
        print(f"the model's own settings have a repetition penalty, {usual.repetition_penalty}")
    began, found = time.perf_counter(), []
    for chunk in _chunks([item.question for item in suite.items], batch):
        chats = [[{"role": "user", "content": f"{question}\n{USUAL}"}] for question in chunk]
        given = tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            made = network.generate(**given.to(device), max_new_tokens=tokens)
        for row in made[:, given["input_ids"].shape[1] :]:
            text = tokenizer.decode(row, skip_special_tokens=True)
            # One that ended is padded up to the longest, or ends with its end token.
            ended = {tokenizer.pad_token_id, *_listed(usual.eos_token_id)}
            found.append(Answered(text, len(row) == tokens and int(row[-1]) not in ended))
    return found, time.perf_counter() - began


def recounted(suite: Suite, answers: Sequence[Answered]) -> list[bool]:
    """Counts by math-verify alone."""
    from math_verify import parse, verify

    golds = (parse(f"\\boxed{{{final_answer(item.answer)}}}") for item in suite.items)
    return [verify(gold, parse(one.text)) for gold, one in zip(golds, answers, strict=True)]


def _chunks(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for at in range(0, len(values), size):
        yield values[at : at + size]


def _listed(ids: int | list[int] | None) -> list[int]:
    return ids if isinstance(ids, list) else [] if ids is None else [ids]


def main() -> None:
    """Prints accuracy, cut, boxed and seconds of each side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("suite")
    parser.add_argument("--limit", type=int, default=32)
    parser.add_argument("--max-tokens", type=int, default=400)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--json", type=Path, help="Write every completion here.")
    asked = parser.parse_args()
    suite = load_suite(asked.suite, asked.limit)
    answers, seconds, own = by_alive(asked.model, asked.suite, asked.limit, asked.max_tokens)
    sides = {
        "alive eval": (answers, seconds),
        "generate": by_generate(asked.model, suite, asked.max_tokens, asked.batch),
    }
    print(f"{len(suite.items)} problems of {suite.name}, at most {asked.max_tokens} tokens")
    print(f"by our verifier, alive eval: {own}")
    record: dict[str, Any] = {}
    for name, (found, took) in sides.items():
        right = recounted(suite, found)
        shares = {
            "right by math-verify": right,
            "cut": [one.cut for one in found],
            "boxed": ["\\boxed{" in one.text for one in found],
        }
        said = ", ".join(f"{label} {100 * sum(v) / len(v):.1f} %" for label, v in shares.items())
        print(f"{name}: {said}, {took:.0f} s", flush=True)
        record[name] = [{**asdict(one), "right": r} for one, r in zip(found, right, strict=True)]
    if asked.json:
        asked.json.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
