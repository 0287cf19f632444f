"""Pages for people: the dashboard.

It is one application: each of its pages is the same document, which the build has written into ``picloud/dashboard`` with all
that belongs to it; the path tells it what to show. So are the doors: where one logs in, signs up, or sets a password.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from picloud.server.control import Control
from picloud.server.http import Request, reply
from picloud.server.operation import HTML
from picloud.server.static import KEPT, RENEWED, File, Folder
from picloud.wire.error import NotFound

PAGES = (
    "/", "/jobs", "/jobs/{jid}", "/queues", "/queues/{queue}", "/bucket", "/volumes", "/environments", "/environments/{name}",
    "/cron", "/rest", "/realtime", "/notebook", "/desktop", "/usage", "/grants", "/keys", "/account", "/cluster", "/admin",
    "/login", "/signup", "/invite/{token}", "/docs", "/docs/{page}",
    "/sign-in", "/sign-up", "/password",
)  # fmt: skip
"""The paths of the dashboard. The last ones are in mails and at providers of logins, and stay for them."""
OTHERS = ("/v1/", "/r/", "/assets/")
"""What begins so is never a page."""

_PRIVATE = (b"referrer-policy", b"no-referrer")
_UNBUILT = b"""<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>PiCloud</title>
<p>The server runs; its dashboard is not built in this checkout. Run <code>make dashboard</code> and load this page again.
"""
FOLDER = Folder(Path(__file__).parents[2] / "dashboard")


async def shown(control: Control, request: Request, *parts: str) -> None:
    """GET of a page of the dashboard"""
    await _show(control, request, 200)


async def lost(control: Control, request: Request) -> None:
    """GET of a page that does not exist, which the dashboard says itself"""
    await _show(control, request, 404)


async def asset(control: Control, request: Request, name: str) -> None:
    """GET /assets/{asset}: a part of the dashboard, named by its content"""
    await _send(request, f"assets/{name}", KEPT)


async def file(control: Control, request: Request, name: str) -> None:
    """GET /{file}: the icon and its kin"""
    await _send(request, name, RENEWED)


def is_lost(request: Request, path: str) -> bool:
    """Whether a path without a route was asked for by somebody who wants to see a page."""
    return "text/html" in request.header("accept") and not path.startswith(OTHERS)


async def _show(control: Control, request: Request, status: int) -> None:
    headers = [
        (b"content-security-policy", policy(control.edge(request))),
        _PRIVATE,
        (b"cross-origin-opener-policy", b"same-origin"),
    ]
    try:
        found = FOLDER.file("index.html")
    except NotFound:
        await reply(request.send, _UNBUILT, HTML, 404, headers)
        return
    await _answer(request, found, RENEWED, status, headers)


def policy(edge: str) -> bytes:
    """What the dashboard may reach: this server, and the bytes and streams that the edge serves."""
    at = urlsplit(edge)
    line = f"{'wss' if at.scheme == 'https' else 'ws'}://{at.netloc}"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; worker-src 'self'; "
        f"manifest-src 'self'; connect-src 'self' {edge} {line}; img-src 'self' data: blob: {edge}; media-src blob: {edge}; "
        f"frame-src {edge}; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ).encode()


async def _send(request: Request, name: str, cached: bytes) -> None:
    await _answer(request, FOLDER.file(name), cached, 200, [_PRIVATE, (b"cross-origin-resource-policy", b"same-origin")])


async def _answer(request: Request, found: File, cached: bytes, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    told = [*headers, (b"cache-control", cached), (b"etag", found.etag), (b"vary", b"accept-encoding")]
    if status == 200 and request.headers.get(b"if-none-match", b"") == found.etag:
        await reply(request.send, b"", found.kind, 304, told)
    elif found.packed and "gzip" in request.header("accept-encoding"):
        await reply(request.send, found.packed, found.kind, status, [*told, (b"content-encoding", b"gzip")])
    else:
        await reply(request.send, found.data, found.kind, status, told)
