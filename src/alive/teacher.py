"""A warm-up teacher behind an OpenAI-compatible endpoint, over plain HTTP.

Any server that answers ``POST URL/chat/completions`` will do: vLLM, llama.cpp, ``transformers
serve``. It is meant to run on this machine; any other host gets a warning, because the corpus goes
there, and no key over plain HTTP.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from alive.config import teacher_fault
from alive.errors import AliveError, ConfigError

__all__ = ["KEY_VARIABLE", "EndpointTeacher"]

KEY_VARIABLE = "ALIVE_TEACHER_KEY"
"""Environment variable that holds the endpoint's key, where it wants one."""

Message = Mapping[str, str]

_MAX_BODY = 8 * 2**20
_THOUGHT = "</think>"
_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could carry the corpus, and the key, to a host the user never named."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


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
        parts = urlsplit(url)
        local = _is_loopback(parts.hostname or "")
        self._key = _key()
        if self._key and parts.scheme == "http" and not local:
            raise ConfigError(
                f"the teacher {url} is on another machine, and plain HTTP would show the key of "
                f"{KEY_VARIABLE} to the network. Name it by https://, reach it through a tunnel "
                "(ssh -L 8000:localhost:8000 HOST, then http://127.0.0.1:8000/v1), or, where it "
                f"needs no key, unset {KEY_VARIABLE}"
            )
        self.url = url.rstrip("/")
        self.model = model
        self.timeout = timeout
        self.max_tokens = max_tokens
        self.retries = retries
        self.backoff = backoff
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if local:
            handlers.append(urllib.request.ProxyHandler({}))
        else:
            warnings.warn(
                f"the teacher {url} is not on this machine: passages of the corpus and attempts "
                "will be sent there",
                UserWarning,
                stacklevel=2,
            )
        self._opener = urllib.request.build_opener(*handlers)

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
                f"asked {self.retries + 1} times each; they have no review. Of a model that thinks "
                f"first, {self.max_tokens} tokens may be too few: raise sampling.review_tokens",
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
        data = json.dumps(body).encode()
        tries = (self._content(self._post(data)) for _ in range(self.retries + 1))
        return next((text for text in tries if text), None)

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(f"{self.url}/chat/completions", body, headers)
        problem = ""
        for attempt in range(self.retries + 1):
            if attempt:
                time.sleep(self.backoff * 2 ** (attempt - 1))
            try:
                with self._opener.open(request, timeout=self.timeout) as reply:
                    data: bytes = reply.read(_MAX_BODY + 1)
                    if len(data) > _MAX_BODY:
                        raise AliveError(f"the teacher at {self.url} sent more than 8 MB")
                    if reply.length:  # a sized read does not complain of a cut connection
                        raise http.client.IncompleteRead(data, reply.length)
                    return data
            except urllib.error.HTTPError as error:
                with error:
                    detail = error.read(500).decode("utf-8", "replace").strip()
                problem = f"HTTP {error.code}: {detail}"
                if error.code not in _RETRYABLE:
                    raise self._refused(error.code, problem) from error
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                problem = str(getattr(error, "reason", error)) or type(error).__name__
        raise AliveError(
            f"the teacher at {self.url} failed {self.retries + 1} times ({problem}); check that "
            "the server runs and is not overloaded, or set warmup.teacher=auto"
        )

    def _refused(self, code: int, problem: str) -> ConfigError:
        remedy = {
            401: f"put its key into the environment variable {KEY_VARIABLE}",
            403: f"put its key into the environment variable {KEY_VARIABLE}",
            404: "check warmup.teacher (it usually ends in /v1) and warmup.teacher_model",
        }.get(code, "check warmup.teacher and warmup.teacher_model")
        return ConfigError(f"the teacher at {self.url} refused the request ({problem}); {remedy}")

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


def _key() -> str:
    """The endpoint's key; empty if there is none.

    Raises:
        ConfigError: It cannot be a header.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"the key in {KEY_VARIABLE} holds characters that no key has")
    return key


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
