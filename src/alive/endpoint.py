"""A server spoken to over plain HTTP: JSON there and back, by the standard library alone.

It is meant to run on this machine. No redirect is followed, since it could carry a corpus, and a
key, to a host that nobody named; a loopback address is never asked for through a proxy, and no key
crosses a network in the clear.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import socket
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from alive.errors import ConfigError

__all__ = ["Endpoint", "Failed", "Refused", "is_loopback", "is_private"]

_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
_SAID = 500


class Refused(Exception):
    """The server answered that it will not.

    Attributes:
        code: HTTP status.
        problem: What it said, printable.
    """

    def __init__(self, code: int, said: str) -> None:
        """Names the status, and what came with it."""
        self.code, self.problem = code, f"HTTP {code}: {said}"
        super().__init__(self.problem)


class Failed(Exception):
    """No try brought an answer.

    Attributes:
        problem: What went wrong last, printable.
    """

    def __init__(self, problem: str) -> None:
        """Says what went wrong last."""
        self.problem = problem
        super().__init__(problem)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


class Endpoint:
    """Asks one server.

    Attributes:
        url: Without a slash at its end.
        local: Whether it is on this machine.
        tries: How often a request is made, at most.
    """

    def __init__(
        self,
        url: str,
        name: str,
        key_variable: str,
        *,
        timeout: float,
        retries: int,
        backoff: float,
        most: int,
    ) -> None:
        """Prepares to ask; nothing is sent.

        Args:
            url: An http(s) URL.
            name: What messages call it, ``the teacher``.
            key_variable: Environment variable that holds its key, where it wants one.
            timeout: Seconds one try may take.
            retries: Further tries after a refused, cut or timed-out connection or a busy server.
            backoff: Seconds before the first of them; doubles each time.
            most: Bytes that an answer may have.

        Raises:
            ConfigError: The key cannot be a header, or would cross a network unencrypted.
        """
        parts = urlsplit(url)
        self.url, self.tries = url.rstrip("/"), retries + 1
        self.local = is_loopback(parts.hostname or "")
        self._timeout, self._backoff, self._most = timeout, backoff, most
        self._key = _key(key_variable)
        if self._key and parts.scheme == "http" and not self.local:
            raise ConfigError(
                f"{name} {url} is on another machine, and plain HTTP would show the key of "
                f"{key_variable} to the network. Name it by https://, reach it through a tunnel "
                "(ssh -L 8000:localhost:8000 HOST, then http://127.0.0.1:8000/v1), or, where it "
                f"needs no key, unset {key_variable}"
            )
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if self.local:
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, path: str) -> bytes:
        """Reads what is at a path; raises as ``post``."""
        return self._ask(path, None)

    def post(self, path: str, body: Any) -> bytes:
        """Sends a JSON value, and returns the answer's bytes.

        Raises:
            Refused: The server knows no such path, model or key, or will not take the request.
            Failed: It cannot be reached, keeps failing, or sends more than it may.
        """
        return self._ask(path, json.dumps(body).encode())

    def _ask(self, path: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        method = "GET" if body is None else "POST"
        request = urllib.request.Request(f"{self.url}{path}", body, headers, method=method)
        problem = ""
        for attempt in range(self.tries):
            if attempt:
                time.sleep(self._backoff * 2 ** (attempt - 1))
            try:
                with self._opener.open(request, timeout=self._timeout) as reply:
                    data: bytes = reply.read(self._most + 1)
                    # A sized read does not complain of a cut connection.
                    if reply.length and len(data) <= self._most:
                        raise http.client.IncompleteRead(data, reply.length)
            except urllib.error.HTTPError as error:
                with error:
                    said = _printable(error.read(_SAID))
                if error.code not in _RETRYABLE:
                    raise Refused(error.code, said) from error
                problem = f"HTTP {error.code}: {said}"
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                problem = str(getattr(error, "reason", error)) or type(error).__name__
            else:
                if len(data) > self._most:
                    raise Failed(f"it sent more than {self._most >> 20} MB")
                return data
        raise Failed(problem)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or address alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_private(host: str) -> bool:
    """Whether all addresses of a host are of a private network or this machine.

    A name that stands for no address is none that anybody could be reached by.
    """
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
        addresses = [ipaddress.ip_address(str(one).partition("%")[0]) for one in found]
    except (OSError, UnicodeError, ValueError):
        return True
    return all(one.is_private or one.is_loopback for one in addresses)


def _printable(said: bytes) -> str:
    """What a server said, on one line, without what a terminal would obey."""
    text = said.decode("utf-8", "replace")
    return "".join(sign if sign.isprintable() else " " for sign in text).strip()


def _key(variable: str) -> str:
    """The endpoint's key; empty if there is none.

    Raises:
        ConfigError: It cannot be a header.
    """
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"the key in {variable} holds characters that no key has")
    return key
