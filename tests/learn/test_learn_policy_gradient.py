"""The clipped policy gradient, worked by hand; that it is TRL's: test_arm_grpo_matches_trl.py."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tiny import llama, record

from alive.config import LearnConfig
from alive.learn.batch import micro_batches, token_weights
from alive.learn.loss import Forward, clipped, policy_gradient_loss
from alive.learn.update import make_optimiser, update
from alive.types import TrainingRecord


def test_ratios_are_clipped_on_the_side_that_would_gain() -> None:
    sampled = torch.zeros(4)
    ratios = [1.5, 0.5, 1.5, 0.5]
    logprobs = torch.tensor([math.log(r) for r in ratios], requires_grad=True)
    weights = torch.tensor([1.0, 1.0, -1.0, -1.0])
    loss = policy_gradient_loss(logprobs, sampled, weights)
    # Gains stop at 1.28 and, for a negative advantage, at 0.8; losses count in full.
    assert loss.item() == pytest.approx(-(1.28 + 0.5 - 1.5 - 0.8))
    loss.backward()
    assert logprobs.grad.tolist() == pytest.approx([0.0, -0.5, 1.5, 0.0])


def step(model, records):
    config = LearnConfig()
    optimiser = make_optimiser(model, config)
    return update(Forward.of(model), optimiser, records, config, learning_rate=0.0, pad_id=0)


def rewarded(completion: tuple[int, ...], weight: float) -> TrainingRecord:
    sampled = tuple(-0.1 * i - 1 for i in range(len(completion)))
    return TrainingRecord(
        "solve", (3, 4), completion, weight, "d",
        sampling_logprobs=sampled, loss="policy_gradient",
    )  # fmt: skip


def test_advantages_are_normalised_by_tokens_alone() -> None:
    made = [rewarded((5, 6, 7), 2.0), rewarded((8,), -0.5)]
    assert token_weights(made, {"solve": 1.0}) == [2.0 / 4, -0.5 / 4]


def test_the_loss_says_what_is_done_not_the_presence_of_log_probabilities() -> None:
    imitated = replace(rewarded((5, 6, 7), 2.0), loss="likelihood")
    assert token_weights([imitated], {"solve": 1.0}) == [1 / 3]
    (batch,) = micro_batches([imitated], {"solve": 1.0}, 0, 1000)
    assert batch.sampled is None


def test_no_pass_mixes_advantages_with_likelihoods() -> None:
    made = [rewarded((5, 6, 7), 2.0), record((3, 4), (9, 9), 1.0, "pose"), rewarded((8,), -0.5)]
    found = list(micro_batches(made, {"solve": 1.0, "pose": 1.0}, 0, 1000))
    assert [batch.sampled is None for batch in found] == [True, False]
    batch = found[1]
    assert batch.sampled is not None
    kept = [row[mask.bool()].tolist() for row, mask in zip(batch.sampled, batch.mask, strict=True)]
    assert sorted(map(len, kept)) == [1, 3]
    assert max(kept, key=len) == pytest.approx([-1.0, -1.1, -1.2])
    assert batch.sampled[batch.mask == 0].abs().sum() == 0


def test_a_step_raises_what_had_an_advantage() -> None:
    model = llama()
    learn = LearnConfig(learning_rate=1e-2)
    optimiser = make_optimiser(model, learn)

    def chance(token: int) -> float:
        with torch.no_grad():
            return torch.softmax(model(torch.tensor([[3, 4]])).logits[0, -1], -1)[token].item()

    before = chance(5), chance(6)
    good, bad = (
        TrainingRecord(
            "solve",
            (3, 4),
            (token,),
            sign,
            "d",
            sampling_logprobs=(math.log(p),),
            loss="policy_gradient",
        )
        for token, sign, p in ((5, 1.0, before[0]), (6, -1.0, before[1]))
    )
    update(Forward.of(model), optimiser, [good, bad], learn, learning_rate=1e-2, pad_id=0)
    assert chance(5) > before[0]
    assert chance(6) < before[1]


def test_no_records_change_nothing() -> None:
    model = llama()
    learn = LearnConfig()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    optimiser = make_optimiser(model, learn)
    stats = update(Forward.of(model), optimiser, [], learn, learning_rate=1.0, pad_id=0)
    assert (stats.loss, stats.tokens) == (0.0, 0)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_clipping_is_counted_where_it_takes_the_gradient() -> None:
    sampled = torch.zeros(6)
    logprobs = torch.tensor([1.3, 1.27, 0.79, 1.3, 0.79, 0.81]).log().requires_grad_()
    weights = torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0, -1.0])
    policy_gradient_loss(logprobs, sampled, weights).backward()
    assert clipped(logprobs, sampled, weights).tolist() == [True, False, False, False, True, False]
    assert (logprobs.grad == 0).tolist() == [True, False, False, False, True, False]


def test_an_update_tells_how_far_the_sampler_was() -> None:
    model = llama()
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[3, 4, 6, 7]])).logits[0]
    exact = torch.log_softmax(logits, -1)[[1, 2], [6, 7]]
    drawn = replace(
        record((3, 4), (6, 7), 1.0, "solve"),
        loss="policy_gradient",
        sampling_logprobs=(exact[0].item() - 0.5, exact[1].item() + 0.1),
    )
    stats = step(model, [drawn])
    assert stats.sampler is not None
    assert stats.sampler.mean == pytest.approx(0.3, abs=1e-4)
    assert stats.sampler.most == pytest.approx(0.5, abs=1e-4)
    assert stats.sampler.clipped == 0.5  # e^.5 is above 1.28, e^-.1 within
    assert step(model, [record((3, 4), (6, 7), 1.0, "solve")]).sampler is None
