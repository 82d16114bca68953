"""The sliced head: values and gradients of all logits at once, which are never there."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
import transformers as hf
from tiny import built, gpt2, llama
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from alive.learn import head as head_module
from alive.learn.head import Head, decoder_of, head_of, target_logprobs

R, V, H = 37, 50, 8


class Layer(NamedTuple):
    weight: Tensor
    bias: Tensor | None


WIDE: dict[str, Any] = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": None,
}


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> int:
    """Slices of five tokens: seven whole ones and one of two."""
    monkeypatch.setitem(head_module._SLICE_BYTES, "cpu", 5 * 4 * V)
    return 5


def parts(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(hidden, weight, bias, targets)"""
    torch.manual_seed(seed)
    hidden, weight, bias = torch.randn(R, H), torch.randn(V, H), torch.randn(V)
    for tensor in (hidden, weight, bias):
        tensor.requires_grad_()
    return hidden, weight, bias, torch.randint(V, (R,))


def naive(logits: Tensor, targets: Tensor) -> Tensor:
    return torch.log_softmax(logits.float(), -1).gather(-1, targets[:, None]).squeeze(-1)


def gradients(values: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
    weights = torch.linspace(-1, 2, len(values))
    return torch.autograd.grad((values * weights).sum(), leaves)


AFTER = {
    "plain": None,
    "a function that changes nothing": lambda logits: logits,
    "soft cap": lambda logits: torch.tanh(logits / 3.0) * 3.0,
    "scale": lambda logits: logits * 0.0625,
}


@pytest.mark.parametrize("after", AFTER.values(), ids=AFTER)
@pytest.mark.usefixtures("small_slices")
def test_values_and_gradients_equal_those_of_all_logits(after) -> None:
    hidden, weight, bias, targets = parts()
    logits = hidden @ weight.T + bias
    expected = naive(after(logits) if after else logits, targets)
    found = target_logprobs(Head(Layer(weight, bias), after, torch.float32), hidden, targets)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    leaves = hidden, weight, bias
    for got, wanted in zip(gradients(found, *leaves), gradients(expected, *leaves), strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("small_slices")
def test_bfloat16_products_round_and_the_sums_stay_float32() -> None:
    hidden, weight, bias, targets = parts()
    head = Head(Layer(weight, bias), None, torch.bfloat16)
    product = torch.nn.functional.linear(hidden.bfloat16(), weight.bfloat16(), bias.bfloat16())
    found = target_logprobs(head, hidden, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, naive(product, targets), atol=1e-5, rtol=1e-6)
    exact = gradients(naive(hidden @ weight.T + bias, targets), hidden, weight, bias)
    for got, wanted in zip(gradients(found, hidden, weight, bias), exact, strict=True):
        assert got.dtype == torch.float32
        assert (got - wanted).abs().max() < 0.03 * wanted.abs().max()


def test_how_it_is_sliced_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, weight, bias, targets = parts()
    head = Head(Layer(weight, bias), None, torch.float32)
    ends = []
    for size in (1, 2 * 4 * V, 5 * 4 * V, 1 << 30):  # 4, 4, 1 and 1 slices share a product
        monkeypatch.setitem(head_module._SLICE_BYTES, "cpu", size)
        values = target_logprobs(head, hidden, targets)
        ends.append((values, *gradients(values, hidden, weight, bias)))
    for other in ends[1:]:
        for a, b in zip(ends[0], other, strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_no_tokens_have_no_values() -> None:
    hidden, weight, _, targets = parts()
    head = Head(Layer(weight, None), None, torch.float32)
    values = target_logprobs(head, hidden[:0], targets[:0])
    assert values.shape == (0,)
    values.sum().backward()
    assert not weight.grad.any()


@pytest.mark.usefixtures("small_slices")
def test_a_frozen_head_gets_no_gradient() -> None:
    hidden, weight, bias, targets = parts()
    frozen = Head(Layer(weight.detach(), bias.detach()), None, torch.float32)
    wanted = gradients(naive(hidden @ weight.T + bias, targets), hidden)
    torch.testing.assert_close(
        gradients(target_logprobs(frozen, hidden, targets), hidden)[0], wanted[0]
    )
    target_logprobs(frozen, hidden, targets).sum().backward()
    assert frozen.weight.grad is None
    assert frozen.bias is not None
    assert frozen.bias.grad is None


def test_the_written_out_gradient_has_the_bits_of_autograd() -> None:
    hidden, weight, bias, targets = parts()
    ends = []
    for after in (None, lambda logits: logits):
        head = Head(Layer(weight, bias), after, torch.bfloat16)
        values = target_logprobs(head, hidden, targets)
        ends.append((values, *gradients(values, hidden, weight, bias)))
    for written, derived in zip(*ends, strict=True):
        assert torch.equal(written, derived)


def test_without_gradients_no_slope_is_made() -> None:
    hidden, weight, _, targets = parts()
    head = Head(Layer(weight.detach(), None), None, torch.float32)

    class Products(TorchDispatchMode):
        seen = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.seen += func is torch.ops.aten.mm.default
            return func(*args, **(kwargs or {}))

    counts = []
    for learns in (False, True):
        with torch.set_grad_enabled(learns), Products() as products:
            values = target_logprobs(head, hidden, targets)
            if learns:
                values.sum().backward()
        counts.append(products.seen)
    assert counts == [1, 2]


class Largest(TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation made."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return out


@pytest.mark.parametrize("after", [None, lambda logits: logits], ids=["written out", "derived"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_logits_of_all_tokens_are_never_there(small_slices: int, dtype, after) -> None:
    hidden, weight, bias, targets = parts()
    head = Head(Layer(weight, bias), after, dtype)
    with Largest() as seen:
        target_logprobs(head, hidden, targets).sum().backward()
    assert seen.numbers == max(V * H, R * H)  # the weight's gradient, or the states'
    assert small_slices * V < seen.numbers < R * V
    with Largest() as whole:
        naive(hidden @ weight.T + bias, targets).sum().backward()
    assert whole.numbers == R * V


def gemma2() -> Any:
    shape = {**WIDE, "head_dim": 8, "query_pre_attn_scalar": 8, "final_logit_softcapping": 2.0}
    return built(hf.Gemma2Config(**shape))


def cohere() -> Any:
    return built(hf.CohereConfig(**WIDE, logit_scale=0.25))


def granite() -> Any:
    return built(hf.GraniteConfig(**WIDE, logits_scaling=4.0))


@pytest.mark.parametrize("make", [llama, gpt2, gemma2, cohere, granite])
def test_the_head_of_a_family_is_known(make) -> None:
    model = make()
    head = head_of(model, torch.float32)
    assert head is not None
    ids = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])
    with torch.no_grad():
        hidden = decoder_of(model)(input_ids=ids).last_hidden_state[0]
        torch.testing.assert_close(
            head.logits(hidden), model(input_ids=ids).logits[0], atol=1e-5, rtol=1e-5
        )


def test_what_is_done_to_logits_unknown_to_us_is_left_to_the_model() -> None:
    model = llama()

    def doubled(_: Any, __: Any, out: Any) -> None:
        out.logits = out.logits * 2

    model.register_forward_hook(doubled)
    assert head_of(model, torch.float32) is None


def test_adapters_are_part_of_the_decoder() -> None:
    from alive.engines.lora import with_lora

    model = with_lora(llama(), rank=2, alpha=4.0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    head = head_of(model, torch.float32)
    assert head is not None
    ids = torch.tensor([[3, 1, 4, 1, 5]])
    with torch.no_grad():
        hidden = decoder_of(model)(input_ids=ids).last_hidden_state[0]
        expected = model(input_ids=ids).logits[0]
    torch.testing.assert_close(head.logits(hidden), expected, atol=1e-5, rtol=1e-5)
    assert (expected - llama()(input_ids=ids).logits[0]).abs().max() > 0.1


def test_a_family_that_names_itself_or_its_head_is_looked_into() -> None:
    model = llama()
    inner = model.model
    for answer in (model, model.lm_head):
        model.get_decoder = lambda answer=answer: answer
        assert decoder_of(model) is inner


def test_a_model_without_a_part_that_ends_in_hidden_states_is_asked_for_its_logits() -> None:
    model = llama()
    model.get_decoder, model.base_model_prefix = lambda: model, "nothing"
    model.inner = model.model
    del model.model
    assert decoder_of(model) is model
    assert head_of(model, torch.float32) is None
