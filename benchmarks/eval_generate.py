r"""``alive eval`` against transformers' own ``generate``, on the same problems with the same limit.

The other side asks as the model's makers do: the question and "Please reason step by step, and put
your final answer within \boxed{}." through its chat template, greedily, in the type that ``alive
eval`` computes in on this machine; a model without a template gets the prompts of ``alive eval``.
Both sides' completions are recounted by math-verify alone, which knows nothing of our verifier.
With ``--repeat`` the sides alternate, and rates are medians.

    python benchmarks/eval_generate.py MODEL SUITE [--limit 32] [--max-tokens 400] [--batch 8]
    python benchmarks/eval_generate.py seed seed --limit 256 --batch 256 --repeat 5
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alive.api import Policy, evaluate, open_policy
from alive.engines.names import resolve
from alive.evaluation import Suite, load_suite
from alive.verify import final_answer

USUAL = r"Please reason step by step, and put your final answer within \boxed{}."


@dataclass(frozen=True)
class Answered:
    """One side's completion of a problem: its text, its tokens, and whether it was cut."""

    text: str
    tokens: int
    cut: bool


Answers = tuple[list[Answered], float]
"""The completions, and their seconds; those of ``alive eval`` include its verifier's."""


def by_alive(policy: Policy, suite: str, limit: int) -> tuple[Answers, list[str], str]:
    """Returns the answers of ``alive eval``, its prompts, and its own count."""
    found = evaluate(policy, [suite], limit=limit)
    share = found.total.accuracy
    own = f"{100 * share.mean:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"
    answers = [Answered(row["completion"], row["tokens"], row["cut"]) for row in found.rows]
    return (answers, found.seconds["attempts"]), [row["prompt"] for row in found.rows], own


def generator(model: str, tokens: int, batch: int) -> Callable[[Suite, list[str]], Answers]:
    """Returns what answers a suite by plain ``generate``, given the prompts of ``alive eval``.

    Args:
        model: A model's name, as ``alive eval`` takes it.
        tokens: Longest completion.
        batch: Problems at once, padded on the left.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from alive.config import ModelConfig
    from alive.engines.local.loading import compute_type

    where = resolve(model)
    tokenizer = AutoTokenizer.from_pretrained(where, padding_side="left")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = getattr(torch, compute_type(ModelConfig(id=model), device))
    network = AutoModelForCausalLM.from_pretrained(where, dtype=dtype).eval().to(device)
    usual = network.generation_config
    usual.update(do_sample=False, temperature=None, top_p=None, top_k=None)
    if usual.repetition_penalty not in (None, 1.0):
        # It stays, since plain generate heeds it; alive eval draws from what the model says.
        print(f"the model's own settings have a repetition penalty, {usual.repetition_penalty}")
    ends = {tokenizer.pad_token_id, *_listed(usual.eos_token_id)}

    def encoded(suite: Suite, prompts: list[str]) -> list[str]:
        if not tokenizer.chat_template:
            return prompts
        chats = [[{"role": "user", "content": f"{one.question}\n{USUAL}"}] for one in suite.items]
        told: list[str] = tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, tokenize=False
        )
        return told

    def answer(suite: Suite, prompts: list[str]) -> Answers:
        began, found = time.perf_counter(), []
        for chunk in _chunks(encoded(suite, prompts), batch):
            given = tokenizer(
                list(chunk), padding=True, add_special_tokens=False, return_tensors="pt"
            ).to(device)
            ids, mask = given["input_ids"], given["attention_mask"]
            with torch.inference_mode():
                made = network.generate(input_ids=ids, attention_mask=mask, max_new_tokens=tokens)
            for row in made[:, ids.shape[1] :].tolist():
                text = tokenizer.decode(row, skip_special_tokens=True)
                # One that ended is padded up to the longest, or ends with its end token.
                written = next((at + 1 for at, one in enumerate(row) if one in ends), len(row))
                cut = written == tokens and row[-1] not in ends
                found.append(Answered(text, written, cut))
        return found, time.perf_counter() - began

    return answer


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
    parser.add_argument("--repeat", type=int, default=1, help="times a side, in turn")
    parser.add_argument("--json", type=Path, help="Write every completion here.")
    asked = parser.parse_args()
    suite = load_suite(asked.suite, asked.limit)
    policy = open_policy(asked.model, asked.max_tokens)
    generate = generator(asked.model, asked.max_tokens, asked.batch)
    sides: dict[str, list[Answers]] = {"alive eval": [], "generate": []}
    own = ""
    for _ in range(asked.repeat):
        ours, prompts, own = by_alive(policy, asked.suite, asked.limit)
        sides["alive eval"].append(ours)
        sides["generate"].append(generate(suite, prompts))
    print(f"{len(suite.items)} problems of {suite.name}, at most {asked.max_tokens} tokens")
    print(f"by our verifier, alive eval: {own}")
    record: dict[str, Any] = {}
    for name, times in sides.items():
        found, seconds = times[-1][0], [took for _, took in times]
        right = recounted(suite, found)
        shares = {
            "right by math-verify": right,
            "cut": [one.cut for one in found],
            "boxed": ["\\boxed{" in one.text for one in found],
        }
        said = ", ".join(f"{label} {100 * sum(v) / len(v):.1f} %" for label, v in shares.items())
        rate = sum(one.tokens for one in found) / statistics.median(seconds)
        listed = " ".join(f"{took:.1f}" for took in seconds)
        print(f"{name}: {said}, {rate:.0f} tokens/s, each time {listed} s", flush=True)
        record[name] = [{**asdict(one), "right": r} for one, r in zip(found, right, strict=True)]
    if asked.json:
        asked.json.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
