"""One optimiser step: what it lowers, what it refuses, what it counts."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from tiny import llama, record

from alive.config import LearnConfig
from alive.learn.loss import Forward
from alive.learn.update import make_optimiser, role_weights, update

CONFIG = LearnConfig(learning_rate=1e-2)
RECORDS = [
    record((3, 4, 5), (6, 7), 1.0, "solve"),
    record((3, 4, 5), (8, 9), 1.0, "solve"),
    record((1, 2), (10, 11, 12), 1.0, "review"),
    record((1, 2, 9), (10,), 1.0, "pose"),
]


def weights_of(model) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def step(model, optimiser, records=RECORDS, config=CONFIG, rate: float = 1e-2, **more):
    forward = Forward.of(model)
    return update(forward, optimiser, records, config, learning_rate=rate, pad_id=0, **more)


def test_a_repeated_batch_is_learned() -> None:
    model = llama()
    optimiser = make_optimiser(model, CONFIG)
    seen = [step(model, optimiser) for _ in range(30)]
    assert seen[-1].loss < 0.1 * seen[0].loss
    assert seen[-1].role_loss["solve"] < 0.8  # two equally likely continuations: ln 2 / 2 a token
    assert {one.tokens for one in seen} == {8}


def test_the_report_is_that_of_the_weights_before_the_step() -> None:
    model = llama()
    ids = torch.tensor([[3, 4, 5, 6, 7]])
    logprobs = torch.log_softmax(model(input_ids=ids).logits[0], -1)
    nll = -(logprobs[2, 6] + logprobs[3, 7]).item() / 2
    found = step(model, make_optimiser(model, CONFIG), RECORDS[:1])
    assert found.role_loss == {"solve": pytest.approx(nll, abs=1e-5)}
    assert found.loss == pytest.approx(nll, abs=1e-5)
    assert found.tokens == 2


def test_a_negative_weight_lowers_the_likelihood() -> None:
    model = llama()
    optimiser = make_optimiser(model, CONFIG)
    wrong = [record((3, 4, 5), (6, 7), -1.0)]
    before = step(model, optimiser, wrong)
    for _ in range(3):
        after = step(model, optimiser, wrong)
    assert after.role_loss["solve"] > before.role_loss["solve"]
    assert before.loss == pytest.approx(-before.role_loss["solve"], abs=1e-5)


def test_one_pass_of_eight_and_eight_of_one_take_the_same_step() -> None:
    records = [record((3, 4, i), (5, i)) for i in range(8, 16)]
    ends = []
    for limit in (10_000, 1):
        model = llama()
        config = CONFIG.model_copy(update={"micro_batch_tokens": limit})
        stats = step(model, make_optimiser(model, config), records, config, rate=1e-3)
        ends.append((weights_of(model), stats))
    (one, one_stats), (eight, eight_stats) = ends
    assert one_stats.grad_norm == pytest.approx(eight_stats.grad_norm, rel=1e-4)
    assert one_stats.loss == pytest.approx(eight_stats.loss, rel=1e-5)
    for name in one:
        torch.testing.assert_close(one[name], eight[name], atol=1e-5, rtol=1e-4)


def test_a_step_of_a_clipped_gradient_is_no_longer_than_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = llama()
    before = weights_of(model)
    monkeypatch.setattr("alive.learn.update.MAX_GRAD_NORM", 0.5)
    sgd = torch.optim.SGD(model.parameters(), lr=1.0)
    stats = step(model, sgd, rate=1.0)
    assert stats.grad_norm > 0.5  # what is reported is the norm before clipping
    after = dict(model.named_parameters())
    moved = torch.sqrt(sum(((after[n] - before[n]) ** 2).sum() for n in after)).item()
    assert moved == pytest.approx(0.5, rel=1e-4)


def test_a_loss_that_is_not_finite_touches_nothing() -> None:
    model = llama()
    optimiser = make_optimiser(model, CONFIG)
    step(model, optimiser)
    with torch.no_grad():
        model.model.norm.weight[0] = float("nan")
    before = weights_of(model)
    moments = copy.deepcopy(optimiser.state_dict())
    stats = step(model, optimiser)
    assert stats.skipped
    assert not math.isfinite(stats.loss)
    for name, value in weights_of(model).items():
        assert torch.equal(value.nan_to_num(7.0), before[name].nan_to_num(7.0)), name
    for at, state in optimiser.state_dict()["state"].items():
        assert all(torch.equal(state[key], moments["state"][at][key]) for key in state)
    assert all(weight.grad is None for weight in model.parameters())


def test_records_without_weight_leave_the_model_as_it_is() -> None:
    model = llama()
    before = weights_of(model)
    optimiser = make_optimiser(model, CONFIG)
    for records in ([], [replace(RECORDS[0], weight=0.0)]):
        stats = step(model, optimiser, records)
        assert (stats.loss, stats.tokens, stats.role_loss) == (0.0, 0, {})
    assert all(torch.equal(before[name], value) for name, value in weights_of(model).items())


def test_completions_without_tokens_are_counted_and_train_nothing() -> None:
    nothing = record((1, 2), (), 1.0, "review")
    unweighted = record((1, 2), (), 0.0, "review")
    with_them, without = llama(), llama()
    stats = step(with_them, make_optimiser(with_them, CONFIG), [*RECORDS, nothing, unweighted])
    plain = step(without, make_optimiser(without, CONFIG), RECORDS)
    assert stats == replace(plain, empty=1, likelihoods=(*plain.likelihoods, None, None))
    left = weights_of(without)
    assert all(torch.equal(left[name], value) for name, value in weights_of(with_them).items())


def test_each_record_is_told_how_likely_it_was_before_the_step() -> None:
    """In their order, whatever is cut into batches, and taken together, below."""
    model = llama()
    records = [*RECORDS, replace(RECORDS[0], weight=0.0), RECORDS[0], record((1,), (2,))]
    expected = []
    for one in records:
        logits = model(input_ids=torch.tensor([[*one.prompt_ids, *one.completion_ids]])).logits[0]
        told = torch.log_softmax(logits[len(one.prompt_ids) - 1 : -1], -1)
        found = told.gather(1, torch.tensor(one.completion_ids)[:, None])
        expected.append(pytest.approx(found.mean().item(), abs=1e-5))
    config = CONFIG.model_copy(update={"micro_batch_tokens": 8})
    stats = step(model, make_optimiser(model, config), records, config)
    # One without weight, of which there is another with it, is taken together with that.
    assert [likely and likely.plain for likely in stats.likelihoods] == expected
    assert {likely.informed for likely in stats.likelihoods} == {None}


def test_role_weights_are_the_settings() -> None:
    given = {"pose": 1, "solve": 2, "review": 3, "revise": 4, "distil": 5}
    config = LearnConfig(**{f"{role}_weight": weight for role, weight in given.items()})
    assert role_weights(config) == given


def test_nothing_but_the_guarded_step_changes_a_weight() -> None:
    model = llama()
    optimiser = make_optimiser(model, CONFIG)
    before, held = weights_of(model), []
    assert not step(model, optimiser, apply=held.append).skipped
    assert all(torch.equal(before[name], value) for name, value in weights_of(model).items())
    assert len(held) == 1


def test_a_skipped_step_is_not_applied() -> None:
    model, held = llama(), []
    with torch.no_grad():
        model.model.norm.weight[0] = float("inf")
    assert step(model, make_optimiser(model, CONFIG), apply=held.append).skipped
    assert held == []


def test_whole_rows_give_the_step_of_shared_beginnings() -> None:
    ends = []
    for share in (True, False):
        model = llama()
        stats = step(model, make_optimiser(model, CONFIG), rate=1e-3, share=share)
        ends.append((stats, weights_of(model)))
    (one, shared), (two, whole) = ends
    assert one.loss == pytest.approx(two.loss, rel=1e-5)
    assert one.role_loss == pytest.approx(two.role_loss, rel=1e-5)
    for name in shared:
        torch.testing.assert_close(shared[name], whole[name], atol=1e-5, rtol=1e-4)
