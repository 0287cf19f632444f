"""What ``cloud.queue`` asks of the server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any
from urllib.parse import urlencode

import msgspec

from cloud import _session
from picloud.wire.error import SetupError
from picloud.wire.job import Failure
from picloud.wire.link import Link, Pending
from picloud.wire.queue import Exchange, Exchanged, Push, Pushed, check_name

_encode, _decode = msgspec.msgpack.encode, msgspec.msgpack.decode


def link() -> Link:
    """The way to the server whose queues they are.

    Raises:
        SetupError: jobs are simulated; or nothing says which server it is.
    """
    if _session.is_simulated():
        raise SetupError("the simulator has no queues", hint="cloud.setkey(...) leads back to a server; `picloud up` starts one")
    return _session.session().link


def fetch(url: str) -> bytearray:
    """The bytes of a large message."""
    return link().get(url)


def token() -> bytes:
    """Tells a repeat of a request, sent because its answer was lost, from another request."""
    return os.urandom(16)


def milliseconds(what: str, value: float, least: int, most: int) -> int:
    """A span of time as the server takes it.

    Raises:
        ValueError: it is no number of seconds from ``least`` to ``most``.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= value <= most:
        raise ValueError(f"{what} must be a number of seconds from {least} to {most:,}, not {value!r}")
    return round(float(value) * 1000)


def check_count(what: str, value: int, least: int, most: int) -> int:
    """A number of things.

    Raises:
        ValueError: it is none from ``least`` to ``most``.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= value <= most:
        raise ValueError(f"{what} must be a whole number from {least} to {most:,}, not {value!r}")
    return int(value)


def send_push(asked: Push) -> Pending:
    """Push; the answer, :func:`pushed`, is read later."""
    return link().send_request("POST", "/v1/queue/push", _encode(asked))


def pushed(pending: Pending) -> int:
    """How many messages of a push were new."""
    return _decode(pending.read_response(), type=Pushed).count


def exchange(asked: Exchange, readers: int = 1) -> Exchanged:
    """End messages, get more.

    Args:
        readers: of how many processes of a job this is one; its slot is lent while all of them wait.
    """
    path = f"/v1/queue/wait?readers={readers}" if asked.timeout_ms else "/v1/queue/exchange"
    return _decode(link().request("POST", path, _encode(asked)), type=Exchanged)


def ask(what: str, name: str, **more: Any) -> dict[str, Any]:
    """Change something about a queue; what is None stays unsaid."""
    said = {"name": name} | {key: value for key, value in more.items() if value is not None}
    found: dict[str, Any] = link().json("POST", f"/v1/queue/{what}", said)
    return found


def listing(name: str = "", minutes: int = 1) -> list[dict[str, Any]]:
    """The account's queues, or one of them, as the server tells of them, with so many minutes of history."""
    query = {"minutes": minutes} | ({"name": check_name(name)} if name else {})
    found: list[dict[str, Any]] = link().json("GET", f"/v1/queue?{urlencode(query)}")["queues"]
    return found


class Letter(msgspec.Struct):
    """A dead letter, as the server tells of it."""

    id: int
    message: int
    kind: int
    size: int
    data: bytes
    url: str
    failure: Failure
    preview: str
    pushed: int  # epoch ms
    died: int
    given: int
    retries: int
    deaths: int


class Letters(msgspec.Struct):
    """A page of them."""

    dead: list[Letter]


def dead(name: str, before: int | None) -> Iterator[Letter]:
    """Dead letters of a queue with ids below ``before``, the newest first."""
    query: dict[str, Any] = {"name": name} | ({} if before is None else {"before": before})
    while page := msgspec.json.decode(link().request("GET", f"/v1/queue/dead?{urlencode(query)}"), type=Letters).dead:
        yield from page
        query["before"] = page[-1].id
