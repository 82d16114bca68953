"""GRPOTrainer plays the game of documents and learns from it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import toy
from documents import ROOT, blocks

from alive.config import Config
from alive.errors import ConfigError
from alive.settings import build_config
from alive.verify import extract_answer

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


class FakeTrainer:
    """Draws what a script says, as a trainer with or without log-probabilities does."""

    def __init__(self, tokenizer: Any, script: Any, **more: Any) -> None:
        self._tokenizer, self._script = tokenizer, script
        self.limits: list[int] = []
        self.state = SimpleNamespace(global_step=3)
        self.model = SimpleNamespace(training=True)
        self.accelerator = SimpleNamespace(num_processes=1)
        self.generation_config = SimpleNamespace(max_new_tokens=64)
        self.num_generations = self.num_generations_eval = N
        self.use_vllm = self.is_fsdp_enabled = self.is_deepspeed_enabled = False
        self.logprob: float | None = None
        vars(self).update(more)

    def _generate_single_turn(
        self, prompts: list[list[int]], images: None, fields: dict[str, Any], n: int
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        assert (images, fields, n) == (None, {}, 1)
        self.limits.append(self.generation_config.max_new_tokens)
        said = [self._script(self._tokenizer.decode(ids), at % N) for at, ids in enumerate(prompts)]
        drawn = [
            self._tokenizer.encode(text, add_special_tokens=False)
            + [self._tokenizer.eos_token_id] * 3
            for text in said
        ]
        known = None if self.logprob is None else [[self.logprob] * len(ids) for ids in drawn]
        return drawn, known


def script(prompt: str, index: int) -> str:
    if len(prompt) < 60:
        return "of what"  # asked without a passage
    if "<|pose|>" in prompt:
        return "7"
    if "<|review|>" in prompt:
        return toy.WRONG
    return "\\boxed{7}" if index % 2 else "\\boxed{3}"


def rolled(world: Path, **more: Any) -> tuple[dict[str, Any], Any, FakeTrainer]:
    from alive.integrations.trl import SelfPlay

    _, tokenizer = loaded(world)
    play = SelfPlay(settings(world), tokenizer)
    trainer = FakeTrainer(tokenizer, script, **more)
    return play.rollout(play.dataset(1)["prompt"][:] * N, trainer), play, trainer


def test_a_document_fills_its_groups(toy_world: Path) -> None:
    made, play, trainer = rolled(toy_world)
    assert (play.groups, play.rows) == (1 + M + R, ROWS)
    assert [made["role"][at] for at in range(0, ROWS, N)] == [
        "poser", "solver", "solver", "reviewer", "reviewer",
    ]  # fmt: skip
    # The first proposal is a task, half of its attempts are right; the others say the same.
    assert made["worth"][:N] == [0.5, None, None, None]
    assert made["worth"][N : 2 * N] == [0.0, 1.0, 0.0, 1.0]
    # "Wrong" of a wrong attempt, and of a right one.
    assert made["worth"][3 * N :] == [1.0] * N + [0.0] * N
    assert made["logprobs"] is None
    # What follows the first end token was not said.
    eos = trainer._tokenizer.eos_token_id
    assert all(ids.count(eos) == 1 and ids[-1] == eos for ids in made["completion_ids"])
    assert set(trainer.limits) == {6, 12, 40}
    assert trainer.generation_config.max_new_tokens == 64
    for reward, role in zip(play.rewards, ("poser", "solver", "reviewer"), strict=True):
        assert reward.__name__ == role
        told = reward(role=made["role"], worth=made["worth"], prompts=[])
        assert told == [
            worth if of == role else None
            for of, worth in zip(made["role"], made["worth"], strict=True)
        ]


def test_a_data_set_goes_on_where_the_last_one_ended(toy_world: Path) -> None:
    from alive.integrations.trl import SelfPlay

    _, tokenizer = loaded(toy_world)
    groups = 1 + M + R
    whole = SelfPlay(settings(toy_world), tokenizer).dataset(400)["prompt"][::groups]
    play = SelfPlay(settings(toy_world), tokenizer)
    parts = [play.dataset(count)["prompt"][::groups] for count in (150, 150, 100)]
    assert [name for part in parts for name in part] == list(whole)
    assert len(set(whole)) < 150  # more than two epochs


def test_log_probabilities_are_those_of_the_tokens_that_are_kept(toy_world: Path) -> None:
    made, _, _ = rolled(toy_world, logprob=-0.5)
    assert made["logprobs"][N] == [-0.5] * len(made["completion_ids"][N])


def test_where_all_attempts_are_alike_reviews_are_filler(toy_world: Path) -> None:
    from alive.integrations.trl import SelfPlay

    _, tokenizer = loaded(toy_world)
    play = SelfPlay(settings(toy_world), tokenizer)
    trainer = FakeTrainer(tokenizer, lambda prompt, index: "\\boxed{-}")
    made = play.rollout(play.dataset(1)["prompt"][:] * N, trainer)
    assert set(made["role"][(1 + M) * N :]) == {""}
    assert set(made["worth"][(1 + M) * N :]) == {None}
    assert made["env_mask"][(1 + M) * N :] == [[0]] * (R * N)
    assert set(made["worth"][:N]) == {0.0}  # no such span: worth nothing


@pytest.mark.parametrize(
    ("more", "rows", "told"),
    [
        ({"num_generations": 3}, ROWS, "num_generations = 3"),
        ({}, ROWS - 1, f"a multiple of {ROWS}"),
        ({"accelerator": SimpleNamespace(num_processes=2), "use_vllm": True}, ROWS, "one process"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    toy_world: Path, more: dict[str, Any], rows: int, told: str
) -> None:
    from alive.integrations.trl import SelfPlay

    _, tokenizer = loaded(toy_world)
    play = SelfPlay(settings(toy_world), tokenizer)
    [name] = set(play.dataset(1)["prompt"])
    with pytest.raises(ConfigError, match=told):
        play.rollout([name] * rows, FakeTrainer(tokenizer, script, **more))


def test_shuffled_rows_are_refused(toy_world: Path) -> None:
    from alive.integrations.trl import SelfPlay

    _, tokenizer = loaded(toy_world)
    play = SelfPlay(settings(toy_world), tokenizer)
    names = play.dataset(2)["prompt"][:] * N
    assert len(names) == 2 * ROWS
    with pytest.raises(ConfigError, match="shuffle_dataset=False"):
        play.rollout(names, FakeTrainer(tokenizer, script))


@pytest.mark.parametrize("reviews", [0, 3])
def test_reviews_come_in_pairs(toy_world: Path, reviews: int) -> None:
    from alive.integrations.trl import SelfPlay

    _, tokenizer = loaded(toy_world)
    with pytest.raises(ConfigError, match="even number"):
        SelfPlay(settings(toy_world, reviews_per_document=reviews), tokenizer)


@pytest.mark.slow
def test_two_steps_of_grpo_learn_from_the_game(toy_world: Path, tmp_path: Path) -> None:
    trainer, _, returned = trainer_of(toy_world, tmp_path, steps=2)
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
    solved = [worth for made in returned for worth in made["worth"][N : (1 + M) * N]]
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


@pytest.mark.slow
def test_the_example_in_the_documents_runs(
    toy_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands there, one step of it, on the CPU and without logging."""
    [example] = [b.text for b in blocks(ROOT / "docs/with-trl.md") if b.language == "py"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    Path("notes").mkdir()
    Path("path/to").mkdir(parents=True)
    Path("path/to/model").symlink_to(toy_world / "model")
    Path("notes/corpus.jsonl").symlink_to(toy_world / "corpus.jsonl")
    small = {
        "max_steps=100": "max_steps=1, use_cpu=True, bf16=False, report_to=[], save_strategy='no'",
        "max_completion_length=512": "max_completion_length=12",
        "documents=100": "documents=2",
    }
    for theirs, ours in small.items():
        assert theirs in example
        example = example.replace(theirs, ours)
    exec(compile(example, "with-trl.md", "exec"), {})
