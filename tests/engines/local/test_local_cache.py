"""Room for a completion: the same keys and values as one that grows, and no more."""

from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicSlidingWindowLayer

from alive.engines.local.cache import make_room, select_rows

U, H, P, W = 3, 2, 5, 4
"""Rows, heads, tokens, width."""

OWNER = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2, 2])
"""Unlike numbers of rows a prompt."""


def filled(seed: int = 0) -> DynamicCache:
    torch.manual_seed(seed)
    cache = DynamicCache()
    for layer in range(2):
        cache.update(torch.randn(U, H, P, W), torch.randn(U, H, P, W), layer)
    return cache


def test_a_roomy_cache_holds_what_a_growing_one_holds() -> None:
    grown, roomy = filled(), filled()
    grown.batch_select_indices(OWNER)
    make_room(roomy, OWNER, 3, torch.float32)
    assert roomy.get_seq_length() == P
    kept = torch.tensor([0, 2, 3, 8])
    for step in range(3):
        if step == 2:
            grown.batch_select_indices(kept)
            select_rows(roomy, kept)
        rows = 4 if step == 2 else len(OWNER)
        for layer in range(2):
            new = torch.randn(rows, H, 1, W), torch.randn(rows, H, 1, W)
            expected, found = (cache.update(*new, layer) for cache in (grown, roomy))
            for a, b in zip(expected, found, strict=True):
                assert torch.equal(a, b)
    assert roomy.get_seq_length() == P + 3


def test_tokens_are_written_in_place() -> None:
    cache = filled()
    make_room(cache, OWNER, 8, torch.float32)
    place = cache.layers[0].keys.data_ptr()
    for _ in range(8):
        new = torch.zeros(len(OWNER), H, 1, W)
        cache.update(new, new, 0)
    assert cache.layers[0].keys.data_ptr() == place


def test_more_than_the_room_is_an_error() -> None:
    cache = filled()
    make_room(cache, torch.arange(U), 1, torch.float32)
    new = torch.zeros(U, H, 1, W)
    cache.update(new, new, 0)
    with pytest.raises(IndexError, match=f"room for {P + 1} tokens"):
        cache.update(new, new, 0)


def test_a_cache_is_held_in_what_attention_computes_in() -> None:
    cache = filled()
    before = cache.layers[1].keys.clone()
    make_room(cache, OWNER, 2, torch.bfloat16)
    new = torch.randn(len(OWNER), H, 1, W)
    keys, values = cache.update(new, new, 1)
    assert (keys.dtype, values.dtype) == (torch.bfloat16, torch.bfloat16)
    assert torch.equal(keys[..., :P, :], before[OWNER].bfloat16())
    assert torch.equal(keys[..., P:, :], new.bfloat16())


def test_layers_of_other_kinds_are_copied_and_grow_as_they_do() -> None:
    torch.manual_seed(0)
    cache = DynamicCache()
    cache.layers.append(DynamicSlidingWindowLayer(sliding_window=3))
    states = torch.randn(U, H, 2, W)
    cache.layers[0].update(states, states)
    make_room(cache, OWNER, 4, torch.bfloat16)
    assert type(cache.layers[0]) is DynamicSlidingWindowLayer
    assert torch.equal(cache.layers[0].keys, states[OWNER])
