"""A browser page that remembers what went wrong, and the pages of a run on a port of their own."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class Tab:
    """A browser page that remembers what went wrong on it.

    Attributes:
        page: Playwright's.
        faults: Console errors, exceptions, dialogs, and requests that left the run's own pages.
    """

    def __init__(self, browser: Any, root: str, width: int, dark: bool) -> None:
        scheme = "dark" if dark else "light"
        self.page = browser.new_page(
            viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.faults: list[str] = []
        self._root = root
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("dialog", self._asked)
        self.page.on("request", self._requested)

    def open(self, url: str) -> Any:
        self.page.goto(url)
        return self.page

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console: {message.text}")

    def _asked(self, dialog: Any) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if f"{parts.scheme}://{parts.netloc}" != self._root and parts.scheme != "data":
            self.faults.append(f"request: {request.url}")


class Served:
    """The pages of a run on a port of their own."""

    def __init__(self, run: Path) -> None:
        import uvicorn

        from alive.view import make_app

        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()  # who comes before the server is ready waits
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.run = run
        self._server = uvicorn.Server(uvicorn.Config(make_app(run), log_level="error"))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()
