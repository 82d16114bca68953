"""The local server of a run's pages: this machine alone, and nothing that changes anything."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Container
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from alive.errors import UserError
from alive.report import render_report
from alive.report.html import stylesheet
from alive.view.episodes import FLAGS, Filters, Place
from alive.view.pages import CHANGES, Pages, Unknown

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["HOST", "PORT", "make_app", "serve"]

HOST, PORT = "127.0.0.1", 8765

_HEADERS = {
    # No script at all, nothing from elsewhere, no page that frames it.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
)


def serve(run: Path, port: int | None, ready: Callable[[str], None]) -> None:
    """Serves the pages of a run on the loopback address until Ctrl-C.

    Args:
        run: The run folder.
        port: Where to listen, 0 for any free port; None for ``PORT``, or any where that is taken.
        ready: Told the address once it listens.

    Raises:
        UserError: The port is taken, or the folder holds no run.
    """
    import uvicorn

    app = make_app(run)
    with _listening(port) as listening:
        ready(f"http://{HOST}:{listening.getsockname()[1]}/")
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
        # Ctrl-C is how it is meant to end.
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def _listening(port: int | None) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, PORT if port is None else port))
    except OSError as error:
        listening.close()
        if port is None:
            return _listening(0)
        raise UserError(
            f"port {port} cannot be listened on ({error.strerror}); choose another with --port, "
            "or --port 0 for any that is free"
        ) from None
    listening.listen()  # who opens the address at once waits, and is not refused
    return listening


def make_app(run: Path) -> Starlette:
    """Returns the application that serves a run's pages.

    Raises:
        RunError: The folder holds no run, or one of an earlier version.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import HTMLResponse, PlainTextResponse, Response
    from starlette.routing import Route

    pages = Pages(run, link)

    def page(write: Callable[[Request], str]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            try:
                return HTMLResponse(write(request), headers=_HEADERS)
            except Unknown as error:
                return HTMLResponse(pages.missing(str(error)), 404, headers=_HEADERS)
            except _Malformed as error:
                return HTMLResponse(pages.missing(str(error)), 400, headers=_HEADERS)

        return answer

    def report(request: Request) -> Response:
        headers = {**_HEADERS, "Content-Security-Policy": _REPORT_POLICY}
        return HTMLResponse(render_report(run), headers=headers)

    def style(request: Request) -> Response:
        return Response(stylesheet(), media_type="text/css", headers=_HEADERS)

    async def nowhere(request: Request, error: Exception) -> Response:
        return PlainTextResponse("there is no such page", 404, headers=_HEADERS)

    routes = [
        Route("/", page(lambda r: pages.home(_number(r, "page", 1)))),
        Route("/goto", page(lambda r: pages.step(_number(r, "step", 1) - 1))),
        Route("/step/{step:int}", page(lambda r: pages.step(r.path_params["step"]))),
        Route("/document/{step:int}/{id}", page(lambda r: pages.document(*_named(r)))),
        Route("/task/{step:int}/{id}", page(lambda r: pages.task(*_named(r)))),
        Route("/attempts", page(lambda r: pages.attempts(_filters(r), _after(r)))),
        Route("/problems", page(lambda r: pages.problems(*_asked(r)))),
        Route("/problem/{index:int}", page(lambda r: pages.problem(r.path_params["index"]))),
        Route("/report", report),
        Route("/style.css", style),
    ]
    # Another site's page must not reach it under a name of its own.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    handlers: dict[int, Callable[[Request, Exception], Awaitable[Response]]] = {404: nowhere}
    return Starlette(routes=routes, middleware=[hosts], exception_handlers=handlers)


def link(page: str, /, **values: object) -> str:
    """Returns the address of a page on the server: its own values in the path, others asked for."""
    path = [str(values.pop(name)) for name in ("step", "id", "index") if name in values]
    query = {name: value for name, value in values.items() if value not in ("", None)}
    where = "/" if page == "home" else "/" + "/".join([page, *(quote(part, "") for part in path)])
    return where + (f"?{urlencode(query)}" if query else "")


class _Malformed(ValueError):
    """A query that no page of ours asks."""


def _number(request: Request, name: str, otherwise: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return otherwise
    if not text.isdecimal() or not 0 < int(text) < 1 << 31:
        raise _Malformed(f"{name} must be a whole number from 1 on")
    return int(text)


def _choice(request: Request, name: str, known: Container[str]) -> str:
    text = request.query_params.get(name, "")
    if text and text not in known:
        raise _Malformed(f"there is no {name} of that name")
    return text


def _named(request: Request) -> tuple[int, str]:
    return request.path_params["step"], request.path_params["id"]


def _filters(request: Request) -> Filters:
    query = request.query_params
    return Filters(
        text=query.get("text", ""),
        role=_choice(request, "role", ("solve", "revise")),  # type: ignore[arg-type]
        flag=_choice(request, "flag", FLAGS),
        dropped=query.get("dropped", ""),
        domain=query.get("domain", ""),
        document=query.get("document", ""),
    )


def _after(request: Request) -> Place | None:
    if "from" not in request.query_params:
        return None
    step, _, row = request.query_params["from"].partition(".")
    try:
        return Place(int(step), int(row))
    except ValueError:
        raise _Malformed("from must be a step and a row") from None


def _asked(request: Request) -> tuple[str, str, int]:
    change = _choice(request, "change", CHANGES)
    return change, request.query_params.get("domain", ""), _number(request, "page", 1)
