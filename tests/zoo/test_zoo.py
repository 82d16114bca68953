"""Every family goes the user's way: sample, learn, adapters, save, resume, shape.

``make test`` runs the families whose caches, heads or layers differ in kind; ``make test-all`` all.
"""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import families
import pytest
import torch
from driver import Driver, plain_logprobs, plain_loss, plain_model

from alive.engines.models import load_tokenizer
from alive.engines.shape import read_shape
from alive.types import Rollout

FAST = ("qwen3_5", "gemma3", "mistral_window", "gpt_oss", "mixtral", "gpt2", "mamba", "cohere")

TOLERANCE = 1e-4
EACH = [
    pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in families.FAMILIES
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Returns each family's model folder, written once."""
    written: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in written:
            written[name] = families.save(name, tmp_path_factory.mktemp(name))
        return written[name]

    with warnings.catch_warnings():
        # Families announce what they were renamed to, or which kernels would be faster.
        warnings.simplefilter("ignore")
        yield folder


def _prompts() -> list[tuple[int, ...]]:
    """Four that share 20 tokens and go on for 3, 20, 30 and 8; two that share nothing."""
    draw, size = random.Random(0), len(families.tokenizer())

    def tokens(n: int) -> tuple[int, ...]:
        return tuple(draw.randrange(30, size) for _ in range(n))

    common = tokens(20)
    return [*(common + tokens(n) for n in (3, 20, 30, 8)), tokens(5), tokens(41)]


@pytest.mark.parametrize("name", EACH)
def test_samples_with_the_log_probabilities_of_a_plain_pass(name: str, folders: Any) -> None:
    drawn = Driver(folders(name)).sample(_prompts(), 4, 12, stop=("e", "1"))

    rows = [row for group in drawn for row in group]
    assert [len(group) for group in drawn] == [4] * 6
    assert any(row.stop == "stop" for row in rows)
    assert len({len(row.completion_ids) for row in rows}) > 1  # some finish before others
    words = len(load_tokenizer(str(folders(name))))
    assert all(max(row.completion_ids) < words for row in rows)
    model = plain_model(folders(name))
    with torch.no_grad():
        for row in rows:
            torch.testing.assert_close(
                torch.tensor(row.logprobs), plain_logprobs(model, row), atol=TOLERANCE, rtol=0
            )


@pytest.mark.parametrize("name", EACH)
def test_learns_as_from_whole_logits(name: str, folders: Any) -> None:
    driver = Driver(folders(name))
    rows = [row for group in driver.sample(_prompts(), 2, 6) for row in group]
    _takes_the_step_of_whole_logits(driver, plain_model(folders(name)), rows)


@pytest.mark.parametrize("name", EACH)
def test_adapters_learn_and_resume(name: str, folders: Any, tmp_path: Path) -> None:
    driver = Driver(folders(name), rank=4)
    rows = [row for group in driver.sample(_prompts(), 2, 6) for row in group]
    _takes_the_step_of_whole_logits(driver, driver.model, rows)
    assert sum(w.numel() for w in driver.state().values()) == (
        read_shape(str(folders(name))).lora_parameters(4)
    )
    _resumes(driver, Driver(folders(name), rank=4), rows, tmp_path)


@pytest.mark.parametrize("name", EACH)
def test_saves_and_resumes(name: str, folders: Any, tmp_path: Path) -> None:
    driver = Driver(folders(name))
    rows = [row for group in driver.sample(_prompts(), 1, 6) for row in group]
    driver.learn(rows)
    with torch.no_grad():
        learned = [plain_logprobs(driver.model, row) for row in rows]

    _resumes(driver, Driver(folders(name)), rows, tmp_path)

    saved = plain_model(tmp_path / "saved")
    with torch.no_grad():
        for row, expected in zip(rows, learned, strict=True):
            torch.testing.assert_close(plain_logprobs(saved, row), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", EACH)
def test_its_size_is_known_without_its_weights(name: str, folders: Any) -> None:
    shape = read_shape(str(folders(name)))

    weights = plain_model(folders(name)).parameters()
    assert shape.parameters == sum(weight.numel() for weight in weights)
    assert shape.hidden in (32, 64)
    assert shape.layers in (2, 3, 4)
    assert shape.vocabulary == families.vocabulary()


def _takes_the_step_of_whole_logits(driver: Driver, model: Any, rows: list[Rollout]) -> None:
    loss = plain_loss(model, rows)
    loss.backward()
    gradients = {n: w.grad.clone() for n, w in model.named_parameters() if w.grad is not None}
    norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
    before = driver.state()

    stats = driver.learn(rows)

    assert stats.loss == pytest.approx(loss.item(), abs=TOLERANCE)
    assert stats.grad_norm == pytest.approx(norm.item(), rel=1e-3)
    moved = {n for n, weight in driver.state().items() if not weight.equal(before[n])}
    assert moved >= {n for n, gradient in gradients.items() if gradient.abs().max() > 1e-6}


def _resumes(driver: Driver, other: Driver, rows: list[Rollout], tmp_path: Path) -> None:
    """One that goes on and one that is stopped here take the same next step."""
    tensors = driver.save(tmp_path / "saved")
    other.restore(tmp_path / "saved", tensors, 1)
    driver.learn(rows)
    other.learn(rows)
    resumed = other.state()
    for name, weight in driver.state().items():
        torch.testing.assert_close(resumed[name], weight, atol=1e-6, rtol=0, msg=name)
