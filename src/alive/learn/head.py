"""From hidden states to values of the next token, without ever holding the logits of all.

The logits of a pass are its largest tensor by far: 4,096 tokens of a vocabulary of 152,000 are
2.5 GB in float32, and a loss holds several copies. Here they are computed a slice of the tokens at
a time, and again in the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Head", "decoder_of", "head_of", "slice_bytes", "target_logprobs"]

_SLICE_BYTES = {"cpu": 64 << 20, "cuda": 256 << 20}
"""Wider slices are no faster: their products fill the device already."""

Values = Callable[[Tensor, slice], Tensor]
"""Float32 logits of a slice of R tokens [r, V], and which slice -> what is wanted of each: [r], or
[r, K]."""


@dataclass(frozen=True, slots=True)
class Head:
    """How a model turns hidden states into logits.

    Attributes:
        layer: The linear layer. Its weights are read when they are needed: those of a sharded model
            are whole in a pass alone.
        after: What the model does to the logits thereafter (a scale, a soft cap).
        dtype: What the product is computed in.
    """

    layer: Any
    after: Callable[[Tensor], Tensor]
    dtype: torch.dtype

    @property
    def weight(self) -> Tensor:
        """[V, H]."""
        weight: Tensor = self.layer.weight
        return weight

    @property
    def bias(self) -> Tensor | None:
        """[V], or None."""
        bias: Tensor | None = self.layer.bias
        return bias

    def logits(self, hidden: Tensor) -> Tensor:
        """Float32 logits [r, V] of a few hidden states [r, H], held whole."""
        matrix, bias = self.cast()
        return self.after(torch.nn.functional.linear(hidden.to(self.dtype), matrix, bias).float())

    def cast(self) -> tuple[Tensor, Tensor | None]:
        """Weight and bias in the compute type; copies where that is another than their own."""
        return self.weight.to(self.dtype), None if self.bias is None else self.bias.to(self.dtype)

    def values(self, hidden: Tensor, function: Values) -> Tensor:
        """Applies a function to the logits of R tokens, slice by slice, with gradients.

        Args:
            hidden: [R, H].
            function: What is wanted of the logits; differentiable.

        Returns:
            [R], or [R, K].
        """
        sliced: Callable[..., Tensor] = _Sliced.apply
        return sliced(hidden, self.weight, self.bias, self, function)


def target_logprobs(head: Head, hidden: Tensor, targets: Tensor) -> Tensor:
    """Natural log-probability of each target [R] after its hidden state [R, H]."""

    def value(logits: Tensor, where: slice) -> Tensor:
        chosen = logits.gather(-1, targets[where, None]).squeeze(-1)
        return chosen - torch.logsumexp(logits, -1)

    return head.values(hidden, value)


def slice_bytes(device: str) -> int:
    """Float32 logits that are computed at a time on a device type."""
    return _SLICE_BYTES.get(device, 64 << 20)


def decoder_of(model: Any) -> Any:
    """The part of a causal LM that ends in hidden states, adapters included; else all of it."""
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    # Some families answer with themselves, or with a layer of the head.
    for decoder in (base.get_decoder(), base.base_model, getattr(base, "model", base)):
        if decoder is not base and not isinstance(decoder, torch.nn.Linear):
            return decoder
    return base


def head_of(model: Any, dtype: torch.dtype) -> Head | None:
    """The head of a model, checked against the model itself.

    Returns:
        None where the model does something to its logits that is not known here: its logits are
        then taken whole.
    """
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    layer, decoder = base.get_output_embeddings(), decoder_of(model)
    if layer is None or decoder is base:
        return None
    ids = torch.arange(2, device=base.device)[None]
    with torch.no_grad():
        hidden = decoder(input_ids=ids, use_cache=False).last_hidden_state[0]
        expected = base(input_ids=ids, use_cache=False).logits[0].float()
        for after in _known(base.config):
            head = Head(layer, after, dtype)
            exact = Head(layer, after, layer.weight.dtype)
            found = exact.logits(hidden)
            rounding = 1e-4 if layer.weight.dtype == torch.float32 else 1e-2
            if torch.allclose(found, expected, atol=rounding, rtol=rounding):
                return head
    return None


def _known(config: Any) -> Iterator[Callable[[Tensor], Tensor]]:
    """What families are known to do to their logits; the setting of each names it."""
    text = config.get_text_config(decoder=True)
    cap = getattr(text, "final_logit_softcapping", None) or getattr(text, "logits_soft_cap", None)
    scale = getattr(text, "logit_scale", None)
    divisor = getattr(text, "logits_scaling", None)
    yield lambda logits: logits
    if cap:
        yield lambda logits: torch.tanh(logits / cap) * cap
    if scale:
        yield lambda logits: logits * scale
    if divisor:
        yield lambda logits: logits / divisor


class _Sliced(torch.autograd.Function):
    """The product with the head, and what follows it, a slice of the tokens at a time."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, head: Head, function: Values
    ) -> Tensor:
        ctx.save_for_backward(hidden)
        ctx.head, ctx.function = head, function
        matrix, low_bias = head.cast()
        parts = [torch.zeros(0, device=hidden.device)]
        for where in _slices(hidden, head.weight):
            low = hidden[where].to(head.dtype)
            product = torch.nn.functional.linear(low, matrix, low_bias)
            parts.append(function(head.after(product.float()), where))
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (hidden,), head = ctx.saved_tensors, ctx.head
        matrix, low_bias = head.cast()
        to_hidden = torch.empty_like(hidden)
        to_weight = torch.zeros_like(head.weight) if ctx.needs_input_grad[1] else None
        to_bias = torch.zeros_like(head.bias) if ctx.needs_input_grad[2] else None
        for where in _slices(hidden, head.weight):
            low = hidden[where].to(head.dtype)
            product = torch.nn.functional.linear(low, matrix, low_bias)
            with torch.enable_grad():
                product = product.detach().requires_grad_()
                values = ctx.function(head.after(product.float()), where)
            (gradient,) = torch.autograd.grad(values, product, gradients[0][where])
            to_hidden[where] = (gradient @ matrix).to(hidden.dtype)
            if to_weight is not None:
                _add_product(to_weight, gradient.T, low)
            if to_bias is not None:
                to_bias += gradient.sum(0)
        return to_hidden, to_weight, to_bias, None, None


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Adds a product to a float32 sum: one pass where the types agree."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


def _slices(hidden: Tensor, weight: Tensor) -> Iterator[slice]:
    size = max(1, slice_bytes(hidden.device.type) // (4 * weight.shape[0]))
    return (slice(at, at + size) for at in range(0, len(hidden), size))
