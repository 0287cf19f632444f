"""What a GET route would answer, asked by the server itself for pages that watch it."""

from __future__ import annotations

import asyncio
import json
import logging
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import msgspec

from picloud.server.auth import Principal
from picloud.server.http import Request
from picloud.server.operation import JSON, declared
from picloud.server.route import Route
from picloud.wire.error import BadRequest, CloudException, TooLarge, Unavailable

if TYPE_CHECKING:
    from picloud.server.control import Control

log = logging.getLogger("picloud.http")

LARGEST = 2 << 20
"""Bytes of an answer that can be watched."""
PATIENCE = 30.0
"""Seconds for one answer."""


class Question(NamedTuple):
    """A path, and all that its answer depends on: who asks the same question may have the same answer."""

    path: str  # with its query, as the page has written it
    principal: Principal
    scheme: str
    host: bytes


class Told(NamedTuple):
    """An answer as a line for a page."""

    mark: str  # a digest of the answer
    line: bytes


def question(control: Control, request: Request, path: str) -> Question:
    """The question that a page asks by a path.

    Raises:
        BadRequest: this is no path, or none that can be watched.
        NotFound: there is no such route.
        Forbidden: the key lacks a scope.
    """
    route = _find(control, path)[0]
    if not route.view:
        raise BadRequest(f"{path[:200]} cannot be watched", hint="lists and states can; the others are asked for when needed")
    who = request.principal
    who.check(route.scope)
    if not route.personal:
        who = msgspec.structs.replace(who, token="", person=0, key=0)
    return Question(path, who, request.scope["scheme"], request.headers.get(b"host", b""))


def _find(control: Control, path: str) -> tuple[Route, tuple[str, ...]]:
    if not path.startswith("/") or "#" in path or not path.isprintable():
        raise BadRequest(f"{path[:200]!r} is no path of this server", hint="for example /v1/job?limit=50")
    return control.find("GET", unquote(path.partition("?")[0]))


async def ask(control: Control, asked: Question) -> Told:
    """What the route answers, or the error that it does."""
    try:
        return told(asked.path, await _answer(control, asked))
    except CloudException as error:
        return refused(asked.path, error)
    except TimeoutError:
        return refused(asked.path, Unavailable("the server took too long for that", hint="ask for less, or wait"))
    except Exception:
        log.exception("watching %s failed", asked.path[:200])
        return refused(asked.path, Unavailable("the server could not do that", hint="see server.log in PICLOUD_HOME"))


def told(path: str, body: bytes) -> Told:
    """The line of an answer."""
    mark = blake2b(body, digest_size=12).hexdigest()
    head = f'{{"path": {json.dumps(path)}, "mark": "{mark}", "body": '
    return Told(mark, b"%s%s}\n" % (head.encode(), body.replace(b"\n", b" ")))


def refused(path: str, error: CloudException) -> Told:
    """The line of an error."""
    body = json.dumps(error.to_dict(), default=repr)
    mark = blake2b(body.encode(), digest_size=12).hexdigest()
    return Told(mark, f'{{"path": {json.dumps(path)}, "mark": "{mark}", "error": {body}}}\n'.encode())


async def _answer(control: Control, asked: Question) -> bytes:
    route, parts = _find(control, asked.path)
    path, _, query = asked.path.partition("?")
    caught = _Caught()
    scope = {"type": "http", "method": "GET", "path": unquote(path), "query_string": query.encode(), "scheme": asked.scheme}
    request = Request(scope, _nothing, caught.send, {b"host": asked.host}, 0)
    request.principal, request.operation = asked.principal, declared(route.handler)
    async with asyncio.timeout(PATIENCE):
        await route.handler(control, request, *parts)
    return caught.json(asked.path)


async def _nothing() -> dict[str, Any]:
    """The body of the request."""
    return {"type": "http.request", "body": b"", "more_body": False}


class _Caught:
    """Where the answer goes."""

    def __init__(self) -> None:
        self._status, self._kind, self._parts = 0, b"", list[bytes]()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._status, self._kind = message["status"], dict(message["headers"]).get(b"content-type", b"")
        else:
            self._parts.append(message.get("body", b""))

    def json(self, path: str) -> bytes:
        """The answer.

        Raises:
            BadRequest: it is another than JSON.
            TooLarge: it is.
        """
        body = b"".join(self._parts)
        if self._status != 200 or self._kind != JSON:
            raise BadRequest(f"{path[:200]} answers something else than JSON", hint="ask for it without watching")
        if len(body) > LARGEST:
            raise TooLarge(
                f"{len(body) >> 20} MiB are too much to be watched", hint="ask for a part of it, by limit=", limit=LARGEST
            )
        return body
