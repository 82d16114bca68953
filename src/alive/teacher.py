"""A warm-up teacher behind an OpenAI-compatible endpoint, over plain HTTP.

Any server that answers ``POST URL/chat/completions`` will do: vLLM, llama.cpp, ``transformers
serve``. It is meant to run on this machine; any other host gets a warning, because the corpus goes
there, and no key over plain HTTP.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from alive.endpoint import Endpoint, Failed, Refused
from alive.errors import AliveError, ConfigError
from alive.urls import teacher_fault

__all__ = ["KEY_VARIABLE", "EndpointTeacher"]

KEY_VARIABLE = "ALIVE_TEACHER_KEY"
"""Environment variable that holds the endpoint's key, where it wants one."""

Message = Mapping[str, str]

_MAX_BODY = 8 * 2**20
_THOUGHT = "</think>"


class EndpointTeacher:
    """Asks a chat model for critiques.

    Args:
        url: Base URL, usually ending in ``/v1``.
        model: The model name the endpoint is asked for.
        timeout: Seconds one request may take.
        max_tokens: Longest critique, tokens; what a reasoning model thinks counts too.
        retries: Further tries after a refused, cut or timed-out connection, a busy server, or an
            answer without text.
        backoff: Seconds before the first retry of a request that failed; doubles each time.

    Raises:
        ConfigError: The URL is unusable or holds a secret, the model name is empty, or a key would
            cross the network unencrypted.
    """

    def __init__(
        self,
        url: str,
        model: str,
        timeout: float = 120.0,
        max_tokens: int = 256,
        retries: int = 3,
        backoff: float = 0.5,
    ) -> None:
        if fault := teacher_fault(url):
            raise ConfigError(f"warmup.teacher {fault}")
        if not model:
            raise ConfigError(
                f"the teacher at {url} needs a model name: set warmup.teacher_model "
                f"(GET {url.rstrip('/')}/models lists them)"
            )
        self._endpoint = Endpoint(
            url,
            "the teacher",
            KEY_VARIABLE,
            timeout=timeout,
            retries=retries,
            backoff=backoff,
            most=_MAX_BODY,
        )
        self.url = self._endpoint.url
        self.model = model
        self.max_tokens = max_tokens
        if not self._endpoint.local:
            warnings.warn(
                f"the teacher {url} is not on this machine: passages of the corpus and attempts "
                "will be sent there",
                UserWarning,
                stacklevel=2,
            )

    def critiques(self, prompts: Sequence[Sequence[Message]]) -> list[str | None]:
        """Returns one critique a prompt, in order; None where no try brought any text.

        Args:
            prompts: Chat messages, each with ``role`` and ``content``.

        Raises:
            ConfigError: The endpoint does not know the path, the model or the key.
            AliveError: The endpoint cannot be reached, keeps failing, or does not speak the
                protocol.
        """
        with ThreadPoolExecutor(max_workers=4) as pool:
            futures = [pool.submit(self._complete, messages) for messages in prompts]
            try:
                found = [future.result() for future in futures]
            except AliveError:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if silent := found.count(None):
            warnings.warn(
                f"the teacher at {self.url} sent no text for {silent} of {len(found)} attempts, "
                f"asked {self._endpoint.tries} times each; they have no review. Of a model that "
                f"thinks first, {self.max_tokens} tokens may be too few: raise "
                "sampling.review_tokens",
                UserWarning,
                stacklevel=2,
            )
        return found

    def _complete(self, messages: Sequence[Message]) -> str | None:
        """Asks until there is text; a reasoning model may think until its tokens are spent."""
        body = {
            "model": self.model,
            "messages": [dict(message) for message in messages],
            "max_tokens": self.max_tokens,
            "temperature": 0.0,
            "stream": False,
        }
        tries = (self._content(self._post(body)) for _ in range(self._endpoint.tries))
        return next((text for text in tries if text), None)

    def _post(self, body: Mapping[str, Any]) -> bytes:
        try:
            return self._endpoint.post("/chat/completions", body)
        except Refused as error:
            raise self._refused(error) from error
        except Failed as error:
            raise AliveError(
                f"the teacher at {self.url} failed {self._endpoint.tries} times "
                f"({error.problem}); check that the server runs and is not overloaded, or set "
                "warmup.teacher=auto"
            ) from error

    def _refused(self, error: Refused) -> ConfigError:
        remedy = {
            401: f"put its key into the environment variable {KEY_VARIABLE}",
            403: f"put its key into the environment variable {KEY_VARIABLE}",
            404: "check warmup.teacher (it usually ends in /v1) and warmup.teacher_model",
        }.get(error.code, "check warmup.teacher and warmup.teacher_model")
        return ConfigError(
            f"the teacher at {self.url} refused the request ({error.problem}); {remedy}"
        )

    def _content(self, data: bytes) -> str:
        """Reads the answer's text without what the model thought; empty where there is none."""
        try:
            message: Any = json.loads(data)["choices"][0]["message"]
            content = message.get("content")
            if isinstance(content, list):  # of parts, as some servers answer
                content = "".join(p["text"] for p in content if p.get("type") == "text")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise self._stranger(data) from error
        if not isinstance(content, str | None):
            raise self._stranger(data)
        text = (content or "").strip()
        # A server without a parser for it leaves the thinking in the text.
        thinking = text.startswith("<think>") and _THOUGHT not in text
        return "" if thinking else text.rpartition(_THOUGHT)[2].strip()

    def _stranger(self, data: bytes) -> AliveError:
        shown = data[:120].decode("utf-8", "replace")
        return AliveError(
            f"the teacher at {self.url} does not answer as an OpenAI-compatible endpoint does "
            f"(it sent {shown!r}); check warmup.teacher"
        )
