"""A warm-up teacher behind an OpenAI-compatible endpoint, over plain HTTP.

Any server that answers ``POST URL/chat/completions`` will do: vLLM, llama.cpp, ``transformers
serve``. It is meant to run on this machine; any other host gets a warning, because the corpus goes
there.
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

from alive.errors import AliveError, ConfigError

__all__ = ["KEY_VARIABLE", "EndpointTeacher"]

KEY_VARIABLE = "ALIVE_TEACHER_KEY"
"""Environment variable that holds the endpoint's key, where it wants one."""

Message = Mapping[str, str]

_MAX_BODY = 8 * 2**20
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
        max_tokens: Longest critique, tokens.
        retries: Further tries after a refused, cut or timed-out connection or a busy server.
        backoff: Seconds before the first retry; doubles each time.

    Raises:
        ConfigError: The URL is not an http(s) URL, or the model name is empty.
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
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(
                f"warmup.teacher={url!r} is neither 'auto' nor an http(s) URL; an endpoint on "
                "this machine looks like http://127.0.0.1:8000/v1"
            )
        if not model:
            raise ConfigError(
                f"the teacher at {url} needs a model name: set warmup.teacher_model "
                f"(GET {url.rstrip('/')}/models lists them)"
            )
        self.url = url.rstrip("/")
        self.model = model
        self.timeout = timeout
        self.max_tokens = max_tokens
        self.retries = retries
        self.backoff = backoff
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if _is_loopback(parts.hostname):
            handlers.append(urllib.request.ProxyHandler({}))
        else:
            warnings.warn(
                f"the teacher {url} is not on this machine: passages of the corpus and attempts "
                "will be sent there",
                UserWarning,
                stacklevel=2,
            )
        self._opener = urllib.request.build_opener(*handlers)

    def critiques(self, prompts: Sequence[Sequence[Message]]) -> list[str]:
        """Returns one critique a prompt, in order.

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
                return [future.result() for future in futures]
            except AliveError:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _complete(self, messages: Sequence[Message]) -> str:
        body = {
            "model": self.model,
            "messages": [dict(message) for message in messages],
            "max_tokens": self.max_tokens,
            "temperature": 0.0,
            "stream": False,
        }
        return self._content(self._post(json.dumps(body).encode()))

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(KEY_VARIABLE)
        if key:
            headers["Authorization"] = f"Bearer {key}"
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
        try:
            reply: Any = json.loads(data)
            content = reply["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError) as error:
            shown = data[:120].decode("utf-8", "replace")
            raise AliveError(
                f"the teacher at {self.url} does not answer as an OpenAI-compatible endpoint does "
                f"(it sent {shown!r}); check warmup.teacher"
            ) from error
        if not isinstance(content, str):
            raise AliveError(
                f"the teacher at {self.url} sent no text; choose a chat model that answers in text"
            )
        return content


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
