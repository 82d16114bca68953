"""GRPOTrainer plays the game of documents and learns from it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from alive.config import Config
from alive.errors import ConfigError
from alive.settings import build_config
from alive.verify import extract_answer, matches

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")  # TRL's own warnings
M, N, R = 2, 4, 2
ROWS = (1 + M + R) * N


def settings(world: Path, **game: Any) -> Config:
    sizes = {"masks_per_document": M, "solutions_per_mask": N, "reviews_per_document": R}
    return build_config(
        [
            (
                "test",
                {
                    "corpus": {"paths": [str(world / "corpus.jsonl")]},
                    "game": {**sizes, "random_share": 0.0, **game},
                    "sampling": {"pose_tokens": 6, "solve_tokens": 12, "review_tokens": 40},
                },
            )
        ]
    )


def loaded(world: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = world / "model"
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def trainer_of(world: Path, out: Path, steps: int, **more: Any) -> tuple[Any, Any, list[Any]]:
    """A trainer, its game, and what each call of the rollout function returned."""
    from trl import GRPOConfig, GRPOTrainer

    from alive.integrations.trl import SelfPlay

    model, tokenizer = loaded(world)
    play = SelfPlay(settings(world), tokenizer)
    returned: list[dict[str, Any]] = []

    def watched(prompts: list[str], trainer: Any) -> dict[str, Any]:
        returned.append(play.rollout(prompts, trainer))
        return dict(returned[-1])

    args = GRPOConfig(
        output_dir=str(out),
        num_generations=N,
        max_completion_length=64,
        max_steps=steps,
        shuffle_dataset=False,
        **{"per_device_train_batch_size": ROWS, "learning_rate": 5e-3, "use_cpu": True, **more},
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = GRPOTrainer(
        model=model,
        args=args,
        reward_funcs=play.rewards,
        train_dataset=play.dataset(2 * steps),
        processing_class=tokenizer,
        rollout_func=watched,
    )
    return trainer, play, returned


@pytest.mark.slow
def test_two_steps_of_grpo_learn_from_the_game(toy_world: Path, tmp_path: Path) -> None:
    trainer, play, returned = trainer_of(toy_world, tmp_path, steps=2)
    before = {name: weight.clone() for name, weight in trainer.model.state_dict().items()}
    trainer.train()
    assert len(returned) == 2
    for made in returned:
        assert made["role"][:N] == ["poser"] * N
        assert made["role"][N : (1 + M) * N] == ["solver"] * (M * N)
        assert set(made["role"][(1 + M) * N :]) <= {"reviewer", ""}
        assert {len(column) for name, column in made.items() if name != "logprobs"} == {ROWS}
        for ids, mask, role in zip(
            made["completion_ids"], made["env_mask"], made["role"], strict=True
        ):
            assert mask == [int(bool(role))] * len(ids)
        for ids, worth, role in zip(
            made["completion_ids"], made["worth"], made["role"], strict=True
        ):
            if role == "solver":
                text = trainer.processing_class.decode(ids, skip_special_tokens=True)
                assert worth in (0.0, 1.0)
                assert worth == 0.0 or extract_answer(text) is not None
    solved = [w for made in returned for w, r in zip(made["worth"], made["role"]) if r == "solver"]
    assert {0.0, 1.0} == set(solved)  # else nothing was there to learn
    logged = [entry for entry in trainer.state.log_history if "rewards/solver/mean" in entry]
    assert len(logged) == 2
    assert sum(entry["rewards/solver/mean"] for entry in logged) / 2 == pytest.approx(
        sum(solved) / len(solved)
    )
    moved = [not torch.equal(before[name], w) for name, w in trainer.model.state_dict().items()]
    assert any(moved)
    assert all(torch.isfinite(weight).all() for weight in trainer.model.state_dict().values())


@pytest.mark.slow
def test_a_filler_trains_nothing(toy_world: Path, tmp_path: Path) -> None:
    """Rows of which nothing is known leave the weights as they are."""
    trainer, play, _ = trainer_of(toy_world, tmp_path, steps=1)
    rows = play.rollout

    def empty(prompts: list[str], of: Any) -> dict[str, Any]:
        made = rows(prompts, of)
        made["role"], made["worth"] = [""] * ROWS, [None] * ROWS
        made["env_mask"] = [[0] * len(ids) for ids in made["completion_ids"]]
        return made

    trainer.rollout_func = empty
    before = {name: weight.clone() for name, weight in trainer.model.state_dict().items()}
    trainer.train()
    for name, weight in trainer.model.state_dict().items():
        torch.testing.assert_close(weight, before[name], rtol=0, atol=0)
