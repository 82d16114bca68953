"""One training step, TRL's GRPOTrainer against ALIVE: the same model, prompts, sizes and threads.

Both sides sample 128 completions of 32 tokens from a 2.7 M-parameter Llama with random weights (8
prompts, 16 completions each) and take one AdamW step on them. The sides alternate step by step
after an untimed first one. A completion that ends itself is shorter, so rates are by the token.

    python benchmarks/trl_step.py [--steps 5] [--threads 2]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import statistics
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timing import matmul_rate, now

PROMPTS, GROUP, PROMPT_TOKENS, NEW_TOKENS, VOCABULARY = 8, 16, 16, 32, 512


@dataclass
class Side:
    """Timed steps of one side, a number a step.

    Attributes:
        wall: Seconds on the clock.
        cpu: Seconds of CPU, all threads; on a busy machine the steadier of the two.
        tokens: Completion tokens sampled and trained.
    """

    name: str
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)

    def add(self, since: tuple[float, float], tokens: int) -> None:
        """Notes a step that began at ``since``, as ``now`` gave it."""
        wall, cpu = now()
        self.wall.append(wall - since[0])
        self.cpu.append(cpu - since[1])
        self.tokens.append(tokens)

    def row(self) -> str:
        """A line of the table; the first step, which warms up, is left out."""
        wall, cpu = statistics.median(self.wall[1:]), statistics.median(self.cpu[1:])
        tokens = statistics.mean(self.tokens[1:])
        return f"{self.name:8}{wall:10.2f}{cpu:10.2f}{tokens:9.0f}{self.rate():10.0f}"

    def rate(self) -> float:
        """Tokens sampled and trained a second on the clock."""
        return statistics.mean(self.tokens[1:]) / statistics.median(self.wall[1:])


def make_model(folder: Path) -> int:
    """Saves a random Llama and a word-level tokenizer; returns its parameter count."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = {f"w{i}": i for i in range(2, VOCABULARY)} | {"<s>": 0, "</s>": 1}
    core = Tokenizer(WordLevel(words, unk_token="w2"))
    core.pre_tokenizer = Whitespace()
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=6,
            num_attention_heads=6,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    ).save_pretrained(folder)
    return sum(weight.numel() for weight in model.parameters())


def prompt_words(index: int) -> list[int]:
    """Returns the tokens of a prompt, different for each index."""
    return [2 + (index * 31 + place * 7) % (VOCABULARY - 2) for place in range(PROMPT_TOKENS)]


def alive_stepper(folder: Path, threads: int) -> Callable[[int], int]:
    """Returns ALIVE's step: it samples, learns everything it sampled, and counts the tokens."""
    from alive import aio
    from alive.config import LearnConfig, ModelConfig
    from alive.engines.local import load_policy
    from alive.protocols import Request, SamplingParams
    from alive.seeding import derive
    from alive.types import Prompt, Rollout, TrainingRecord

    settings = ModelConfig(id=str(folder), dtype="float32", threads=threads)
    policy, _ = load_policy(settings, LearnConfig())
    params = SamplingParams(max_new_tokens=NEW_TOKENS)

    async def sample(number: int) -> list[list[Rollout]]:
        prompts = (
            Prompt("solve", tuple(prompt_words(number * PROMPTS + index)))
            for index in range(PROMPTS)
        )
        requests = (
            Request(prompt, GROUP, params, derive(number, index))
            for index, prompt in enumerate(prompts)
        )
        return await asyncio.gather(*map(policy.sample, requests))

    def step(number: int) -> int:
        records = [
            TrainingRecord(
                role="solve",
                prompt_ids=rollout.prompt.ids,
                completion_ids=rollout.completion_ids,
                weight=1.0,
                document_id="d",
            )
            for group in aio.run(sample(number))
            for rollout in group
        ]
        policy.update(records, learning_rate=1e-4)
        return sum(len(record.completion_ids) for record in records)

    return step


def race(folder: Path, steps: int, threads: int) -> tuple[Side, Side]:
    """Alternates one step of GRPOTrainer and one of ALIVE, so that noise meets both alike.

    TRL's costly extras are off: no gradient checkpointing, no reference model.
    """
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    trl, alive = Side("TRL"), Side("ALIVE")
    alive_step = alive_stepper(folder, threads)
    drawn: list[int] = []
    began = [now()]

    class Alternate(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            trl.add(began[0], drawn[-1])
            start = now()
            alive.add(start, alive_step(len(alive.wall)))
            began[0] = now()

    def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
        drawn.append(sum(len(ids) for ids in completion_ids))
        return [float(ids[0] % 7) for ids in completion_ids]

    rows = [
        {"prompt": " ".join(f"w{token}" for token in prompt_words(index))}
        for index in range(PROMPTS * (steps + 1))
    ]
    with tempfile.TemporaryDirectory() as out:
        settings = GRPOConfig(
            output_dir=out,
            per_device_train_batch_size=PROMPTS * GROUP,
            num_generations=GROUP,
            max_completion_length=NEW_TOKENS,
            max_steps=steps + 1,
            learning_rate=1e-4,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            beta=0.0,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(folder),
            reward_funcs=reward,
            args=settings,
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(folder),
            callbacks=[Alternate()],
        )
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.train()
    return trl, alive


def main() -> None:
    """Runs both sides and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5, help="timed steps a side")
    parser.add_argument("--threads", type=int, default=0, help="0: all usable CPUs")
    options = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    warnings.filterwarnings("ignore")

    import torch

    from alive.engines.probe import usable_cpus

    threads = options.threads or usable_cpus()
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        parameters = make_model(Path(folder))
        # A token costs 2 operations a weight in the sampling pass, 6 in forward and backward.
        floor = 8 * parameters * PROMPTS * GROUP * NEW_TOKENS / matmul_rate()
        trl, alive = race(Path(folder), options.steps, threads)
    print(f"{parameters:,} parameters, {threads} threads, {options.steps} steps")
    print(f"{'':8}{'s a step':>10}{'CPU s':>10}{'tokens':>9}{'tokens/s':>10}")
    print(trl.row())
    print(alive.row())
    ratio = alive.rate() / trl.rate()
    print(f"arithmetic floor {floor:.2f} s; ALIVE does {ratio:.2f} times the tokens a second")


if __name__ == "__main__":
    main()
