"""Every route of the control process in one list, and the ASGI application that serves it.

Bare ASGI throughout: the hot routes need it, and with one list every route has the same authentication, the same error
answers, and can be walked by a test with a foreign key.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from functools import cache
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import msgspec

from picloud.server.api import (
    account,
    append,
    award,
    blob,
    bucket,
    cron,
    edge,
    environment,
    file,
    installation,
    job,
    key,
    line,
    member,
    message,
    metrics,
    object,
    oidc,
    operator,
    page,
    program,
    queue,
    reading,
    realtime,
    rest,
    restkey,
    result,
    secret,
    server,
    shell,
    submission,
    terminal,
    usage,
    volume,
    watch,
    webhook,
    worker,
)
from picloud.server.auth import Headers
from picloud.server.control import Control
from picloud.server.document import document
from picloud.server.http import Receive, Request, Scope, Send, refuse
from picloud.server.line import End, Line
from picloud.server.operation import declared
from picloud.server.paths import pattern
from picloud.server.scopes import (
    ADMIN,
    ANY,
    ASK_ADDRESS,
    ASK_ADMIN,
    ASK_BLOBS,
    ASK_BUCKET,
    ASK_CODE,
    ASK_JOBS,
    ASK_QUEUE,
    ATTACH,
    BLOBS,
    BUCKET,
    CALL,
    CODE,
    INVOKE,
    JOBS,
    QUEUE,
    Scopes,
)
from picloud.wire.error import CloudException, Forbidden, NotFound, Unavailable

log = logging.getLogger("picloud.http")
Handler = Callable[..., Awaitable[None]]


class Access(Enum):
    """Who may use a route."""

    anyone = "no key"
    account = "an API key, or a running job"
    worker = "a live worker"
    edge = "the edge process"

    @property
    def keyed(self) -> bool:
        """Whether it is asked with a key, a login's token, or by a job."""
        return self is Access.account

    @property
    def internal(self) -> bool:
        """Whether only our own processes ask it."""
        return self in (Access.worker, Access.edge)


class Route(NamedTuple):
    method: str
    path: str  # {name} stands for one part, {end} for a slash that may be left out
    handler: Handler
    access: Access = Access.account
    scope: Scopes = ADMIN  # a key needs all of one of these


ROUTES = [
    Route("GET", "/", page.home, Access.anyone),
    Route("GET", "/v1/health", server.health, Access.anyone),
    Route("GET", "/v1/openapi.json", server.openapi, Access.anyone),
    Route("GET", "/sign-up", page.door, Access.anyone),
    Route("GET", "/password", page.door, Access.anyone),
    Route("GET", "/sign-in", page.sign_in, Access.anyone),
    Route("POST", "/v1/login/oidc", oidc.begin, Access.anyone),
    Route("POST", "/v1/login/oidc/finish", oidc.finish, Access.anyone),
    Route("POST", "/v1/login", account.login, Access.anyone),
    Route("POST", "/v1/login/ticket", account.login_link, scope=ANY),
    Route("POST", "/v1/login/password", account.login_password, Access.anyone),
    Route("POST", "/v1/logout", account.logout, scope=ANY),
    Route("POST", "/v1/signup", account.sign_up, Access.anyone),
    Route("POST", "/v1/password", account.change_password, scope=ANY),
    Route("POST", "/v1/password/reset", account.reset, Access.anyone),
    Route("POST", "/v1/password/forgotten", account.forgotten, Access.anyone),
    Route("GET", "/v1/key", key.listing, scope=ASK_ADMIN),
    Route("GET", "/v1/key/own", key.own, scope=ANY),
    Route("POST", "/v1/key", key.create, scope=ADMIN),
    Route("POST", "/v1/key/change", key.change, scope=ADMIN),
    Route("POST", "/v1/key/rotate", key.rotate, scope=ADMIN),
    Route("GET", "/v1/member", member.listing, scope=ASK_ADMIN),
    Route("POST", "/v1/member", member.place, scope=ADMIN),
    Route("POST", "/v1/invitation", member.invite, scope=ADMIN),
    Route("GET", "/v1/audit", member.log, scope=ADMIN),
    Route("GET", "/v1/server", server.server, scope=ANY),
    Route("GET", "/v1/status", server.status, scope=ASK_JOBS),
    Route("POST", "/v1/submission", submission.submit, scope=CALL),
    Route("POST", "/v1/chunk", submission.chunk, scope=CALL),
    Route("POST", "/v1/result", result.stream, scope=ASK_JOBS),
    Route("POST", "/v1/job/status", job.status, scope=ASK_JOBS),
    Route("POST", "/v1/job/info", job.info, scope=ASK_JOBS),
    Route("POST", "/v1/job/kill", job.kill, scope=JOBS),
    Route("POST", "/v1/job/delete", job.delete, scope=JOBS),
    Route("POST", "/v1/job/rerun", job.rerun, scope=JOBS),
    Route("GET", "/v1/job", job.listing, scope=ASK_JOBS),
    Route("POST", "/v1/job", program.submit, scope=CALL),
    Route("GET", "/v1/job/{jid}/payload", job.payload, scope=ASK_JOBS),
    Route("GET", "/v1/job/{jid}/log", reading.log, scope=ASK_JOBS),
    Route("GET", "/v1/job/{jid}/samples", reading.samples, scope=ASK_JOBS),
    Route("POST", "/v1/blob", blob.new, scope=BLOBS),
    Route("POST", "/v1/blob/get", blob.get, scope=ASK_BLOBS),
    Route("GET", "/v1/environment", environment.listing, scope=ASK_CODE),
    Route("POST", "/v1/environment", environment.create, scope=CODE),
    Route("GET", "/v1/environment/base", environment.list_bases, scope=ASK_CODE),
    Route("POST", "/v1/environment/base", environment.add_base, scope=CODE),
    Route("GET", "/v1/environment/version", environment.versions, scope=ASK_CODE),
    Route("GET", "/v1/environment/package", environment.packages, scope=ASK_CODE),
    Route("GET", "/v1/environment/wait", environment.wait, scope=ASK_CODE),
    Route("GET", "/v1/environment/output", environment.output, scope=ASK_CODE),
    Route("POST", "/v1/environment/modify", environment.modify, scope=CODE),
    Route("POST", "/v1/environment/save", environment.save, scope=CODE),
    Route("POST", "/v1/environment/shutdown", environment.shutdown, scope=CODE),
    Route("POST", "/v1/environment/clone", environment.clone, scope=CODE),
    Route("POST", "/v1/environment/edit", environment.edit, scope=CODE),
    Route("POST", "/v1/environment/publish", environment.publish, scope=CODE),
    Route("POST", "/v1/environment/delete", environment.delete, scope=CODE),
    Route("POST", "/v1/environment/run", environment.run, scope=CODE),
    Route("GET", "/v1/object", object.usage, scope=ASK_BUCKET),
    Route("POST", "/v1/object/put", object.put, scope=BUCKET),
    Route("POST", "/v1/object/find", object.find, scope=ASK_BUCKET),
    Route("POST", "/v1/object/get", object.get, scope=ASK_BUCKET),
    Route("POST", "/v1/object/list", object.listing, scope=ASK_BUCKET),
    Route("POST", "/v1/object/remove", object.remove, scope=BUCKET),
    Route("POST", "/v1/object/sync", object.sync, scope=ASK_BUCKET),
    Route("POST", "/v1/object/folder", object.folder, scope=BUCKET),
    Route("POST", "/v1/object/folder/remove", object.remove_folder, scope=BUCKET),
    Route("POST", "/v1/object/append", append.append, scope=BUCKET),
    Route("POST", "/v1/object/watch", watch.watch, scope=ASK_BUCKET),
    Route("POST", "/v1/object/rename", object.rename, scope=BUCKET),
    Route("POST", "/v1/object/copy", object.copy, scope=BUCKET),
    Route("POST", "/v1/object/publish", object.publish, scope=BUCKET),
    Route("POST", "/v1/object/mark", object.mark, scope=BUCKET),
    Route("POST", "/v1/object/md5", object.md5, scope=ASK_BUCKET),
    Route("GET", "/v1/bucket", bucket.listing, scope=ASK_BUCKET),
    Route("GET", "/v1/bucket/{key}", bucket.get, scope=ASK_BUCKET),
    Route("PUT", "/v1/bucket/{key}", bucket.put, scope=BUCKET),
    Route("POST", "/v1/bucket/{key}", bucket.compose, scope=BUCKET),
    Route("DELETE", "/v1/bucket/{key}", bucket.remove, scope=BUCKET),
    Route("GET", "/v1/file/{key}", file.get, scope=ASK_BUCKET),
    Route("POST", "/v1/file/rename", file.rename, scope=BUCKET),
    Route("POST", "/v1/file/copy", file.copy, scope=BUCKET),
    Route("POST", "/v1/file/folder", file.make_folder, scope=BUCKET),
    Route("POST", "/v1/file/remove", file.remove, scope=BUCKET),
    Route("POST", "/v1/file/publish", file.publish, scope=BUCKET),
    Route("POST", "/v1/file/link", file.link, scope=ASK_BUCKET),
    Route("GET", "/metrics", metrics.metrics, Access.anyone),
    Route("POST", "/v1/edge/file", file.held, Access.edge),
    Route("POST", "/v1/job/{jid}/terminal", terminal.make, scope=CODE),
    Route("POST", "/v1/edge/terminal", edge.terminal, Access.edge),
    Route("POST", "/v1/queue/push", queue.push, scope=QUEUE),
    Route("POST", "/v1/queue/exchange", queue.exchange, scope=QUEUE),
    Route("POST", "/v1/queue/wait", queue.exchange, scope=QUEUE),
    Route("POST", "/v1/queue/attach", queue.attach, scope=ATTACH),
    Route("POST", "/v1/queue/detach", queue.detach, scope=QUEUE),
    Route("POST", "/v1/queue/resize", queue.resize, scope=QUEUE),
    Route("GET", "/v1/queue", queue.listing, scope=ASK_QUEUE),
    Route("POST", "/v1/queue/change", queue.change, scope=QUEUE),
    Route("POST", "/v1/queue/delete", queue.delete, scope=QUEUE),
    Route("POST", "/v1/queue/purge", queue.purge, scope=QUEUE),
    Route("GET", "/v1/queue/dead", queue.dead, scope=ASK_QUEUE),
    Route("POST", "/v1/queue/replay", queue.replay, scope=QUEUE),
    Route("POST", "/v1/queue/bury", queue.bury, scope=QUEUE),
    Route("POST", "/v1/queue/{queue}/message", message.push, scope=QUEUE),
    Route("POST", "/v1/queue/{queue}/pop", message.pop, scope=QUEUE),
    Route("POST", "/v1/queue/{queue}/ack", message.ack, scope=QUEUE),
    Route("POST", "/v1/cron", cron.register, scope=CALL),
    Route("GET", "/v1/cron", cron.listing, scope=ASK_JOBS),
    Route("GET", "/v1/cron/run", cron.runs, scope=ASK_JOBS),
    Route("POST", "/v1/cron/run", cron.by_hand, scope=JOBS),
    Route("POST", "/v1/cron/remove", cron.remove, scope=JOBS),
    Route("POST", "/v1/realtime", realtime.reserve, scope=JOBS),
    Route("GET", "/v1/realtime", realtime.listing, scope=ASK_JOBS),
    Route("POST", "/v1/realtime/release", realtime.release, scope=JOBS),
    Route("POST", "/v1/realtime/change", realtime.change, scope=JOBS),
    Route("POST", "/v1/rest", rest.publish, scope=CALL),
    Route("GET", "/v1/rest", rest.listing, scope=ASK_JOBS),
    Route("POST", "/v1/rest/remove", rest.remove, scope=JOBS),
    Route("GET", "/v1/rest/key", restkey.listing, scope=ASK_JOBS),
    Route("POST", "/v1/rest/key", restkey.create, scope=CALL),
    Route("POST", "/v1/rest/key/rotate", restkey.rotate, scope=CALL),
    Route("POST", "/v1/rest/key/remove", restkey.remove, scope=CALL),
    Route("GET", "/v1/job/{jid}/result", rest.of_job, scope=ASK_JOBS),
    Route("GET", "/v1/job/{jid}/status", rest.status, scope=ASK_JOBS),
    Route("POST", "/r/{account}/{label}/map{end}", rest.invoke_map, scope=INVOKE),
    Route("POST", "/r/{account}/{label}{end}", rest.invoke, scope=INVOKE),
    Route("GET", "/r/{account}/{label}/result", rest.result, scope=ASK_ADDRESS),
    Route("GET", "/r/{account}/{label}/openapi.json", rest.openapi, scope=ASK_ADDRESS),
    Route("GET", "/r/{account}/{label}{end}", rest.described, scope=ASK_ADDRESS),
    Route("GET", "/v1/secret", secret.listing, scope=ASK_CODE),
    Route("POST", "/v1/secret", secret.put, scope=ADMIN),
    Route("POST", "/v1/secret/remove", secret.remove, scope=ADMIN),
    Route("GET", "/v1/webhook", webhook.listing, scope=ASK_JOBS),
    Route("POST", "/v1/webhook", webhook.put, scope=ADMIN),
    Route("POST", "/v1/webhook/remove", webhook.remove, scope=ADMIN),
    Route("GET", "/v1/webhook/delivery", webhook.deliveries, scope=ASK_JOBS),
    Route("GET", "/v1/volume", volume.listing, scope=ASK_BUCKET),
    Route("POST", "/v1/volume", volume.create, scope=BUCKET),
    Route("POST", "/v1/volume/delete", volume.delete, scope=BUCKET),
    Route("GET", "/v1/admin/account", installation.list_accounts, scope=ADMIN),
    Route("POST", "/v1/admin/account", installation.add_account, scope=ADMIN),
    Route("POST", "/v1/admin/account/change", installation.switch_account, scope=ADMIN),
    Route("POST", "/v1/admin/account/remove", installation.remove_account, scope=ADMIN),
    Route("POST", "/v1/admin/user", member.add_user, scope=ADMIN),
    Route("POST", "/v1/admin/user/password", member.set_password, scope=ADMIN),
    Route("POST", "/v1/operator/resume", operator.resume, scope=ADMIN),
    Route("GET", "/v1/operator/space", operator.space, scope=ADMIN),
    Route("GET", "/v1/operator/sweep", operator.plan, scope=ADMIN),
    Route("POST", "/v1/operator/sweep", operator.sweep, scope=ADMIN),
    Route("GET", "/v1/usage", usage.usage, scope=ASK_JOBS),
    Route("GET", "/v1/credit", usage.standing, scope=ASK_JOBS),
    Route("GET", "/v1/estimate", usage.estimate, scope=ASK_JOBS),
    Route("GET", "/v1/grant/call", award.open_calls, scope=ASK_JOBS),
    Route("GET", "/v1/grant/application", award.own, scope=ASK_JOBS),
    Route("POST", "/v1/grant/application", award.apply, scope=JOBS),
    Route("POST", "/v1/grant/application/withdraw", award.withdraw, scope=JOBS),
    Route("GET", "/v1/admin/call", award.every_call, scope=ADMIN),
    Route("POST", "/v1/admin/call", award.open_call, scope=ADMIN),
    Route("POST", "/v1/admin/call/close", award.close_call, scope=ADMIN),
    Route("GET", "/v1/admin/application", award.received, scope=ADMIN),
    Route("POST", "/v1/admin/application/award", award.award, scope=ADMIN),
    Route("POST", "/v1/admin/application/decline", award.decline, scope=ADMIN),
    Route("POST", "/v1/admin/application/attachment", award.attachment, scope=ADMIN),
    Route("POST", "/v1/admin/grant", usage.grant, scope=ADMIN),
    Route("POST", "/v1/admin/limit", usage.limit, scope=ADMIN),
    Route("POST", "/v1/worker/blob", blob.new, Access.worker),
    Route("POST", "/v1/worker/blob/get", blob.get, Access.worker),
    Route("GET", "/v1/worker/edge", blob.edge, Access.worker),
    Route("GET", "/v1/worker/code/{digest}", worker.code, Access.worker),
    Route("GET", "/v1/worker/layer/{digest}", worker.layer, Access.worker),
    Route("POST", "/v1/key/ssh", shell.add_key, scope=CODE),
    Route("GET", "/v1/job/{jid}/wait", shell.wait, scope=ASK_JOBS),
    Route("POST", "/v1/job/{jid}/link", shell.link, scope=JOBS),
    Route("POST", "/v1/edge/login", edge.login, Access.edge),
    Route("POST", "/v1/edge/still", edge.still, Access.edge),
    Route("POST", "/v1/edge/refused", edge.refused, Access.edge),
    Route("POST", "/v1/edge/channel", edge.channel, Access.edge),
    Route("POST", "/v1/edge/listening", edge.listening, Access.edge),
    Route("POST", "/v1/edge/public", object.public, Access.edge),
]
LINES: dict[str, Callable[[Control, Line, Headers], End]] = {"/v1/worker": worker.opened, "/v1/line": line.opened}
"""The WebSockets, with what lets a connection in; see ``server.line``."""


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
        self._exact = {(r.method, r.path): r for r in ROUTES if "{" not in r.path}
        self._patterns = [(r.method, pattern(r.path), r) for r in ROUTES if "{" in r.path]

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
            route, parts = self._find(scope["method"], scope["path"])
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

    def _find(self, method: str, path: str) -> tuple[Route, tuple[str, ...]]:
        route = self._exact.get((method, path))
        if route is not None:
            return route, ()
        for known, shape, candidate in self._patterns:
            found = shape.fullmatch(path) if known == method else None
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
            held = authority.remembered(request.headers)
            request.principal = held.principal if held is not None else await authority.principal(request.headers)
            request.held = held or authority.remembered(request.headers)
            request.principal.check(route.scope)
        elif route.access is Access.edge:
            self._control.authority.check_edge(request.headers)
        elif route.access is Access.worker:
            self._control.authority.worker(request.headers)
