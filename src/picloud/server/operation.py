"""What a route takes and answers, declared once beside its handler.

    @operation(body=New, query=Page, answer=Shown, raises=(NotFound,))
    async def create(control: Control, request: Request) -> None:
        asked = await request.read(New)

The declared types decode the request: ``request.read`` and ``request.asked`` use them and refuse another. The OpenAPI document
is made of them (``server.document``), and a test compares what a live server answers with it. How: docs/explain/http.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict, TypeVar

import msgspec

from picloud.wire.error import CloudException

Function = TypeVar("Function", bound=Callable[..., Any])
JSON = b"application/json"
MSGPACK = b"application/msgpack"
BYTES = b"application/octet-stream"
HTML = b"text/html; charset=utf-8"
FORM = b"application/x-www-form-urlencoded"
PARTS = b"multipart/form-data"
LINES = b"application/x-ndjson"


class Nothing(TypedDict):
    """The answer of a route that has nothing to tell but that it was done."""


class Content(NamedTuple):
    """A body: its Content-Type, and what msgspec reads or writes there."""

    kind: bytes
    shape: Any = None  # None: bytes of which no more is said


def packed(shape: Any) -> Content:
    """MessagePack of this type."""
    return Content(MSGPACK, shape)


FRAMES = Content(MSGPACK)
"""Frames: the length of each in four bytes, then MessagePack; see ``wire.message``."""
RAW = Content(BYTES)
PAGE = Content(HTML)
ANYTHING = Content(b"*/*")
"""Bytes under whatever Content-Type they were stored with."""
EMPTY: tuple[Content, ...] = ()
"""An answer without a body."""


class Operation:
    """The declaration of one handler."""

    __slots__ = ("answers", "body", "decode", "headers", "named", "query", "raises")

    def __init__(self, body: tuple[Content, ...], query: Any, answers: Mapping[int, tuple[Content, ...]],
                 raises: Sequence[type[CloudException]], named: str) -> None:  # fmt: skip
        self.body, self.query, self.answers, self.raises, self.named = body, query, answers, tuple(raises), named
        self.decode: Callable[[bytes], Any] | None = None
        if body and body[0].shape is not None:
            decoder = msgspec.json.Decoder if body[0].kind == JSON else msgspec.msgpack.Decoder
            self.decode = decoder(body[0].shape).decode


def operation(
    *,
    body: Any = None,
    query: type[msgspec.Struct] | None = None,
    answer: Any = Nothing,
    answers: Mapping[int, Any] | None = None,
    raises: Sequence[type[CloudException]] = (),
    named: str = "",
) -> Callable[[Function], Function]:
    """Declare what a handler takes and answers.

    Args:
        body: of the request: a type that stands for JSON of it, a :class:`Content`, or a tuple of them; None = there is none.
        query: a Struct whose fields are the query's; all have defaults but those that must be there.
        answer: of status 200, as for ``body``; each Content-Type is one of these.
        answers: of further statuses, or of 200 too.
        raises: errors besides those that each route may answer: 400 BadRequest, 403 Forbidden, 413 TooLarge where there is a
            body, 503 Unavailable, and 401 NotAuthorized where a key is needed.
        named: the operation's name, where it is not that of module and handler.
    """
    told = {200: _contents(answer)} | {status: _contents(one) for status, one in (answers or {}).items()}

    def declare(handler: Function) -> Function:
        handler.operation = Operation(_contents(body) if body is not None else (), query, told, raises, named)  # type: ignore[attr-defined]
        return handler

    return declare


def _contents(said: Any) -> tuple[Content, ...]:
    if isinstance(said, Content):
        return (said,)
    return said if isinstance(said, tuple) else (Content(JSON, said),)


def declared(handler: Callable[..., Any]) -> Operation | None:
    """The declaration of a handler; None where there is none."""
    found: Operation | None = getattr(handler, "operation", None)
    return found
