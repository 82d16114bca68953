"""One GRPO step, TRL's GRPOTrainer against ALIVE: the same model, prompts, sizes and threads.

Both sides sample 128 completions of 32 tokens from a 2.7 M-parameter Llama with random weights (8
prompts, 16 completions each) and take one AdamW step on them; with ``--model`` from a real one, on
a GPU where there is one. The sides alternate step by step after an untimed first one. A completion
that ends itself is shorter, so rates are by the token. Before that each side takes two steps in a
process of its own (``--side``), for its peak memory: on a GPU of tensors, else of the process.

    python benchmarks/trl_step.py [--steps 5] [--threads 2]
    python benchmarks/trl_step.py --model FOLDER --prompts 32 --tokens 128
    python benchmarks/trl_step.py --model FOLDER --side trl
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from timing import most_resident, now

GROUP, PROMPT_TOKENS, VOCABULARY = 16, 16, 512

SIDES = ("trl", "alive")

MICRO_GPU, MICRO_CPU = 64, 16
"""Completions of one of TRL's training passes over a real model: the logits of more would not
fit, or not fit a cache."""


@dataclass(frozen=True)
class Task:
    """What both sides do.

    Attributes:
        folder: The model's.
        steps: Timed ones.
        prompts: A step.
        tokens: Most of a completion.
        threads: Of the CPU.
        micro: Completions of one of TRL's training passes.
        gpu: Whether it is done on one.
        dtype: What is computed in: on a CPU the faster.
        paged: Whether TRL generates by transformers' continuous batching.
        recomputes: Whether both compute activations again in the backward pass.
        whole: Whether TRL's weights and moments are float32 whatever is computed in, as ALIVE's.
    """

    folder: Path
    steps: int
    prompts: int
    tokens: int
    threads: int
    micro: int
    gpu: bool
    dtype: Literal["float32", "bfloat16"]
    paged: bool
    recomputes: bool
    whole: bool

    def texts(self) -> list[str]:
        """Prompts for all steps, all different."""
        words = [prompt_words(index) for index in range(self.prompts * (self.steps + 1))]
        return [" ".join(f"w{token}" for token in row) for row in words]


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
        steps = " ".join(f"{seconds:.2f}" for seconds in self.wall[1:])
        return f"{self.name:8}{wall:10.2f}{cpu:10.2f}{tokens:9.0f}{self.rate():10.0f}   {steps}"

    def rate(self) -> float:
        """Tokens sampled and trained a second on the clock."""
        return statistics.mean(self.tokens[1:]) / statistics.median(self.wall[1:])


def make_model(folder: Path) -> None:
    """Saves a random Llama and a word-level tokenizer."""
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


def prompt_words(index: int) -> list[int]:
    """Returns the tokens of a prompt, different for each index; all are numbers of three digits.

    So prompts are equally long in any vocabulary: padding would cost TRL time.
    """
    return [100 + (index * 31 + place * 7) % (VOCABULARY - 100) for place in range(PROMPT_TOKENS)]


def alive_stepper(task: Task) -> Callable[[int], int]:
    """Returns ALIVE's step: it samples, learns everything it sampled, and counts the tokens."""
    from transformers import AutoTokenizer

    from alive import aio
    from alive.arms.baselines import advantages
    from alive.config import Config, CorpusConfig, LearnConfig, ModelConfig, SamplingConfig
    from alive.engines.local import load_policy
    from alive.protocols import Request, SamplingParams
    from alive.seeding import derive
    from alive.sizing import settled
    from alive.types import Prompt, Rollout, TrainingRecord

    learn = LearnConfig(checkpointing="on" if task.recomputes else "off")
    config = Config(
        learn=learn,
        model=ModelConfig(id=str(task.folder), dtype=task.dtype, threads=task.threads),
        corpus=CorpusConfig(chunk_tokens=4 * PROMPT_TOKENS),
        sampling=SamplingConfig(solve_tokens=task.tokens, review_tokens=1),
    )
    policy, _ = load_policy(config.model, settled(config).learn)  # passes as a run chooses them
    tokenizer = AutoTokenizer.from_pretrained(task.folder)
    prompts = [Prompt("solve", tuple(tokenizer(text).input_ids)) for text in task.texts()]
    params = SamplingParams(max_new_tokens=task.tokens)

    async def sample(number: int) -> list[list[Rollout]]:
        chosen = prompts[number * task.prompts : (number + 1) * task.prompts]
        requests = (
            Request(prompt, GROUP, params, derive(number, index))
            for index, prompt in enumerate(chosen)
        )
        return await asyncio.gather(*map(policy.sample, requests))

    def step(number: int) -> int:
        records, tokens = [], 0
        for group in aio.run(sample(number)):
            weights = advantages([reward(rollout.completion_ids) for rollout in group])
            for rollout, weight in zip(group, weights, strict=True):
                tokens += len(rollout.completion_ids)
                records.append(
                    TrainingRecord(
                        "solve", rollout.prompt.ids, rollout.completion_ids, weight, "d",
                        sampling_logprobs=rollout.logprobs, loss="policy_gradient",
                    )
                )  # fmt: skip
        policy.update(records, learning_rate=1e-6)
        policy.publish()
        return tokens

    return step


def reward(completion_ids: Sequence[int]) -> float:
    """Some number of a completion, of all its tokens: few are alike.

    A group of equal rewards has no gradient, and ALIVE does not train what has none.
    """
    return float(sum(completion_ids) % 101)


def race(task: Task, sides: Sequence[str] = SIDES) -> list[Side]:
    """Alternates one step of GRPOTrainer and one of ALIVE, so that noise meets both alike.

    Args:
        task: What they do.
        sides: Those of ``SIDES`` that take part; one takes its steps alone.
    """
    alive = Side("ALIVE")
    step = alive_stepper(task) if "alive" in sides else None

    def turn() -> None:
        if step:
            start = now()
            tokens = step(len(alive.wall))
            settled(task.gpu)
            alive.add(start, tokens)

    if "trl" not in sides:
        for _ in range(task.steps + 1):
            turn()
        return [alive]
    return [train_trl(task, turn), alive][: len(sides)]


def peak_alone(side: str) -> float:
    """Returns the gigabytes that two steps of one side need, in a process that has these options.

    The second step is the first that has the optimizer's moments. Linux counts to a new process
    what the one that started it held, so this one must still be small.
    """
    command = [sys.executable, *sys.argv, "--side", side, "--steps", "1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-2])


def train_trl(task: Task, after: Callable[[], None]) -> Side:
    """Takes the steps of GRPOTrainer, and calls ``after`` behind each.

    TRL's costly extras are off: no reference model, and no gradient checkpointing unless asked for.
    In bfloat16 its weights and moments are that too, the faster way, unless ``task.whole``; ALIVE's
    are float32 always.
    """
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    trl = Side("TRL")
    drawn: list[int] = []
    began = [now()]

    class Clock(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            settled(task.gpu)
            trl.add(began[0], sum(drawn))
            drawn.clear()
            after()
            began[0] = now()

    def rewards(completion_ids: list[list[int]], **_: Any) -> list[float]:
        drawn.append(sum(len(ids) for ids in completion_ids))
        return [reward(ids) for ids in completion_ids]

    completions, low = task.prompts * GROUP, task.dtype == "bfloat16"
    micro = min(task.micro, completions)
    with tempfile.TemporaryDirectory() as out:
        settings = GRPOConfig(
            output_dir=out,
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=completions // micro,
            num_generations=GROUP,
            max_completion_length=task.tokens,
            max_steps=task.steps + 1,
            learning_rate=1e-6,
            gradient_checkpointing=task.recomputes,
            bf16=low,
            use_cpu=not task.gpu,
            use_transformers_continuous_batching=task.paged,
            beta=0.0,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(
                task.folder, dtype=torch.bfloat16 if low and not task.whole else torch.float32
            ),
            reward_funcs=rewards,
            args=settings,
            train_dataset=Dataset.from_list([{"prompt": text} for text in task.texts()]),
            processing_class=AutoTokenizer.from_pretrained(task.folder),
            callbacks=[Clock()],
        )
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.train()
    return trl


def settled(gpu: bool) -> None:
    """Waits until a GPU has done what it was given."""
    if gpu:
        import torch

        torch.cuda.synchronize()


def main() -> None:
    """Runs both sides and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5, help="timed steps a side")
    parser.add_argument("--threads", type=int, default=0, help="0: all usable CPUs")
    parser.add_argument("--model", type=Path, help="a folder; default: a random small Llama")
    parser.add_argument("--prompts", type=int, default=8, help="a step, 16 completions each")
    parser.add_argument("--tokens", type=int, default=32, help="most of a completion")
    parser.add_argument("--paged", action="store_true", help="TRL by continuous batching")
    parser.add_argument("--recompute", action="store_true", help="activations, on both sides")
    parser.add_argument("--float32", action="store_true", help="TRL's weights and moments too")
    parser.add_argument("--side", choices=SIDES, help="one side alone, for its peak memory")
    options = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    warnings.filterwarnings("ignore")
    peaks = [] if options.side else [peak_alone(side) for side in SIDES]

    import torch

    from alive.engines.floor import measure_machine
    from alive.engines.memory import most_used
    from alive.engines.probe import choose_compute, usable_cpus
    from alive.engines.shape import read_shape

    threads = options.threads or usable_cpus()
    torch.set_num_threads(threads)
    gpu = bool(options.model) and torch.cuda.is_available()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.model or Path(scratch)
        device = "cuda" if gpu else "cpu"
        if not options.model:
            make_model(folder)
        shape = read_shape(str(folder))
        task = Task(
            folder,
            options.steps,
            options.prompts,
            options.tokens,
            threads,
            micro=(MICRO_GPU if gpu else MICRO_CPU) if options.model else options.prompts * GROUP,
            gpu=gpu,
            dtype=choose_compute(device, shape.hidden, shape.intermediate),
            paged=options.paged,
            recomputes=options.recompute,
            whole=options.float32,
        )
        sides = race(task, [options.side] if options.side else SIDES)
        peak = (
            most_used(device) or most_resident()
        )  # before the machine is measured, which takes memory too
        rate = measure_machine(device).operations(task.dtype)
    where = torch.cuda.get_device_name() if gpu else f"{threads} threads"
    print(f"{shape.parameters:,} parameters, {task.dtype}, {where}, {options.steps} steps")
    print(f"{'':8}{'s a step':>10}{'CPU s':>10}{'tokens':>9}{'tokens/s':>10}   each step")
    for side in sides:
        print(side.row())
    # A token costs 2 operations a weight in the sampling pass, 6 in forward and backward.
    floor = 8 * shape.parameters * options.prompts * GROUP * options.tokens / rate
    print(f"arithmetic floor {floor:.2f} s")
    if options.side:
        print(f"peak memory {peak / 1e9:.2f} GB")
        return
    trl, alive = sides
    print(f"ALIVE does {alive.rate() / trl.rate():.2f} times the tokens a second")
    print(f"peak memory alone: TRL {peaks[0]:.2f} GB, ALIVE {peaks[1]:.2f} GB")


if __name__ == "__main__":
    main()
