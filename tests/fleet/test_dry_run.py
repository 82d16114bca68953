"""A model's shards as torch lays them out over fake ranks, beside what is planned."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from alive.engines.shape import KNOWN

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import dry_run

SMALL = {
    "model_type": "qwen2",
    "vocab_size": 512,
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
}


@pytest.mark.slow
@pytest.mark.parametrize("tied", [False, True])
def test_a_rank_holds_what_is_planned(tied: bool) -> None:
    values = {**SMALL, "tie_word_embeddings": tied}
    there, plan = dry_run.counted(values, 4), dry_run.planned(values, 4)
    # q and o 256 x 256 with a bias of 256, k and v 256 x 64 with 64, three of 256 x 704, two norms.
    layer = 2 * 65_536 + 256 + 2 * (16_384 + 64) + 3 * 180_224 + 512
    weights = 3 * layer + (1 if tied else 2) * 512 * 256 + 256
    assert there.weights == plan.weights == weights  # four bytes each, divided by four
    assert there.moments == plan.moments == 2 * weights
    assert there.gradients == plan.gradients == weights
    assert there.whole <= plan.whole < 1.5 * there.whole


def test_the_7b_model_is_the_one_that_is_known() -> None:
    weights = dry_run.planned(dry_run.QWEN_7B, 8).weights
    assert weights == 4 * KNOWN["Qwen/Qwen2.5-7B"].parameters // 8
