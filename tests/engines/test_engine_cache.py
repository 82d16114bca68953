"""Room for a completion: the same keys and values as one that grows, and no more."""

from __future__ import annotations

import pytest
import torch
from alive.engines.cache import make_room
from transformers import DynamicCache
from transformers.cache_utils import DynamicSlidingWindowLayer

U, H, P, W = 3, 2, 5, 4
"""Rows, heads, tokens, width."""


def filled(seed: int = 0) -> DynamicCache:
    torch.manual_seed(seed)
    cache = DynamicCache()
    for layer in range(2):
        cache.update(torch.randn(U, H, P, W), torch.randn(U, H, P, W), layer)
    return cache


def test_a_roomy_cache_holds_what_a_growing_one_holds() -> None:
    grown, roomy = filled(), filled()
    grown.batch_repeat_interleave(4)
    make_room(roomy, 4, tokens=3)
    assert roomy.get_seq_length() == P
    kept = torch.tensor([0, 2, 3, 11])
    for step in range(3):
        if step == 2:
            grown.batch_select_indices(kept)
            roomy.batch_select_indices(kept)
        rows = 4 if step == 2 else 4 * U
        for layer in range(2):
            new = torch.randn(rows, H, 1, W), torch.randn(rows, H, 1, W)
            expected, found = (cache.update(*new, layer) for cache in (grown, roomy))
            for a, b in zip(expected, found, strict=True):
                assert torch.equal(a, b)
    assert roomy.get_seq_length() == P + 3


def test_tokens_are_written_in_place() -> None:
    cache = filled()
    make_room(cache, 2, tokens=8)
    place = cache.layers[0].keys.data_ptr()
    for _ in range(8):
        cache.update(torch.zeros(2 * U, H, 1, W), torch.zeros(2 * U, H, 1, W), 0)
    assert cache.layers[0].keys.data_ptr() == place


def test_more_than_the_room_is_an_error() -> None:
    cache = filled()
    make_room(cache, 1, tokens=1)
    one = torch.zeros(U, H, 1, W)
    cache.update(one, one, 0)
    with pytest.raises(IndexError, match=f"room for {P + 1} tokens"):
        cache.update(one, one, 0)


def test_layers_of_other_kinds_are_repeated_and_grow_as_they_do() -> None:
    torch.manual_seed(0)
    cache = DynamicCache()
    cache.layers.append(DynamicSlidingWindowLayer(sliding_window=3))
    states = torch.randn(U, H, 2, W)
    cache.layers[0].update(states, states)
    make_room(cache, 2, tokens=4)
    assert type(cache.layers[0]) is DynamicSlidingWindowLayer
    assert torch.equal(cache.layers[0].keys, states.repeat_interleave(2, 0))
