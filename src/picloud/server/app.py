"""The ASGI application of the control process.

Bare ASGI throughout: the hot routes need it, and with one list every route has the same authentication, the same error
answers, and can be walked by a test with a foreign key.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from picloud.server.api import page
from picloud.server.control import Control
from picloud.server.document import document
from picloud.server.http import Receive, Request, Scope, Send, refuse
from picloud.server.operation import declared
from picloud.server.route import Access, Route, Table
from picloud.server.routes import ROUTES
from picloud.wire.error import CloudException, Forbidden, NotFound, Unavailable

log = logging.getLogger("picloud.http")
LOST = Route("GET", "", page.lost, Access.page)
"""Of a page that does not exist."""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class App:
    """The ASGI application."""

    def __init__(self, control: Control) -> None:
        self._control = control
        control.document = cache(lambda: msgspec.json.encode(document(ROUTES)))
        self._host_seen = b""  # the newest value of Host that was found good
        self._table = Table(ROUTES)
        control.find = self._table.find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status, template, begun = False, 0, "", time.perf_counter()
        stop: Callable[[], Any] | None = None

        async def sending(message: Any) -> None:
            nonlocal started, stop, status
            if not started and request.held is not None:  # an answer that takes longer ends with the key
                stop = cast(asyncio.Task[None], asyncio.current_task()).cancel
                request.held.users.add(stop)
                if request.held.ended:  # since it was let in; a short answer is out before this comes
                    asyncio.get_running_loop().call_soon(stop)
            started, status = True, status or message["status"]  # the first message is the head
            await send(message)

        request = Request(scope, receive, sending, dict(scope["headers"]), self._control.settings.max_body)
        try:
            self._check_host(request)
            route, parts = self._find(request)
            request.operation, template = declared(route.handler), route.path
            await self._admit(route, request)
            await route.handler(self._control, request, *parts)
        except CloudException as error:
            if started:
                raise
            status = error.http_status
            await refuse(send, error)
        except asyncio.CancelledError:  # the server stops and could not wait any longer; the client asks the next one
            if not started:
                await refuse(send, Unavailable("the server is stopping", hint="picloud up starts it again"))
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if started:
                raise
            await refuse(send, Unavailable("the server could not do that", hint="see server.log in PICLOUD_HOME"))
        finally:
            took = time.perf_counter() - begun
            self._control.metrics.answered(scope["method"] if template else "", template, status or 503, took)
            if stop is not None and request.held is not None:
                request.held.users.discard(stop)

    def _find(self, request: Request) -> tuple[Route, tuple[str, ...]]:
        method, path = request.scope["method"], request.scope["path"]
        try:
            return self._table.find(method, path)
        except NotFound:
            if method == "GET" and page.is_lost(request, path):
                return LOST, ()
            raise

    def _check_host(self, request: Request) -> None:
        """A foreign name for our address is how a web page elsewhere would reach us through the user's browser."""
        given = request.headers.get(b"host", b"")
        if given == self._host_seen:
            return
        host = urlsplit("//" + given.decode("latin-1")).hostname or ""
        if host in self._control.hosts or _is_address(host):
            self._host_seen = given
        else:
            raise Forbidden(f"this server is not called {host[:200]!r}", hint="use its address, or start it with --host NAME")

    async def _admit(self, route: Route, request: Request) -> None:
        if route.access is Access.account:
            authority = self._control.authority
            held = authority.remembered(request.headers)
            if held is not None:
                request.principal, request.held = held.principal, held
            else:
                request.principal, request.held = await authority.enter(request.headers)
            request.principal.check(route.scope)
        elif route.access is Access.edge:
            self._control.authority.check_edge(request.headers)
        elif route.access is Access.worker:
            self._control.authority.worker(request.headers)
