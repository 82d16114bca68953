"""One vLLM server: what it serves, its completions, and how new weights reach it.

The routes are those of vLLM 0.32; what changes weights exists in its developer mode alone, which
asks nobody for a key.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from alive.endpoint import Endpoint, Failed, Refused, is_private
from alive.errors import ConfigError, ServerError
from alive.urls import server_fault

__all__ = ["KEY_VARIABLE", "Completion", "Replica"]

KEY_VARIABLE = "ALIVE_SAMPLER_KEY"
"""Environment variable that holds the servers' key, where they want one."""

PATIENCE = 1800.0
"""Seconds that one answer may take; a connection that breaks is noticed at once."""

_MOST = 64 * 2**20

_LEAST, _MOST_LIKELY = -1e5, 1e-2
"""Between which log-probabilities lie: vLLM writes -9999 for none at all, and sums round."""

_START = "start it as `alive serve` says"


@dataclass(frozen=True, slots=True)
class Completion:
    """What a server wrote.

    Attributes:
        ids: Token ids, [T].
        logprobs: Their log-probabilities before temperature and truncation, [T].
        stopped: Whether it ended at a token or text, not at the limit.
    """

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    stopped: bool


class Replica:
    """A server that samples.

    Attributes:
        url: Of its root.
        model: The name it serves its model by.
        room: Tokens of prompt and completion together; None where it does not say.
    """

    def __init__(self, url: str, *, retries: int = 3, backoff: float = 0.5) -> None:
        """Asks what is served.

        Args:
            url: Its root; a trailing ``/v1`` is left out.
            retries: Further tries of a request that failed.
            backoff: Seconds before the first of them; doubles each time.

        Raises:
            ConfigError: The URL is unusable, or a key would cross the network unencrypted.
            ServerError: It cannot be reached, or is no such server.
        """
        if fault := server_fault(url):
            raise ConfigError(f"--sampler {fault}")
        root = url.rstrip("/").removesuffix("/v1")
        self._endpoint = Endpoint(
            root,
            "the sampler",
            KEY_VARIABLE,
            timeout=PATIENCE,
            retries=retries,
            backoff=backoff,
            most=_MOST,
        )
        self.url = self._endpoint.url
        card = self._read(self._ask("/v1/models"), "data", list)
        served = card[0] if card and isinstance(card[0], dict) else {}
        if not isinstance(served.get("id"), str):
            raise self._stranger(card)
        self.model: str = served["id"]
        room = served.get("max_model_len")
        self.room: int | None = room if isinstance(room, int) and room > 0 else None

    def complete(self, body: dict[str, Any], vocabulary: int) -> list[Completion]:
        """Returns the completions of one prompt, in order.

        Args:
            body: A request of ``/v1/completions``, without what is asked of every one.
            vocabulary: Token ids lie below it.

        Raises:
            ServerError: It fails, or answers what nobody could have asked for.
        """
        asked = {"model": self.model, "logprobs": 0, "return_token_ids": True, "stream": False}
        answer = self._ask("/v1/completions", asked | body)
        choices = self._read(answer, "choices", list)
        if len(choices) != body["n"]:
            raise self._wrong(f"{len(choices)} completions where {body['n']} were asked for")
        return [self._completion(choice, body, vocabulary) for choice in choices]

    def logprobs(self, ids: Sequence[int]) -> list[float]:
        """Returns the log-probability of each of a text's tokens but the first, [T - 1].

        Raises:
            ServerError: It fails, or does not tell.
        """
        body = {"model": self.model, "prompt": list(ids), "max_tokens": 1, "prompt_logprobs": 0}
        [choice] = self._read(self._ask("/v1/completions", body), "choices", list)
        try:
            told = zip(choice["prompt_logprobs"][1:], ids[1:], strict=True)
            return [float(each[str(token)]["logprob"]) for each, token in told]
        except (LookupError, TypeError, ValueError) as error:
            raise self._wrong("no log-probabilities of a prompt's tokens") from error

    def tokens(self, text: str) -> list[int] | None:
        """Returns a text's token ids as the server sees them; None where it does not tell."""
        try:
            data = self._endpoint.post(
                "/tokenize", {"model": self.model, "prompt": text, "add_special_tokens": False}
            )
        except Refused:
            return None
        except Failed as error:
            raise self._failed(error.problem) from error
        found: list[int] = self._read(data, "tokens", list)
        return found

    def require_control(self) -> None:
        """Makes sure that weights can be sent.

        Raises:
            ConfigError: The host has a public address, where anybody could send weights.
            ServerError: The server is not in developer mode, or has parts that would keep theirs.
        """
        host = urlsplit(self.url).hostname or ""
        if not is_private(host):
            raise ConfigError(
                f"--sampler {self.url} has a public address, and a server in developer mode obeys "
                "whoever reaches it. Let it listen on 127.0.0.1 there, and reach it through a "
                "tunnel: ssh -L 8000:localhost:8000 HOST, then --sampler http://127.0.0.1:8000"
            )
        counts = [
            self._read(self._ask(f"/get_world_size?include_dp={dp}"), "world_size", int)
            for dp in ("true", "false")
        ]
        if counts[0] != counts[1]:
            raise ServerError(
                f"the sampler at {self.url} has data-parallel parts, of which new weights would "
                "reach one. Start one server for each, and name each with --sampler"
            )

    def load(self, folder: Path, stamp: str) -> None:
        """Has the server read weights, and forget what it computed with earlier ones.

        Whatever it was decoding is given up. If this fails the server may stay paused, until it is
        called again.

        Args:
            folder: A model folder that the server can see.
            stamp: Names these weights from then on.

        Raises:
            ServerError: It fails.
        """
        self._ask("/pause?mode=abort", {})
        body = {"method": "reload_weights", "kwargs": {"weights_path": str(folder.absolute())}}
        self._ask("/collective_rpc", body)
        if not self._read(self._ask("/reset_prefix_cache", {}), "success", bool):
            raise self._failed("it keeps what it computed with earlier weights")
        self._ask("/update_weight_version", {"new_version": stamp})
        self._ask("/resume", {})

    def require_stamp(self, stamp: str) -> None:
        """Makes sure that the server still holds the weights that were sent to it last.

        Raises:
            ServerError: It was started anew, or somebody else has sent it weights.
        """
        if self._read(self._ask("/weight_info"), "weight_version", str) != stamp:
            raise ServerError(
                f"the sampler at {self.url} no longer holds the weights that this run sent: it was "
                "started anew, or another run sends it weights. Give each run servers of its own, "
                "and go on with --resume"
            )

    def warn_of_host(self) -> None:
        """Says that texts leave this machine, where they do."""
        if not self._endpoint.local:
            warnings.warn(
                f"the sampler {self.url} is not on this machine: prompts, which hold passages and "
                "attempts, will be sent there",
                UserWarning,
                stacklevel=3,
            )

    def _completion(self, choice: Any, body: dict[str, Any], vocabulary: int) -> Completion:
        try:
            ids, told = choice["token_ids"], choice["logprobs"]["token_logprobs"]
            reason, prompt = choice["finish_reason"], choice.get("prompt_token_ids")
        except (LookupError, TypeError) as error:
            raise self._wrong(
                "no token ids or no log-probabilities of them, of which both are needed"
            ) from error
        if prompt not in (None, body["prompt"]):
            raise self._wrong("an answer to another prompt")
        if reason not in ("stop", "length"):
            raise self._failed(f"it gave a completion up ({reason!r}); does another run use it?")
        if not isinstance(ids, list) or not isinstance(told, list) or len(ids) != len(told):
            raise self._wrong("a completion that has not one log-probability for each token")
        if len(ids) > body["max_tokens"]:
            raise self._wrong(f"{len(ids)} tokens where {body['max_tokens']} were the limit")
        if not all(type(one) is int and 0 <= one < vocabulary for one in ids):
            raise self._wrong(f"a token beyond the {vocabulary} that the model's tokenizer has")
        if not all(type(one) in (int, float) and _LEAST <= one <= _MOST_LIKELY for one in told):
            raise self._wrong("a log-probability that is none")
        return Completion(tuple(ids), tuple(map(float, told)), reason == "stop")

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> bytes:
        try:
            if body is None:
                return self._endpoint.get(path)
            return self._endpoint.post(path, body)
        except Failed as error:
            raise self._failed(error.problem) from error
        except Refused as error:
            remedy = {
                401: f"put its key into the environment variable {KEY_VARIABLE}",
                403: f"put its key into the environment variable {KEY_VARIABLE}",
                404: f"is it vLLM of 0.32 or later, in developer mode? {_START}",
            }.get(error.code, _START)
            raise ServerError(
                f"the sampler at {self.url} refused {path.partition('?')[0]} ({error.problem}); "
                f"{remedy}"
            ) from error

    def _read(self, data: bytes, key: str, kind: type) -> Any:
        try:
            value = json.loads(data)[key]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise self._stranger(data) from error
        if not isinstance(value, kind):
            raise self._stranger(data)
        return value

    def _failed(self, problem: str) -> ServerError:
        return ServerError(
            f"the sampler at {self.url} failed ({problem}). Check that it runs, or {_START}; then "
            "go on with --resume"
        )

    def _wrong(self, sent: str) -> ServerError:
        return ServerError(f"the sampler at {self.url} sent {sent}; {_START}")

    def _stranger(self, data: object) -> ServerError:
        return ServerError(
            f"the sampler at {self.url} does not answer as a vLLM server does (it sent "
            f"{data!r:.120}); {_START}"
        )
