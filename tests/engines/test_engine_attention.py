"""Queries that share a key are multiplied with it together, whether or not anything is padded."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import gpt2, llama, policy
from tiny_models import gelu

from alive.engines.attention import group_queries
from alive.engines.lean import LeanModel


def stepped(model: Any, **given: Any) -> torch.Tensor:
    """Logits of a token that is read after two others."""
    with torch.no_grad():
        begun = model(input_ids=torch.tensor([[3, 1], [4, 1]]), use_cache=True)
        found: torch.Tensor = model(
            input_ids=torch.tensor([[5], [9]]), past_key_values=begun.past_key_values, **given
        ).logits
        return found[:, -1]


def whole(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=torch.tensor([[3, 1, 5], [4, 1, 9]])).logits
        return found[:, -1]


def test_a_step_is_that_of_a_whole_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model = llama()
    expected = whole(model)
    group_queries(model)
    shapes = []
    attend = torch.nn.functional.scaled_dot_product_attention

    def seen(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **given: Any) -> Any:
        shapes.append((tuple(query.shape), bool(given.get("enable_gqa"))))
        return attend(query, key, value, **given)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", seen)
    torch.testing.assert_close(stepped(model), expected, atol=1e-5, rtol=1e-5)
    # Of 2 rows, one key head with both of its queries, of 8 numbers; in 2 layers.
    assert shapes[-2:] == [((2, 1, 2, 8), False)] * 2
    padded = torch.tensor([[1, 1, 1], [0, 1, 1]])
    stepped(model, attention_mask=padded)
    assert shapes[-2:] == [((2, 1, 2, 8), False)] * 2


def test_a_prompt_is_read_as_before() -> None:
    model = llama()
    expected = whole(model)
    group_queries(model)
    assert torch.equal(whole(model), expected)


def test_families_without_shared_keys_are_left_alone() -> None:
    model = gpt2()
    before = model.config._attn_implementation
    group_queries(model)
    assert model.config._attn_implementation == before == "sdpa"


@pytest.mark.parametrize("rank", [0, 2])
def test_a_policy_samples_so(seed_tokenizer: Any, rank: int) -> None:
    sampler = policy(seed_tokenizer, rank=rank, model=gelu(len(seed_tokenizer)))
    read = sampler._sampler.decoder.model
    assert not isinstance(read, LeanModel)
    assert read.config._attn_implementation == "alive_grouped"


def test_a_model_with_a_lean_pass_groups_them_there(seed_tokenizer: Any) -> None:
    read = policy(seed_tokenizer)._sampler.decoder.model
    assert isinstance(read, LeanModel)
    assert read.config._attn_implementation == "sdpa"
