"""Every route of the control process in one list, and the ASGI application that serves it.

Bare ASGI throughout: the hot routes need it, and with one list every route has the same authentication, the same error
answers, and can be walked by a test with a foreign key.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from picloud.server.api import (
    append,
    blob,
    edge,
    environment,
    job,
    line,
    object,
    page,
    reading,
    result,
    server,
    shell,
    submission,
    watch,
    worker,
)
from picloud.server.auth import Headers
from picloud.server.control import Control
from picloud.server.http import Receive, Request, Scope, Send, refuse
from picloud.server.line import End, Line
from picloud.wire.error import CloudException, Forbidden, NotFound, Unavailable

log = logging.getLogger("picloud.http")
Handler = Callable[..., Awaitable[None]]


class Access(Enum):
    """Who may use a route."""

    anyone = "no key"
    account = "an API key, or a running job"
    worker = "a live worker"
    edge = "the edge process"


class Route(NamedTuple):
    method: str
    path: str  # {name} stands for one part
    handler: Handler
    access: Access = Access.account


ROUTES = [
    Route("GET", "/", page.home, Access.anyone),
    Route("GET", "/v1/health", server.health, Access.anyone),
    Route("POST", "/v1/login", server.login, Access.anyone),
    Route("POST", "/v1/login/ticket", server.login_link),
    Route("GET", "/v1/server", server.server),
    Route("GET", "/v1/status", server.status),
    Route("POST", "/v1/submission", submission.submit),
    Route("POST", "/v1/chunk", submission.chunk),
    Route("POST", "/v1/result", result.stream),
    Route("POST", "/v1/job/status", job.status),
    Route("POST", "/v1/job/info", job.info),
    Route("POST", "/v1/job/kill", job.kill),
    Route("POST", "/v1/job/delete", job.delete),
    Route("POST", "/v1/job/rerun", job.rerun),
    Route("GET", "/v1/job", job.listing),
    Route("GET", "/v1/job/{jid}/payload", job.payload),
    Route("GET", "/v1/job/{jid}/log", reading.log),
    Route("GET", "/v1/job/{jid}/samples", reading.samples),
    Route("POST", "/v1/blob", blob.new),
    Route("POST", "/v1/blob/get", blob.get),
    Route("GET", "/v1/environment", environment.listing),
    Route("POST", "/v1/environment", environment.create),
    Route("GET", "/v1/environment/base", environment.list_bases),
    Route("POST", "/v1/environment/base", environment.add_base),
    Route("GET", "/v1/environment/version", environment.versions),
    Route("GET", "/v1/environment/package", environment.packages),
    Route("GET", "/v1/environment/wait", environment.wait),
    Route("GET", "/v1/environment/output", environment.output),
    Route("POST", "/v1/environment/modify", environment.modify),
    Route("POST", "/v1/environment/save", environment.save),
    Route("POST", "/v1/environment/shutdown", environment.shutdown),
    Route("POST", "/v1/environment/clone", environment.clone),
    Route("POST", "/v1/environment/edit", environment.edit),
    Route("POST", "/v1/environment/publish", environment.publish),
    Route("POST", "/v1/environment/delete", environment.delete),
    Route("POST", "/v1/environment/run", environment.run),
    Route("GET", "/v1/object", object.usage),
    Route("POST", "/v1/object/put", object.put),
    Route("POST", "/v1/object/find", object.find),
    Route("POST", "/v1/object/get", object.get),
    Route("POST", "/v1/object/list", object.listing),
    Route("POST", "/v1/object/remove", object.remove),
    Route("POST", "/v1/object/folder", object.folder),
    Route("POST", "/v1/object/folder/remove", object.remove_folder),
    Route("POST", "/v1/object/append", append.append),
    Route("POST", "/v1/object/watch", watch.watch),
    Route("POST", "/v1/object/rename", object.rename),
    Route("POST", "/v1/object/copy", object.copy),
    Route("POST", "/v1/object/publish", object.publish),
    Route("POST", "/v1/object/md5", object.md5),
    Route("POST", "/v1/admin/account", server.add_account),
    Route("POST", "/v1/worker/blob", blob.new, Access.worker),
    Route("POST", "/v1/worker/blob/get", blob.get, Access.worker),
    Route("GET", "/v1/worker/edge", blob.edge, Access.worker),
    Route("GET", "/v1/worker/code/{digest}", worker.code, Access.worker),
    Route("GET", "/v1/worker/layer/{digest}", worker.layer, Access.worker),
    Route("POST", "/v1/key/ssh", shell.add_key),
    Route("GET", "/v1/job/{jid}/wait", shell.wait),
    Route("POST", "/v1/job/{jid}/link", shell.link),
    Route("POST", "/v1/edge/login", edge.login, Access.edge),
    Route("POST", "/v1/edge/channel", edge.channel, Access.edge),
    Route("POST", "/v1/edge/listening", edge.listening, Access.edge),
    Route("POST", "/v1/edge/public", object.public, Access.edge),
]
LINES: dict[str, Callable[[Control, Line, Headers], End]] = {"/v1/worker": worker.opened, "/v1/line": line.opened}
"""The WebSockets, with what lets a connection in; see ``server.line``."""

_PART = {"jid": r"(\d{1,18})", "digest": r"([0-9a-f]{64})"}


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", lambda found: _PART[found[1]], path))


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
        self._host_seen = b""  # the newest value of Host that was found good
        self._exact = {(r.method, r.path): r for r in ROUTES if "{" not in r.path}
        self._patterns = [(r.method, _pattern(r.path), r) for r in ROUTES if "{" in r.path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sending(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        request = Request(scope, receive, sending, dict(scope["headers"]), self._control.settings.max_body)
        try:
            self._check_host(request)
            route, parts = self._find(scope["method"], scope["path"])
            await self._admit(route, request)
            await route.handler(self._control, request, *parts)
        except CloudException as error:
            if started:
                raise
            await refuse(send, error)
        except asyncio.CancelledError:  # the server stops and could not wait any longer; the client asks the next one
            if not started:
                await refuse(send, Unavailable("the server is stopping", hint="picloud up starts it again"))
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if started:
                raise
            await refuse(send, Unavailable("the server could not do that", hint="see server.log in PICLOUD_HOME"))

    def _find(self, method: str, path: str) -> tuple[Route, tuple[str, ...]]:
        route = self._exact.get((method, path))
        if route is not None:
            return route, ()
        for known, pattern, candidate in self._patterns:
            found = pattern.fullmatch(path) if known == method else None
            if found:
                return candidate, found.groups()
        raise NotFound(f"no route {method} {path[:200]}", hint="see docs/reference/http.md")

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
            request.principal = authority.remembered(request.headers) or await authority.principal(request.headers)
        elif route.access is Access.edge:
            self._control.authority.check_edge(request.headers)
        elif route.access is Access.worker:
            self._control.authority.worker(request.headers)
