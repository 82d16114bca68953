"""GRPO is TRL's: the same batches give the same losses and, step for step, the same weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import llama

from alive.arms.baselines import advantages
from alive.config import LearnConfig
from alive.learn.loss import Forward
from alive.learn.update import make_optimiser, update
from alive.types import TrainingRecord

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # TRL's own warnings
GROUP, PROMPTS, RATE = 4, 3, 3e-2


def tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    words = {"</s>": 0} | {f"w{i}": i for i in range(1, 32)}
    core = Tokenizer(WordLevel(words, unk_token="w1"))
    core.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", pad_token="</s>")


def batches_of_trl(model: Any, folder: Path, steps: int) -> tuple[list[dict[str, Any]], list]:
    """Lets TRL train; returns what each of its steps was given, with its loss, and the rewards."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    seen: list[dict[str, Any]] = []
    rewards: list[list[float]] = []

    class Watched(GRPOTrainer):
        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
            loss = super()._compute_loss(model, inputs)
            seen.append({**inputs, "loss": loss.item()})
            return loss

    def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
        rewards.append([float(ids[0] % 3 == 0) for ids in completion_ids])
        return rewards[-1]

    settings = GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=PROMPTS * GROUP,
        num_generations=GROUP,
        num_iterations=2,  # the second one meets ratios other than 1
        max_completion_length=6,
        max_steps=steps,
        learning_rate=RATE,
        lr_scheduler_type="constant",
        adam_beta2=0.98,
        epsilon_high=0.28,
        bf16=False,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    assert (settings.loss_type, settings.beta, settings.epsilon) == ("dapo", 0.0, 0.2)
    rows = [{"prompt": f"w{i % 31 + 1} w{(7 * i) % 31 + 1} w5"} for i in range(PROMPTS * steps)]
    trainer = Watched(
        model=model,
        reward_funcs=reward,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer(),
    )
    trainer.train()
    return seen, rewards


def records_of(batch: dict[str, Any]) -> list[TrainingRecord]:
    old = batch["old_per_token_logps"]
    made = []
    for i, advantage in enumerate(batch["advantages"].tolist()):
        kept = batch["completion_mask"][i].bool()
        prompt = batch["prompt_ids"][i][batch["prompt_mask"][i].bool()]
        made.append(
            TrainingRecord(
                "solve",
                tuple(prompt.tolist()),
                tuple(batch["completion_ids"][i][kept].tolist()),
                advantage,
                "d",
                sampling_logprobs=tuple(old[i][kept].tolist()),
                loss="policy_gradient",
            )
        )
    return made


def test_losses_and_weights_are_those_of_trl(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    theirs = llama()
    ours = copy.deepcopy(theirs)
    batches, rewards = batches_of_trl(theirs, tmp_path, steps=6)
    assert len(batches) == 6
    learn = LearnConfig(learning_rate=RATE)
    optimiser = make_optimiser(ours, learn)
    for batch in batches:
        stats = update(
            Forward.of(ours), optimiser, records_of(batch), learn, learning_rate=RATE, pad_id=0
        )
        assert stats.loss == pytest.approx(batch["loss"], abs=1e-5)
    # Ratios left the clip's range somewhere, and the loss is not the constant it is at ratio 1.
    assert any(abs(batch["loss"]) > 1e-3 for batch in batches)
    for name, weight in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], weight, atol=1e-4, rtol=1e-3)
    groups = [rewards[0][at : at + GROUP] for at in range(0, len(rewards[0]), GROUP)]
    expected = [value for group in groups for value in advantages(group)]
    # TRL shuffles a batch after it has scored it.
    assert sorted(batches[0]["advantages"].tolist()) == pytest.approx(sorted(expected), abs=1e-5)
