"""Weights that train are float32; only what is computed of them may be less."""

from __future__ import annotations

import pytest
import torch
from tiny import policy, record

from alive.config import LearnConfig
from alive.engines.local.stored import trainable
from alive.engines.precision import Precision
from alive.worlds.primer.fresh import new_model


def test_the_compute_type_is_one_of_two() -> None:
    assert Precision("float32", "cpu").dtype == torch.float32
    low = Precision("bfloat16", "cpu")
    ones = torch.ones(2, 2)
    with low.autocast():
        assert (ones @ ones).dtype == low.dtype == torch.bfloat16
    with Precision("float32", "cpu").autocast():
        assert (ones @ ones).dtype == torch.float32


RECORDS = [
    record((3, 4, 5, first), (6, 7, second, 9, 2), role=role)
    for first, second, role in [
        (8, 1, "solve"),
        (9, 2, "solve"),
        (10, 3, "review"),
        (11, 4, "pose"),
    ]
]


@pytest.mark.parametrize("rank", [0, 4], ids=["all weights", "lora"])
def test_small_steps_move_weights_whatever_is_computed_in(seed_tokenizer, rank) -> None:
    """Kept in bfloat16, 2 % of them would move: 1e-6 is far below 1/256 of most weights."""
    shares = {}
    for dtype in ("float32", "bfloat16"):
        learner = policy(seed_tokenizer, learn=LearnConfig(), rank=rank, dtype=dtype)
        before = {name: w.detach().clone() for name, w in trainable(learner.model)}
        for _ in range(30):
            learner.update(RECORDS, 1e-6)
        linear = [
            (name, w) for name, w in trainable(learner.model) if w.ndim == 2 and "embed" not in name
        ]
        moved = sum(int((w != before[name]).sum()) for name, w in linear)
        shares[dtype] = moved / sum(w.numel() for _, w in linear)
        for _, weight in trainable(learner.model):
            assert weight.dtype == torch.float32
            state = learner._optimiser.state[weight]
            assert {state["exp_avg"].dtype, state["exp_avg_sq"].dtype} == {torch.float32}
    assert shares["bfloat16"] >= 0.99
    assert shares["float32"] >= 0.99


def test_bfloat16_learns_as_float32_does(seed_tokenizer) -> None:
    """The loss after 50 steps agrees within 1 %."""
    ends = {}
    for dtype in ("float32", "bfloat16"):
        model = new_model(seed_tokenizer, hidden=64, layers=2, seed=3)
        learner = policy(seed_tokenizer, model=model, dtype=dtype)
        losses = [learner.update(RECORDS, 3e-4).loss for _ in range(50)]
        ends[dtype] = losses[-1]
        assert losses[-1] < 0.7 * losses[0]
    assert ends["bfloat16"] == pytest.approx(ends["float32"], rel=0.01)


def test_cudnn_attends_but_where_gradients_are_taken() -> None:
    """Its backward pass gives NaN for some lengths; a CPU has none."""
    on = torch.backends.cuda.cudnn_sdp_enabled
    assert on()
    with Precision("bfloat16", "cuda").sound_gradients():
        assert not on()
        assert torch.backends.cuda.flash_sdp_enabled()
        assert torch.backends.cuda.mem_efficient_sdp_enabled()
    assert on()
    with Precision("float32", "cpu").sound_gradients():
        assert on()
