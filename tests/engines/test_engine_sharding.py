"""Weights that are sharded, on one rank: the steps of weights that are whole."""

from __future__ import annotations

import pytest
import torch
from sharded import RECORDS, assert_sharded_steps_are_the_same, one_rank
from tiny import llama

from alive.config import LearnConfig
from alive.engines.together.sharding import Shards
from alive.errors import ConfigError
from alive.learn.batch import micro_batches
from alive.learn.update import role_weights


def test_sharded_steps_are_those_of_whole_weights() -> None:
    assert_sharded_steps_are_the_same("cpu", 1e-5)


def test_ranks_with_nothing_to_do_pass_through_what_counts_for_nothing() -> None:
    with one_rank("cpu") as ranks:
        shards = Shards(ranks, llama(), torch.float32)
        batches = list(micro_batches(RECORDS, role_weights(LearnConfig()), 0, 4))
        ranks.size, ranks.rank = 3, 2  # as the last of three sees it
        dealt = list(shards.dealt(batches))
    assert len(dealt) == -(-len(batches) // 3)
    idle = [batch for batch, counts in dealt if not counts]
    assert len(idle) == (len(batches) % 3 != 0)
    assert all(batch.weights.abs().sum() == 0 for batch in idle)


def test_a_model_without_layers_is_refused() -> None:
    with one_rank("cpu") as ranks, pytest.raises(ConfigError, match=r"learn\.sharding=off"):
        Shards(ranks, torch.nn.Linear(2, 2), torch.float32)


@pytest.mark.parametrize(
    ("ranks", "gpus", "adapters", "sharding", "expected"),
    [
        (1, True, False, "on", False),
        (2, True, False, "auto", True),
        (2, True, True, "on", False),
        (2, False, False, "auto", False),
        (2, False, False, "on", True),
        (2, True, False, "off", False),
    ],
)
def test_weights_are_shared_out_where_that_pays(
    ranks: int, gpus: bool, adapters: bool, sharding: str, expected: bool
) -> None:
    learn = LearnConfig(sharding=sharding)
    assert learn.shards(ranks, on_gpus=gpus, adapters=adapters) is expected


def test_a_teacher_with_weights_of_its_own_keeps_them_whole() -> None:
    learn = LearnConfig(distil_weight=1.0, distil_follow=0.5)
    assert learn.shards(2, on_gpus=True, adapters=False) is False
    with pytest.raises(ValueError, match="keeps a teacher's weights whole"):
        LearnConfig(distil_weight=1.0, distil_follow=0.5, sharding="on")
