"""How rows may stand beside each other: read off the cache, proven by plain passes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf
from tiny import built, gpt2, llama, policy, sample

from alive.engines.local.layout import Layout, plain_logprobs
from alive.errors import ModelError
from alive.protocols import Request, SamplingParams
from alive.types import Prompt

WINDOW = 16

WIDE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": None,
}
LINEAR = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
KINDS = ["sliding_attention", "full_attention"]


def mistral(size: int) -> Any:
    return built(hf.MistralConfig(vocab_size=size, sliding_window=WINDOW, **WIDE))


def gemma3(size: int) -> Any:
    shape = {**WIDE, "head_dim": 16, "sliding_window": WINDOW, "layer_types": KINDS}
    return built(hf.Gemma3TextConfig(vocab_size=size, query_pre_attn_scalar=16, **shape))


def qwen3_5(size: int) -> Any:
    shape = {**WIDE, "num_hidden_layers": 4, "num_key_value_heads": 2, "head_dim": 16, **LINEAR}
    return built(hf.Qwen3_5TextConfig(vocab_size=size, **shape))


def lfm2(size: int) -> Any:
    shape = {**WIDE, "num_key_value_heads": 2, "layer_types": ["conv", "full_attention"]}
    return built(hf.Lfm2Config(vocab_size=size, **shape))


def mamba(size: int) -> Any:
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "pad_token_id": 0}
    return built(hf.MambaConfig(vocab_size=size, bos_token_id=None, eos_token_id=None, **shape))


def minimax(size: int) -> Any:
    """Keeps its linear layers' states beside the cache's layers, in the order of its prompts."""
    experts = {"num_local_experts": 2, "num_experts_per_tok": 1}
    kinds = ["linear_attention", "full_attention"]
    shape = {**WIDE, "head_dim": 16, "layer_types": kinds, "block_size": 16, **experts}
    return built(hf.MiniMaxConfig(vocab_size=size, **shape))


SHARED, PADDED = {Layout.SHARED}, {Layout.PADDED}
SLOWER = {Layout.EQUAL, Layout.UNCACHED}


@pytest.mark.parametrize(
    ("make", "layouts"),
    [
        (llama, SHARED),
        (gpt2, SHARED),
        (mistral, PADDED),
        (gemma3, PADDED),
        (qwen3_5, SLOWER),
        (lfm2, SLOWER),
        (mamba, SLOWER),
        (minimax, {Layout.UNCACHED}),
    ],
)
def test_a_family_is_sampled_as_fast_as_it_allows_and_rightly(
    seed_tokenizer, make, layouts
) -> None:
    """Prompts that begin alike, with rests that end before, in and behind a window."""
    sampler = policy(seed_tokenizer, model=make(len(seed_tokenizer)))
    assert sampler._sampler.decoder.layout in layouts
    begun = tuple(40 + at % 7 for at in range(20))
    rests = [tuple(50 + (at * at + n) % 11 for at in range(n)) for n in (3, 20, 30, 8, 8)]
    prompts = [Prompt("solve", (*begun, *rest)) for rest in rests]
    params = SamplingParams(10)
    groups = sample(sampler, *(Request(p, 3, params, at) for at, p in enumerate(prompts)))
    for prompt, group in zip(prompts, groups, strict=True):
        for rollout in group:
            expected = plain_logprobs(sampler.model, prompt.ids, rollout.completion_ids)
            found = torch.tensor(rollout.logprobs)
            torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize(("make", "layout"), [(llama, Layout.SHARED), (gemma3, Layout.PADDED)])
def test_bfloat16_may_round_and_is_no_reason_for_a_slower_way(seed_tokenizer, make, layout) -> None:
    """The weights that train are float32; what matters is what they are computed in."""
    sampler = policy(seed_tokenizer, model=make(len(seed_tokenizer)), dtype="bfloat16")
    assert sampler._sampler.decoder.layout is layout


def lying(model: Any, when: Any) -> Any:
    """Adds to the logits of each pass that ``when`` says is to lie, another lie every time."""
    passes = iter(range(10_000))

    def lie(_: Any, __: Any, inputs: dict[str, Any], out: Any) -> None:
        if when(inputs):
            out.logits[..., next(passes) % 7] += 5.0

    model.register_forward_hook(lie, with_kwargs=True)
    return model


def test_a_cache_that_lies_is_not_used(seed_tokenizer) -> None:
    model = lying(gpt2(len(seed_tokenizer)), lambda inputs: inputs.get("past_key_values"))
    sampler = policy(seed_tokenizer, model=model)
    assert sampler._sampler.decoder.layout is Layout.UNCACHED
    prompt = Prompt("solve", (5, 6, 7))
    [[rollout]] = sample(sampler, Request(prompt, 1, SamplingParams(6), 0))
    expected = plain_logprobs(model, prompt.ids, rollout.completion_ids)
    torch.testing.assert_close(torch.tensor(rollout.logprobs), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("make", [gpt2, llama])
def test_a_model_that_never_says_the_same_twice_is_refused(seed_tokenizer, make) -> None:
    model = lying(make(len(seed_tokenizer)), lambda inputs: True)
    name = type(model).__name__
    with pytest.raises(ModelError, match=rf"{name} cannot be sampled here: .*uncached: "):
        policy(seed_tokenizer, model=model)


def test_a_model_that_cannot_keep_its_cache_is_sampled_without(seed_tokenizer) -> None:
    model = gpt2(len(seed_tokenizer))

    def refuse(_: Any, __: Any, inputs: dict[str, Any]) -> None:
        if inputs.get("use_cache"):
            raise KeyError("past_key_values")

    model.register_forward_pre_hook(refuse, with_kwargs=True)
    assert policy(seed_tokenizer, model=model)._sampler.decoder.layout is Layout.UNCACHED
