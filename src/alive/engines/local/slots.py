"""Places on the device in which completions are written, all by one step of fixed shape.

A slot is a row of a key-value cache that is taken once. Its text begins at the cache's first place,
so nothing is padded, and each row writes at a place of its own. What is drawn, what it ends with
and how far it went are tensors too: a step asks the host nothing. That makes it a CUDA graph, which
is replayed for each token; a pass over a model of a billion weights launches some thousand kernels,
and launching them takes ten times as long as their work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from alive.engines.local.choice import choose
from alive.engines.local.layout import accepted, cache_name, probe_cache

__all__ = ["Filled", "Slots"]

_PREFILL = 16_384
"""Tokens of prompts that one pass takes."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A completion that begins.

    Attributes:
        prompt: Token ids, [P], at least one.
        tokens: Most tokens of it, at least one.
        temperature: 0 is greedy.
        top_p: Nucleus mass in (0, 1].
        uniform: A random number in [0, 1) for each token, [T].
    """

    prompt: tuple[int, ...]
    tokens: int
    temperature: float
    top_p: float
    uniform: Tensor


class _Window:
    """Which part of the slots a step computes, and where each of its rows writes."""

    count: int
    length: int
    rows: Tensor
    places: Tensor


class Slots:
    """S slots of L places each.

    Attributes:
        rows: S.
        length: L, tokens of a prompt and its completion that a slot has room for.
        tokens: T, of a completion.
        captured: CUDA graphs that were made.
    """

    def __init__(
        self,
        model: Any,
        rows: int,
        length: int,
        tokens: int,
        *,
        stop_ids: Sequence[int],
        vocabulary: int,
        dtype: torch.dtype,
        choice: tuple[bool, bool] = (True, True),
    ) -> None:
        """Takes the memory.

        Args:
            model: A transformers causal LM of full attention.
            rows: S.
            length: L.
            tokens: T.
            stop_ids: Tokens that end a completion.
            vocabulary: Tokens that may be drawn: ids below it.
            dtype: What attention computes in.
            choice: Whether any row has a temperature, and whether any has a nucleus.
        """
        self.rows, self.length, self.tokens, self.captured = rows, length, tokens, 0
        self.choice = choice
        self._model, self._vocabulary, self._dtype = model, vocabulary, dtype
        device = model.device
        self._cache_name = cache_name(model)
        self._accepted = accepted(model, "attention_mask", "position_ids", "logits_to_keep")
        self._window = _Window()
        probed = probe_cache(model)[0].layers
        layers = [_SlotLayer(layer, self._window, rows, length, dtype) for layer in probed]
        self._cache = Cache(layers=layers)
        self._order = torch.arange(max(rows, length), device=device)
        self._stops = torch.tensor(list(stop_ids), device=device)
        whole = {"device": device, "dtype": torch.long}
        self._token, self._place, self._count, self._limit = (
            torch.zeros(rows, **whole) for _ in range(4)
        )
        self._going = torch.zeros(rows, device=device, dtype=torch.bool)
        self._temperature, self._top_p = (torch.ones(rows, device=device) for _ in "tp")
        # The last column is where rows that have ended go on writing.
        self._ids = torch.zeros(rows, tokens + 1, **whole)
        self._logprobs, self._uniform = (
            torch.zeros(rows, tokens + 1, device=device) for _ in range(2)
        )
        self._graphs: dict[tuple[int, int], Any] = {}
        self._pool = torch.cuda.graph_pool_handle() if device.type == "cuda" else None

    def fill(self, filled: Sequence[tuple[int, Filled]]) -> None:
        """Begins completions in slots that are free."""
        self._prefill(filled)
        device = self._token.device
        at = torch.tensor([slot for slot, _ in filled], device=device)
        news = [one for _, one in filled]

        def put(target: Tensor, values: Sequence[float]) -> None:
            target[at] = torch.tensor(values, dtype=target.dtype, device=device)

        put(self._token, [one.prompt[-1] for one in news])
        put(self._place, [len(one.prompt) - 1 for one in news])
        put(self._limit, [one.tokens for one in news])
        put(self._temperature, [one.temperature for one in news])
        put(self._top_p, [one.top_p for one in news])
        self._count[at], self._going[at] = 0, True
        numbers = torch.stack(
            [
                torch.nn.functional.pad(o.uniform, (0, self.tokens + 1 - len(o.uniform)))
                for o in news
            ]
        )
        self._uniform[at] = numbers.to(device)

    def run(self, count: int, length: int, steps: int) -> list[tuple[list[int], list[float]]]:
        """Takes steps with the first ``count`` slots, over the first ``length`` places.

        Returns:
            Of each slot the tokens it went on by, and their log-probabilities.
        """
        begun = self._count[:count].clone()
        graph = self._graphs.get((count, length))
        done = 0
        if graph is None and self._pool is not None:
            # A step beside the graph first, of the same shape, for what is set up on first use.
            self._aside(lambda: self._step(count, length))
            graph, done = self._capture(count, length), 1
        for _ in range(done, steps):
            if graph is None:
                self._step(count, length)
            else:
                graph.replay()
        at = (begun[:, None] + self._order[:steps]).clamp(max=self.tokens)
        ids = self._ids[:count].gather(1, at).tolist()
        logprobs = self._logprobs[:count].gather(1, at).tolist()
        went = (self._count[:count] - begun).tolist()
        return [(i[:n], p[:n]) for i, p, n in zip(ids, logprobs, went, strict=True)]

    def halt(self, slots: Sequence[int]) -> None:
        """Ends what is written in some slots."""
        self._going[torch.tensor(slots, device=self._going.device)] = False

    def gather(self, slots: Sequence[int]) -> None:
        """Moves some slots to the front, in that order; the others are free."""
        kept = torch.tensor(slots, device=self._token.device)
        for layer in self._cache.layers:
            layer.reorder_cache(kept)
        state = (self._token, self._place, self._count, self._limit, self._going)
        chosen = (self._temperature, self._top_p, self._ids, self._logprobs, self._uniform)
        for held in (*state, *chosen):
            held[: len(slots)] = held[kept]
        self._going[len(slots) :] = False

    def _step(self, count: int, length: int) -> None:
        """Draws one token for each of the slots."""
        window, place = self._window, self._place[:count]
        window.count, window.length = count, length
        window.rows, window.places = self._order[:count], place
        seen = self._order[:length] <= place[:, None]
        given = {"attention_mask": seen[:, None, None], "position_ids": place[:, None]}
        logits = self._pass(self._token[:count, None], self._cache, given)[0][:, -1].float()
        begun, going = self._count[:count], self._going[:count]
        tokens, logprobs = choose(
            logits[:, : self._vocabulary],
            torch.logsumexp(logits, -1),
            self._temperature[:count],
            self._top_p[:count],
            self._uniform[:count].gather(1, begun[:, None]).squeeze(1),
            *self.choice,
        )
        self._ids[:count].scatter_(1, begun[:, None], tokens[:, None])
        self._logprobs[:count].scatter_(1, begun[:, None], logprobs[:, None])
        self._token[:count] = tokens
        place += going
        begun += going
        going &= (tokens[:, None] != self._stops).all(-1) & (begun < self._limit[:count])

    def _prefill(self, filled: Sequence[tuple[int, Filled]]) -> None:
        """Encodes all but the last token of each prompt, those that are the same once."""
        owners: dict[tuple[int, ...], list[int]] = {}
        for slot, one in filled:
            owners.setdefault(one.prompt[:-1], []).append(slot)
        owners.pop((), None)
        ready: list[tuple[int, ...]] = []
        for prompt in sorted(owners, key=len):
            if ready and (len(ready) + 1) * len(prompt) > _PREFILL:
                self._encode(ready, owners)
                ready = []
            ready.append(prompt)
        if ready:
            self._encode(ready, owners)

    def _encode(
        self, prompts: Sequence[tuple[int, ...]], owners: dict[tuple[int, ...], list[int]]
    ) -> None:
        """Passes prompts through the model, and copies their cache into their slots."""
        device, width = self._token.device, max(map(len, prompts))
        # Padded behind: no token looks ahead, so nothing needs a mask.
        padded = [[*prompt, *prompt[:1] * (width - len(prompt))] for prompt in prompts]
        ids = torch.tensor(padded, device=device)
        cache = self._pass(ids, None, {"position_ids": self._order[None, :width]})[1]
        source = [at for at, prompt in enumerate(prompts) for _ in owners[prompt]]
        slots = torch.tensor([s for prompt in prompts for s in owners[prompt]], device=device)
        sources = torch.tensor(source, device=device)
        for layer, encoded in zip(self._cache.layers, cache.layers, strict=True):
            layer.write(slots, encoded, sources)

    def _pass(self, ids: Tensor, cache: Any, given: dict[str, Any]) -> tuple[Tensor, Any]:
        """Returns the logits of the last token, and the cache."""
        given = given | {"logits_to_keep": 1}
        taken = {name: value for name, value in given.items() if name in self._accepted}
        # A graph must not read what autocast keeps beyond it.
        with torch.autocast(
            ids.device.type,
            dtype=torch.bfloat16,
            enabled=self._dtype == torch.bfloat16,
            cache_enabled=False,
        ):
            out = self._model(input_ids=ids, use_cache=True, **{self._cache_name: cache}, **taken)
        return out.logits, getattr(out, self._cache_name)

    def _aside(self, call: Callable[[], None]) -> None:
        """Calls something on another stream, as what is captured afterwards must have been."""
        stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            call()
        torch.cuda.current_stream().wait_stream(stream)

    def _capture(self, count: int, length: int) -> Any:
        """Makes a step a graph; None where the model asks the host something in its midst."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool):
                self._step(count, length)
        except RuntimeError:
            self._pool = None
            return None
        self._graphs[count, length] = graph
        self.captured += 1
        return graph


class _SlotLayer(DynamicLayer):
    """Keys and values of one layer in all slots."""

    def __init__(
        self, probed: DynamicLayer, window: _Window, rows: int, length: int, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = dtype, probed.keys.device, True
        self._window = window
        # Zeroes: what nobody wrote is masked, but must be finite.
        self._stores = [
            states.new_zeros((rows, states.shape[1], length, states.shape[-1]), dtype=dtype)
            for states in (probed.keys, probed.values)
        ]
        self.keys, self.values = self._stores

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        window = self._window
        for store, states in zip(self._stores, (key_states, value_states), strict=True):
            store[window.rows, :, window.places] = states[:, :, 0].to(store.dtype)
        keys, values = (store[: window.count, :, : window.length] for store in self._stores)
        return keys, values

    def write(self, slots: Tensor, source: DynamicLayer, rows: Tensor) -> None:
        """Copies rows of a cache into slots, from their first place on."""
        for store, states in zip(self._stores, (source.keys, source.values), strict=True):
            store[slots, :, : states.shape[-2]] = states[rows].to(store.dtype)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        for store in self._stores:
            store[: len(beam_idx)] = store[beam_idx]
