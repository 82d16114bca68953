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

_TOGETHER = {"cpu": 4}
"""Slices whose share of the head's gradient is one product; elsewhere each has its own."""

Values = Callable[[Tensor, slice], Tensor]
"""Float32 logits of a slice of R tokens [r, V], and which slice -> what is wanted of each: [r], or
[r, K]."""


@dataclass(frozen=True, slots=True)
class Head:
    """How a model turns hidden states into logits.

    Attributes:
        layer: The linear layer. Its weights are read when they are needed: those of a sharded model
            are whole in a pass alone.
        after: What the model does to the logits thereafter (a scale, a soft cap); None: nothing.
        dtype: What the product is computed in.
    """

    layer: Any
    after: Callable[[Tensor], Tensor] | None
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
        return self.finished(torch.nn.functional.linear(hidden.to(self.dtype), *self.cast()))

    def finished(self, product: Tensor) -> Tensor:
        """Float32 logits of the product of hidden states and weight."""
        return product.float() if self.after is None else self.after(product.float())

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
    if head.after is None:
        chosen: Callable[..., Tensor] = _Chosen.apply
        return chosen(hidden, head.weight, head.bias, head, targets, torch.is_grad_enabled())

    def value(logits: Tensor, where: slice) -> Tensor:
        return logits.gather(-1, targets[where, None]).squeeze(-1) - torch.logsumexp(logits, -1)

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


def _known(config: Any) -> Iterator[Callable[[Tensor], Tensor] | None]:
    """What families are known to do to their logits; the setting of each names it."""
    text = config.get_text_config(decoder=True)
    cap = getattr(text, "final_logit_softcapping", None) or getattr(text, "logits_soft_cap", None)
    scale = getattr(text, "logit_scale", None)
    divisor = getattr(text, "logits_scaling", None)
    yield None
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
        parts = [torch.zeros(0, device=hidden.device)]
        for where, _, product in _products(hidden, head):
            parts.append(function(head.finished(product), where))
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (hidden,), head = ctx.saved_tensors, ctx.head
        total = _HeadGradient(head, hidden, ctx.needs_input_grad)
        to_hidden = torch.empty_like(hidden)
        for where, matrix, product in _products(hidden, head):
            with torch.enable_grad():
                product = product.detach().requires_grad_()
                values = ctx.function(head.finished(product), where)
            (gradient,) = torch.autograd.grad(values, product, gradients[0][where])
            to_hidden[where] = (gradient @ matrix).to(hidden.dtype)
            total.add(gradient, where)
        return to_hidden, *total.sums(), None, None


class _Chosen(torch.autograd.Function):
    """Log-probabilities of targets: the gradient of the logits is one-hot minus probabilities.

    Where the head itself takes no gradient, that of the hidden states is made beside the values,
    and no product is computed twice (after Liger's fused loss, arXiv 2410.10989).
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        head: Head,
        targets: Tensor,
        learns: bool,
    ) -> Tensor:
        values = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        sums = torch.empty_like(values)
        at_once = learns and ctx.needs_input_grad[0] and not any(ctx.needs_input_grad[1:3])
        slopes = torch.empty_like(hidden) if at_once else None
        for where, matrix, product in _products(hidden, head):
            logits = product.float()
            sums[where] = torch.logsumexp(logits, -1)
            values[where] = logits.gather(-1, targets[where, None]).squeeze(-1) - sums[where]
            if slopes is not None:
                ones = torch.ones_like(sums[where])
                slope = _slope(logits, sums[where], targets[where], ones).to(head.dtype)
                slopes[where] = (slope @ matrix).to(hidden.dtype)
        ctx.head = head
        ctx.save_for_backward(hidden, targets, sums, slopes)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (hidden, targets, sums, slopes), head = ctx.saved_tensors, ctx.head
        if slopes is not None:
            return slopes * gradients[0][:, None], *(None,) * 5
        total = _HeadGradient(head, hidden, ctx.needs_input_grad)
        to_hidden = torch.empty_like(hidden)
        for where, matrix, product in _products(hidden, head):
            slope = _slope(product.float(), sums[where], targets[where], gradients[0][where])
            gradient = slope.to(head.dtype)
            to_hidden[where] = (gradient @ matrix).to(hidden.dtype)
            total.add(gradient, where)
        return to_hidden, *total.sums(), None, None, None


def _slope(logits: Tensor, sums: Tensor, targets: Tensor, gradient: Tensor) -> Tensor:
    """Gradient of logits [r, V] from that of the targets' log-probabilities [r], in their place."""
    slope = logits.sub_(sums[:, None]).exp_().mul_(-gradient[:, None])
    return slope.scatter_add_(1, targets[:, None], gradient[:, None])


class _HeadGradient:
    """Adds up the gradient of the head.

    On a CPU that of several slices is multiplied at once: of a large vocabulary a slice has some
    hundred tokens, and to add to all weights takes longer than so small a product. What waits is
    no larger than the weights.
    """

    def __init__(self, head: Head, hidden: Tensor, needed: tuple[bool, ...]) -> None:
        """Begins with zero, for those of (hidden, weight, bias) that need one."""
        self._hidden, self._dtype = hidden, head.dtype
        self._weight = torch.zeros_like(head.weight) if needed[1] else None
        self._bias = torch.zeros_like(head.bias) if head.bias is not None and needed[2] else None
        together = _TOGETHER.get(hidden.device.type, 1)
        self._most = max(1, min(together, hidden.shape[1] // _slice_size(hidden, head)))
        self._waiting: list[tuple[Tensor, slice]] = []

    def add(self, gradient: Tensor, where: slice) -> None:
        """Adds that of a slice of logits [r, V]."""
        if self._bias is not None:
            self._bias += gradient.sum(0)
        if self._weight is not None:
            self._waiting.append((gradient, where))
            if len(self._waiting) == self._most:
                self._multiply(self._weight)

    def sums(self) -> tuple[Tensor | None, Tensor | None]:
        """Of weight [V, H] and bias [V]; None where it is not needed."""
        if self._weight is not None and self._waiting:
            self._multiply(self._weight)
        return self._weight, self._bias

    def _multiply(self, total: Tensor) -> None:
        gradients, places = zip(*self._waiting, strict=True)
        self._waiting = []
        left = (torch.cat(gradients) if len(gradients) > 1 else gradients[0]).T
        right = self._hidden[places[0].start : places[-1].stop].to(self._dtype)
        if total.dtype == left.dtype:
            total.addmm_(left, right)  # one pass
        else:
            total += left @ right


def _products(hidden: Tensor, head: Head) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Slices of the tokens, each with the head's matrix and its product before ``after`` [r, V]."""
    matrix, bias = head.cast()
    size = _slice_size(hidden, head)
    for at in range(0, len(hidden), size):
        where = slice(at, at + size)
        low = hidden[where].to(head.dtype)
        yield where, matrix, torch.nn.functional.linear(low, matrix, bias)


def _slice_size(hidden: Tensor, head: Head) -> int:
    """Tokens of a slice."""
    return max(1, slice_bytes(hidden.device.type) // (4 * head.weight.shape[0]))
