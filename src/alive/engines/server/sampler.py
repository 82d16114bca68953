"""Requests to rollouts, drawn by servers: tokens there, tokens back."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from alive.engines.local.rows import Asked, Drawn, as_drawn_here, rollout_of
from alive.engines.server.client import Completion, Replica
from alive.engines.server.workers import Workers
from alive.errors import ServerError
from alive.prompts import Renderer
from alive.protocols import Request
from alive.types import Rollout

__all__ = ["RemoteSampler"]

AT_ONCE = 256
"""Requests that a server is asked at a time. A review or a revision is a request of one completion,
and vLLM writes 256 to 1,024 side by side."""

_PLAIN = {
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""Nothing else shapes a draw, whatever a model's folder says to servers."""

_TEXT = (
    "Ann has 12 pens; 3/4 of them, \\boxed{9}, are blue.\n\u00dcber \u5317\u4eac \u2192 caf\u00e9"
)
"""On which tokenizers differ."""

_UNKNOWN = 512
"""Most tokens beyond the tokenizer that a request keeps the server from, one by one."""


class RemoteSampler:
    """Draws rollouts from servers that hold the same weights.

    Attributes:
        replicas: The servers.
        version: Of the weights they hold.
        stamp: What the servers were told to call these weights; empty where nobody told them, and
            what they hold is taken on trust.
    """

    def __init__(
        self,
        replicas: Sequence[Replica],
        renderer: Renderer,
        positions: int | None,
        embedded: int,
    ) -> None:
        """Takes over servers.

        Args:
            replicas: At least one.
            renderer: Of the prompts.
            positions: Tokens that a sequence may have by the model's configuration.
            embedded: Tokens that the model has rows for; it may be more than its tokenizer knows.

        Raises:
            ServerError: A server's tokenizer is another one.
        """
        self.replicas, self.version, self.stamp = replicas, 0, ""
        self._renderer = renderer
        for replica in replicas:
            self._require_tokenizer(replica)
        rooms = (positions, *(replica.room for replica in replicas))
        self.room = min((room for room in rooms if room is not None), default=None)
        unknown = range(renderer.vocabulary, embedded)
        # They mean nothing, and have next to no probability: of many the likelier ones would do.
        self._bias = {str(token): -100 for token in unknown[:_UNKNOWN]}
        self._busy = dict.fromkeys(range(len(replicas)), 0)
        self._lock = threading.Lock()
        self._workers = Workers(AT_ONCE * len(replicas))

    async def sample(self, request: Request) -> list[Rollout]:
        """Returns the request's rollouts, from the server that has least to do.

        Raises:
            ServerError: The server fails, or no longer holds the weights that were sent to it.
        """
        room = request.params.max_new_tokens
        if self.room is not None:
            room = min(room, self.room - len(request.prompt.ids))
        version, stamp = self.version, self.stamp
        if room < 1:  # the prompt leaves no room for a token
            drawn = [Drawn((), (), False)] * request.n
        else:
            drawn = await self._workers.run(lambda: self._drawn(request, room, stamp))
        decode = self._renderer.decode
        return [rollout_of(request.prompt, one, decode, version) for one in drawn]

    def _require_tokenizer(self, replica: Replica) -> None:
        found = replica.tokens(_TEXT)
        # A tokenizer that encodes to more or fewer tokens, or to others, is not the model's.
        if found is not None and found != list(self._renderer.encode(_TEXT)):
            raise ServerError(
                f"the sampler at {replica.url} serves {replica.model!r}, whose tokenizer is not "
                "that of this run's model. Start it on that model: `alive serve MODEL`"
            )

    def _drawn(self, request: Request, room: int, stamp: str) -> list[Drawn]:
        # What is greedy is one completion, which vLLM will not write several times.
        n = request.n if request.params.temperature > 0 else 1
        with self._least_busy() as replica:
            found = replica.complete(self._body(request, n, room), self._renderer.vocabulary)
            if stamp:
                # Asked afterwards: a server that was started anew meanwhile has lost its stamp.
                replica.require_stamp(stamp)
        return [self._cut(request, one) for one in found] * (request.n // n)

    def _body(self, request: Request, n: int, room: int) -> dict[str, Any]:
        params = request.params
        body: dict[str, Any] = {
            "prompt": list(request.prompt.ids),
            "n": n,
            "max_tokens": room,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "seed": request.seed,
            "stop": list(request.prompt.stop),
            "include_stop_str_in_output": True,
            # Ours alone end a completion, and the token that does stays.
            "stop_token_ids": list(self._renderer.stop_ids),
            "ignore_eos": True,
            **_PLAIN,
        }
        return body | ({"logit_bias": self._bias} if self._bias else {})

    def _cut(self, request: Request, found: Completion) -> Drawn:
        """Ends a completion where the local sampler would: at the first token that ends it."""
        prompt = request.prompt
        asked = Asked(
            prompt.ids, 1, request.params, 0, stop=prompt.stop, stops_at_box=prompt.stops_at_box
        )
        ends, decode = self._renderer.stop_ids, self._renderer.decode
        drawn = as_drawn_here(asked, ends, decode, found.ids, found.logprobs)
        whole = len(drawn.ids) == len(found.ids)
        return Drawn(drawn.ids, drawn.logprobs, drawn.stopped or (whole and found.stopped))

    @contextmanager
    def _least_busy(self) -> Iterator[Replica]:
        with self._lock:
            at = min(self._busy, key=lambda one: self._busy[one])
            self._busy[at] += 1
        try:
            yield self.replicas[at]
        finally:
            with self._lock:
                self._busy[at] -= 1
