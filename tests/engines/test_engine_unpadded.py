"""Padding goes through attention alone, and what is real does not notice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import tiny_models
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import record
from tiny_lean import CONFIG, FAMILIES, IDS, IMITATED, adapted, assert_close, lean

from alive.engines.unpadded import Unpadded
from alive.learn.batch import micro_batches
from alive.learn.head import decoder_of
from alive.learn.loss import Forward
from alive.learn.update import role_weights

# Rows of 3, of which one lacks its first token and one its last two.
REAL = torch.tensor([[False, True, True], [True, False, False]])


def unpadded(real: torch.Tensor) -> Unpadded:
    found = Unpadded.of(real)
    assert found is not None
    return found


# --- moving tokens ---------------------------------------------------------------------------


def test_places_by_hand() -> None:
    found = unpadded(REAL)
    assert found.index.tolist() == [1, 2, 3]
    assert (found.rows, found.tokens) == (2, 3)


def test_nearly_all_real_is_not_worth_it() -> None:
    """It is where more than 3 of 100 are not."""
    real = torch.ones(4, 25, dtype=torch.bool)
    assert Unpadded.of(real) is None
    real[2, :3] = False
    assert Unpadded.of(real) is None
    real[1, 24] = False
    assert unpadded(real).index.tolist() == [*range(49), *range(53, 100)]


def test_tokens_are_moved_by_hand() -> None:
    moving = unpadded(REAL)
    ids = torch.tensor([[7, 8, 9], [4, 5, 6]])
    assert moving.line(ids).tolist() == [[8, 9, 4]]
    assert moving.laid(torch.tensor([[1, 2, 3]])).tolist() == [[0, 1, 2], [3, 0, 0]]
    states = torch.stack([ids, -ids], -1).bfloat16()
    assert moving.line(states).tolist() == [[[8, -8], [9, -9], [4, -4]]]
    assert moving.laid(moving.line(states)).dtype == torch.bfloat16
    heads = states[..., None, :].repeat(1, 1, 5, 1)
    assert moving.laid(moving.line(heads)).shape == (2, 3, 5, 2)


def test_gradients_are_those_of_finite_differences() -> None:
    moving = unpadded(REAL)
    generator = torch.Generator().manual_seed(1)
    laid = torch.randn(2, 3, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    line = torch.randn(1, 3, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(moving.line, laid)
    assert torch.autograd.gradcheck(moving.laid, line)
    assert torch.autograd.gradcheck(lambda states: moving.laid(moving.line(states)), laid)


def test_gradients_by_hand() -> None:
    moving = unpadded(REAL)
    laid, line = torch.zeros(2, 3, requires_grad=True), torch.zeros(1, 3, requires_grad=True)
    moving.line(laid).backward(torch.tensor([[1.0, 2.0, 3.0]]))
    assert laid.grad is not None
    assert laid.grad.tolist() == [[0, 1, 2], [3, 0, 0]]
    moving.laid(line).backward(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert line.grad is not None
    assert line.grad.tolist() == [[2, 3, 4]]


MASKS = st.tuples(st.integers(1, 4), st.integers(1, 40)).flatmap(
    lambda size: st.lists(
        st.lists(st.booleans() | st.just(True), min_size=size[1], max_size=size[1]),
        min_size=size[0],
        max_size=size[0],
    )
)


@given(MASKS)
def test_of_any_mask_the_real_places_are_kept(mask: list[list[bool]]) -> None:
    real = torch.tensor(mask)
    rows, tokens = real.shape
    places = [row * tokens + at for row in range(rows) for at in range(tokens) if mask[row][at]]
    found = Unpadded.of(real)
    if not places or 100 * len(places) >= 97 * rows * tokens:
        assert found is None
        return
    assert found is not None
    assert found.index.tolist() == places
    laid = torch.arange(1.0, 1 + 2 * real.numel()).view(rows, tokens, 2).requires_grad_()
    line = found.line(laid)
    assert line.shape == (1, len(places), 2)
    again = found.laid(line)
    assert torch.equal(again, laid * real[..., None])
    assert torch.equal(found.line(again), line)
    again.sum().backward()
    assert laid.grad is not None
    assert torch.equal(laid.grad, real[..., None].expand_as(laid).float())


# --- passes ----------------------------------------------------------------------------------

Piece = tuple[int, int, torch.Tensor, bool]


def pieces(how: str) -> list[Piece]:
    """Begin, end, what is real up to there, and whether a mask says it too, of each call."""
    real = torch.ones_like(IDS, dtype=torch.bool)
    if how == "left":
        real[1, :4] = False
        return [(0, 15, real, True)]
    if how == "right":  # as whole rows of a pass of learning
        real[1, 11:] = False
        return [(0, 15, real, False)]
    real[1, :2] = False
    real[1, 9:] = False
    return [(at, end, real[:, :end], True) for at, end in ((0, 6), (6, 7), (7, 14), (14, 15))]


HOWS = ("left", "right", "continued")


def passed(decoder: Any, how: str, told: bool) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """States of all pieces, what is real, and the cache; ``told`` is whether the pass hears it."""
    cache, found = None, []
    for at, end, real, masked in pieces(how):
        given: dict[str, Any] = {}
        if masked:
            given["attention_mask"] = real.long()
            given["position_ids"] = (real.long().cumsum(-1) - 1).clamp(min=0)[:, at:end]
        if told:
            given["real"] = real[:, at:end]
        use = how == "continued"
        out = decoder(IDS[:, at:end], past_key_values=cache, use_cache=use, **given)
        cache = out.past_key_values
        found.append(out.last_hidden_state)
    return torch.cat(found, 1), real, cache


KINDS = pytest.mark.parametrize("adapters", [False, True], ids=["plain", "adapters"])


@FAMILIES
@KINDS
@pytest.mark.parametrize("how", HOWS)
def test_states_are_the_same_where_they_are_real(make, adapters: bool, how: str) -> None:
    decoder = lean(adapted(make) if adapters else make())
    with torch.no_grad():
        expected, real, kept = passed(decoder, how, told=False)
        found, _, cache = passed(decoder, how, told=True)
    assert_close(found[real], expected[real])
    assert (expected[~real] != 0).all(-1).all()
    assert (found[~real] == 0).all()
    assert (cache is not None) == (how == "continued")
    if cache is None:
        return
    for ours, theirs in zip(cache.layers, kept.layers, strict=True):
        assert_close(ours.keys.transpose(1, 2)[real], theirs.keys.transpose(1, 2)[real])
        assert_close(ours.values.transpose(1, 2)[real], theirs.values.transpose(1, 2)[real])


@FAMILIES
@KINDS
@pytest.mark.parametrize("how", [*HOWS, "right, recomputed"])
def test_gradients_are_the_same(make, adapters: bool, how: str) -> None:
    model = adapted(make) if adapters else make()
    decoder = lean(model)
    how, _, again = how.partition(", ")
    weights = {
        name: weight
        for name, weight in model.named_parameters()
        if weight.requires_grad and "lm_head" not in name
    }
    found = []
    for told in (False, True):
        with decoder.recomputed() if again else nullcontext():
            states, real, _ = passed(decoder, how, told)
            wanted = states[real]
            wanted.backward(torch.linspace(-1, 1, wanted.numel()).view_as(wanted).sin())
        found.append({name: weight.grad for name, weight in weights.items()})
        model.zero_grad(set_to_none=True)
    expected, ours = found
    for name, gradient in expected.items():
        assert gradient is not None, name
        assert gradient.abs().max() > 0, name
        assert_close(ours[name], gradient)


@contextmanager
def counted(model: Any) -> Iterator[dict[str, list[int]]]:
    """How many tokens each matrix of the layers multiplies, call by call."""
    rows: dict[str, list[int]] = {}

    def hook(name: str) -> Any:
        def count(_: Any, inputs: Any) -> None:
            rows.setdefault(name, []).append(inputs[0].numel() // inputs[0].shape[-1])

        return count

    handles = [
        layer.register_forward_pre_hook(hook(name))
        for name, layer in decoder_of(model).layers.named_modules()
        if isinstance(layer, torch.nn.Linear)
    ]
    try:
        yield rows
    finally:
        for handle in handles:
            handle.remove()
    # 7 in each of 2 layers, and two more for each with adapters.
    assert len(rows) == (42 if hasattr(model, "peft_config") else 14)


REAL_TOKENS = {
    "left": [26],  # of 2 rows of 15, four less
    "right": [26],
    # 6 + 4, then one each, 7 + 2 and one, of 12, 2, 14 and 2.
    "continued": [10, 2, 9, 1],
}


@KINDS
@pytest.mark.parametrize(("how", "counts"), REAL_TOKENS.items())
def test_matrices_multiply_what_is_real(adapters: bool, how: str, counts: list[int]) -> None:
    make = tiny_models.LEAN["qwen3"]
    model = adapted(make) if adapters else make()
    decoder = lean(model)
    with torch.no_grad(), counted(model) as rows:
        passed(decoder, how, told=True)
    assert all(found == counts for found in rows.values())
    with torch.no_grad(), counted(model) as rows:
        passed(decoder, how, told=False)
    everything = [2 * (end - at) for at, end, _, _ in pieces(how)]
    assert all(found == everything for found in rows.values())


@KINDS
@pytest.mark.parametrize("recomputes", [False, True])
def test_a_pass_of_learning_leaves_padding_out(adapters: bool, recomputes: bool) -> None:
    """Of rows of 29, 29, 31 and 4 tokens the last of each is not read: 28 + 28 + 30 + 3."""
    make = tiny_models.LEAN["llama"]
    model = adapted(make) if adapters else make()
    decoder = lean(model)
    (batch,) = micro_batches(IMITATED, role_weights(CONFIG), 0, 4096, share=False)
    values = {}
    for count, read in ((89, decoder), (4 * 30, None)):
        forward = Forward.of(model, torch.float32, read)
        with counted(model) as rows, decoder.recomputed() if recomputes else nullcontext():
            values[count] = forward.logprobs(batch)
            values[count].sum().backward()
        # In the backward pass once more, in layers that keep their input alone.
        calls = 2 if recomputes and read else 1
        assert all(seen == [count] * calls for seen in rows.values())
    torch.testing.assert_close(values[89], values[120], atol=1e-4, rtol=1e-5)


def test_so_does_one_with_shared_beginnings() -> None:
    """Of beginnings of 26 and 20 tokens, and of 5 rows whose lengths are below."""
    model = tiny_models.LEAN["llama"]()
    other = tuple(range(40, 60))
    records = [*IMITATED[:3], record((*other, 31), (32,)), record((*other, 33), (34, 35))]
    (batch,) = micro_batches(records, role_weights(CONFIG), 0, 4096)
    lengths = 3, 3, 5, 2, 3
    values = {}
    with torch.no_grad():
        for read, counts in (
            (lean(model), [26 + 20, sum(length - 1 for length in lengths)]),
            (None, [2 * 26, 5 * 4]),
        ):
            forward = Forward.of(model, torch.float32, read)
            with counted(model) as rows:
                values[read] = forward.logprobs(batch)
            assert all(seen == counts for seen in rows.values())
    found, expected = values.values()
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
