"""Completions while they are written, whatever decodes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from alive.protocols import SamplingParams
from alive.types import Prompt, Rollout
from alive.verify import extract_answer

__all__ = ["Asked", "Drawn", "Row", "as_drawn_here", "kinds", "rollout_of", "uniform"]


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows of one request: the completions ``first`` to ``first + n`` of a prompt.

    Attributes:
        prompt: Token ids, [P].
        n: Rows.
        params: How they are drawn; ``max_new_tokens`` fits the model's context.
        seed: The request's.
        first: Index of the first row within its request.
        stop: Texts after which a row ends.
        stops_at_box: Whether a row ends with the token that closes its first answer box.
    """

    prompt: tuple[int, ...]
    n: int
    params: SamplingParams
    seed: int
    first: int = 0
    stop: tuple[str, ...] = ()
    stops_at_box: bool = False


@dataclass(frozen=True, slots=True)
class Drawn:
    """One completion: token ids [T], their log-probabilities [T], whether it ended itself."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    stopped: bool


class Row:
    """One completion while it is written.

    Attributes:
        asked: The request it belongs to.
        ended: Whether nothing is to be added.
    """

    __slots__ = ("_decode", "_ids", "_logprobs", "_reads", "_stopped", "_stops", "asked", "ended")

    def __init__(
        self, asked: Asked, stops: frozenset[int], decode: Callable[[Sequence[int]], str]
    ) -> None:
        """Begins empty.

        Args:
            asked: The request it belongs to.
            stops: Tokens that end it.
            decode: Turns token ids into text, for stop texts and boxes.
        """
        self.asked, self._stops, self._decode = asked, stops, decode
        self._reads = bool(asked.stop) or asked.stops_at_box
        self._ids: list[int] = []
        self._logprobs: list[float] = []
        self._stopped = self.ended = False

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, token: int, logprob: float) -> None:
        """Appends a token, and sees whether the row has ended."""
        self._ids.append(token)
        self._logprobs.append(logprob)
        self._stopped = token in self._stops or (
            self._reads and (self._says_stop() or self._closes_box())
        )
        self.ended = self._stopped or len(self._ids) >= self.asked.params.max_new_tokens

    def extend(self, tokens: Sequence[int], logprobs: Sequence[float]) -> None:
        """Appends tokens up to that which ends the row; only the last may be a stop token."""
        if self._reads:
            for token, logprob in zip(tokens, logprobs, strict=True):
                self.add(token, logprob)
                if self.ended:
                    return
        elif tokens:
            self._ids += tokens[:-1]
            self._logprobs += logprobs[:-1]
            self.add(tokens[-1], logprobs[-1])

    def drawn(self) -> Drawn:
        """Returns what was written."""
        return Drawn(tuple(self._ids), tuple(self._logprobs), self._stopped)

    def _says_stop(self) -> bool:
        texts = self.asked.stop
        if not texts:
            return False
        # A token holds at least a byte of text, so the text of as many tokens holds the whole.
        tail = self._decode(self._ids[-4 * max(map(len, texts)) :])
        return any(text in tail for text in texts)

    def _closes_box(self) -> bool:
        if not self.asked.stops_at_box or "}" not in self._decode(self._ids[-1:]):
            return False
        return extract_answer(self._decode(self._ids)) is not None


def as_drawn_here(
    asked: Asked,
    stop_ids: Sequence[int],
    decode: Callable[[Sequence[int]], str],
    ids: Sequence[int],
    logprobs: Sequence[float],
) -> Drawn:
    """Ends what another engine wrote at the first token at which the local sampler would.

    Args:
        asked: What was asked for.
        stop_ids: Tokens that end a completion.
        decode: Token ids to text.
        ids: What was written, [T].
        logprobs: Its log-probabilities, [T].
    """
    row = Row(asked, frozenset(stop_ids), decode)
    for token, logprob in zip(ids, logprobs, strict=True):
        row.add(token, logprob)
        if row.ended:
            break
    return row.drawn()


def rollout_of(
    prompt: Prompt, drawn: Drawn, decode: Callable[[Sequence[int]], str], version: int
) -> Rollout:
    """Returns what was drawn after a prompt; its text ends before a stop text."""
    text = decode(drawn.ids)
    for stop in prompt.stop:
        text = text.partition(stop)[0]
    return Rollout(
        prompt=prompt,
        completion_ids=drawn.ids,
        logprobs=drawn.logprobs,
        text=text,
        stop="stop" if drawn.stopped else "length",
        policy_version=version,
    )


def kinds(asked: Sequence[Asked]) -> tuple[bool, bool]:
    """Whether any row has a temperature, and whether any has a nucleus."""
    params = [one.params for one in asked]
    return any(one.temperature > 0 for one in params), any(one.top_p < 1 for one in params)


def uniform(asked: Sequence[Asked]) -> Tensor:
    """[B, T] random numbers in [0, 1), by each request's own seed, whatever stands beside it."""
    longest = max(one.params.max_new_tokens for one in asked)
    parts = []
    for one in asked:
        generator = torch.Generator().manual_seed(one.seed)
        shape = one.first + one.n, one.params.max_new_tokens
        numbers = torch.rand(shape, generator=generator)[one.first :]
        parts.append(torch.nn.functional.pad(numbers, (0, longest - shape[1])))
    return torch.cat(parts)
