"""The lean pass is the model's own in other operations: the same states."""

from __future__ import annotations

from typing import Any

import pytest
import tiny_models
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import built, gpt2, llama
from tiny_lean import FAMILIES, IDS, adapted, assert_close, lean, states
from torch.nn.functional import scaled_dot_product_attention
from transformers import MistralConfig
from transformers.cache_utils import DynamicCache

from alive.engines.lean import LeanDecoder, LeanModel, lean_decoder
from alive.engines.precision import Precision
from alive.learn.head import decoder_of


@FAMILIES
def test_a_whole_pass_is_the_models_own(make) -> None:
    model = make()
    decoder, own = lean(model), decoder_of(model)
    expected = states(own, IDS, use_cache=False)
    assert_close(states(decoder, IDS), expected)
    assert_close(states(decoder, IDS, attention_mask=torch.ones_like(IDS)), expected)
    assert decoder(IDS).past_key_values is None
    assert_close(states(decoder, IDS[:, :1]), expected[:, :1])


@pytest.mark.parametrize("kind", ["linear", "llama3", "yarn"])
def test_rotations_of_another_kind_are_too(kind: str) -> None:
    model = tiny_models.roped(kind)
    assert_close(states(lean(model), IDS), states(decoder_of(model), IDS, use_cache=False))


@FAMILIES
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(make, side: str) -> None:
    model = make()
    decoder, own = lean(model), decoder_of(model)
    mask = torch.ones_like(IDS)
    mask[1, slice(0, 4) if side == "left" else slice(11, None)] = 0
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    seen = mask.bool()
    for told in ({}, {"position_ids": positions}):
        found = states(decoder, IDS, attention_mask=mask, **told)
        expected = states(own, IDS, attention_mask=mask, use_cache=False, **told)
        assert found.isfinite().all()
        assert_close(found[seen], expected[seen])
    alone = states(own, IDS[1:, seen[1]], use_cache=False)[0]
    assert_close(found[1, seen[1]], alone)


@FAMILIES
def test_positions_are_those_given(make) -> None:
    model = make()
    decoder, own = lean(model), decoder_of(model)
    # Without a mask transformers takes a jump for the beginning of another text.
    mask = torch.ones_like(IDS)
    places = torch.stack([torch.arange(15) * 3, 40 - torch.arange(15)])
    for some in (places, places[:1]):
        found = states(decoder, IDS, attention_mask=mask, position_ids=some)
        expected = states(own, IDS, attention_mask=mask, position_ids=some, use_cache=False)
        assert_close(found, expected)
        assert_close(states(decoder, IDS, position_ids=some), expected)
        assert (found - states(decoder, IDS)).norm() > 0.01 * found.norm()


@FAMILIES
def test_a_mask_may_say_of_each_token_which_keys_it_sees(make) -> None:
    model = make()
    decoder, own = lean(model), decoder_of(model)
    places = torch.arange(15)
    # Each sees itself and what came up to 5 before.
    near = (places <= places[:, None]) & (places > places[:, None] - 6)
    mask = near[None, None].expand(2, 1, -1, -1)
    found = states(decoder, IDS, attention_mask=mask)
    assert_close(found, states(own, IDS, attention_mask=mask, use_cache=False))
    assert (found - states(decoder, IDS)).norm() > 0.01 * found.norm()


@FAMILIES
@pytest.mark.parametrize("padded", [False, True])
def test_a_cache_is_continued(make, padded: bool) -> None:
    """By 6, 1, 3, 1 tokens, and 4 to begin with."""
    model = make()
    decoder, own = lean(model), decoder_of(model)
    mask = torch.ones_like(IDS)
    if padded:
        mask[1, :3] = 0
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    caches: dict[Any, Any] = {decoder: None, own: DynamicCache()}
    begun = 0
    for tokens in (4, 6, 1, 3, 1):
        end = begun + tokens
        found = {}
        for read in caches:
            given = {"position_ids": positions[:, begun:end]}
            if padded:
                given["attention_mask"] = mask[:, :end]
            with torch.no_grad():
                out = read(
                    input_ids=IDS[:, begun:end],
                    past_key_values=caches[read],
                    use_cache=True,
                    **given,
                )
            caches[read] = out.past_key_values
            found[read] = out.last_hidden_state[mask[:, begun:end].bool()]
        assert_close(found[decoder], found[own])
        assert caches[decoder].get_seq_length() == end
        begun = end
    for ours, theirs in zip(caches[decoder].layers, caches[own].layers, strict=True):
        kept = mask.bool()
        assert_close(ours.keys.transpose(1, 2)[kept], theirs.keys.transpose(1, 2)[kept])
        assert_close(ours.values.transpose(1, 2)[kept], theirs.values.transpose(1, 2)[kept])


PIECES = st.lists(st.integers(1, 6), min_size=1, max_size=5)
MODELS = {name: make() for name, make in tiny_models.LEAN.items()}


@settings(max_examples=40)
@given(st.sampled_from(sorted(MODELS)), PIECES, st.lists(st.integers(0, 5), min_size=1, max_size=3))
def test_however_a_text_is_cut_and_padded(name: str, pieces: list[int], pads: list[int]) -> None:
    """Positions are told; rows are padded on both sides, and read piece by piece.

    The first piece reaches into the text of every row.
    """
    model = MODELS[name]
    decoder, length = lean(model), sum(pieces)
    text = (torch.arange(length) * 13 + length) % 63 + 1
    expected = states(decoder_of(model), text[None], use_cache=False)[0]
    front = max(pads)
    ids = torch.nn.functional.pad(text, (front, 0)).repeat(len(pads), 1)
    for row, pad in enumerate(pads):  # those padded less are shifted to the left
        ids[row] = torch.nn.functional.pad(text, (pad, front - pad))
    mask = torch.stack(
        [(torch.arange(front + length) >= pad) & (torch.arange(front + length) < pad + length)
         for pad in pads]
    ).long()  # fmt: skip
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache, begun, found = None, 0, []
    for tokens in (front + pieces[0], *pieces[1:]):
        end = begun + tokens
        with torch.no_grad():
            out = decoder(
                ids[:, begun:end], mask[:, :end], positions[:, begun:end], cache, use_cache=True
            )
        cache, begun = out.past_key_values, end
        found.append(out.last_hidden_state)
    whole = torch.cat(found, 1)
    for row, pad in enumerate(pads):
        assert_close(whole[row, pad : pad + length], expected)


def test_a_row_of_padding_alone_is_finite() -> None:
    model = llama()
    mask = torch.tensor([[1], [0]])
    ids = torch.tensor([[5], [7]])
    found = states(lean(model), ids, attention_mask=mask)
    assert found.isfinite().all()
    assert_close(found[0], states(decoder_of(model), ids[:1], use_cache=False)[0])


def test_a_step_multiplies_the_queries_of_a_key_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bfloat16 through torch's kernel, one key head at a time; in float32 without it."""
    shapes = []

    def seen(query: Any, key: Any, value: Any, **given: Any) -> Any:
        shapes.append(tuple(query.shape))
        return scaled_dot_product_attention(query, key, value, **given)

    model = tiny_models.LEAN["llama"]()
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", seen)
    for dtype in ("float32", "bfloat16"):
        compute = Precision(dtype, "cpu")
        with compute.autocast():
            states(LeanDecoder(model, compute.dtype), IDS[:, :1])
    # Of 2 rows, 2 key heads, each with both of its queries of 8 numbers; in 2 layers.
    assert shapes == [(2, 2, 2, 8)] * 2


def test_logits_are_kept_of_as_many_tokens_as_are_asked_for() -> None:
    model = llama()
    read = LeanModel(model, torch.float32)
    ids = IDS % 32
    with torch.no_grad():
        expected = model(input_ids=ids).logits
        torch.testing.assert_close(read(ids).logits, expected, atol=1e-5, rtol=1e-5)
        last = read(ids, logits_to_keep=2).logits
    torch.testing.assert_close(last, expected[:, -2:], atol=1e-5, rtol=1e-5)
    assert read.config is model.config
    assert read.get_input_embeddings() is model.get_input_embeddings()


@FAMILIES
def test_adapters_are_read_and_can_be_left_out(make) -> None:
    model = adapted(make)
    decoder, own = lean(model), decoder_of(model)
    found = states(decoder, IDS)
    assert_close(found, states(own, IDS, use_cache=False))
    with model.disable_adapter():
        bare = states(decoder, IDS)
        assert_close(bare, states(own, IDS, use_cache=False))
    assert_close(bare, states(decoder_of(make()), IDS, use_cache=False))
    assert (found - bare).norm() > 0.05 * found.norm()


# --- what has none ---------------------------------------------------------------------------


def windowed() -> Any:
    shape = tiny_models.LEAN["mistral"]().config.to_dict()
    return built(MistralConfig(**{**shape, "sliding_window": 8}))


def hooked() -> Any:
    model = llama()
    model.model.layers[0].register_forward_hook(lambda layer, inputs, out: out + 0.01)
    return model


def other_norm() -> Any:
    model = llama()
    norm = model.model.layers[0].post_attention_layernorm
    plain = norm.forward
    norm.forward = lambda states: plain(states) + 0.01
    return model


def other_scale() -> Any:
    model = llama()
    model.model.layers[1].self_attn.scaling *= 1.5
    return model


def other_behind_the_head() -> Any:
    """Its hidden states are those of the lean pass, its logits are not."""
    model = llama()

    def change(_: Any, __: Any, out: Any) -> Any:
        out.logits = out.logits * 1.01
        return out

    model.register_forward_hook(change)
    return model


def without_a_part() -> Any:
    """Its layers lack what a lean pass asks for; its own pass does without."""
    model = llama()
    mlp = model.model.layers[0].mlp
    mlp.only = mlp._modules.pop("up_proj")
    mlp.forward = lambda states: mlp.down_proj(mlp.only(states))
    return model


@pytest.mark.parametrize(
    "make",
    [
        gpt2,
        windowed,
        tiny_models.gelu,
        lambda: tiny_models.roped("dynamic"),
        hooked,
        other_norm,
        other_scale,
        other_behind_the_head,
        without_a_part,
    ],
    ids=["gpt2", "window", "gelu", "dynamic", "hook", "norm", "scale", "logits", "part"],
)
def test_a_model_that_is_another_has_no_lean_pass(make) -> None:
    model = make()
    assert lean_decoder(model, torch.float32) is None


def test_one_is_looked_for_without_a_gradient_or_a_random_number() -> None:
    model = llama()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    lean(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(weight.grad is None for weight in model.parameters())
