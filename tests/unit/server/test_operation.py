"""Declared types decode the request, and no others."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from picloud.server.http import Request
from picloud.server.operation import declared, operation, packed
from picloud.wire.error import BadRequest


class Body(msgspec.Struct):
    """What comes."""

    n: int  # how many


class Other(msgspec.Struct):
    n: int


class Query(msgspec.Struct):
    limit: int = 5
    all: bool = False


@operation(body=Body, query=Query)
async def plain(request: Request) -> None:
    """POST /plain"""


@operation(body=packed(Body))
async def binary(request: Request) -> None:
    """POST /binary"""


def asked(handler: Any, body: bytes = b"", query: bytes = b"") -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    made = Request({"query_string": query}, receive, send, {}, 1 << 20)
    made.operation = declared(handler)
    return made


def test_a_body_is_decoded_with_its_declared_type() -> None:
    assert asyncio.run(asked(plain, b'{"n": 3}').read(Body)).n == 3
    assert asyncio.run(asked(binary, msgspec.msgpack.encode({"n": 3})).read(Body)).n == 3


@pytest.mark.parametrize("body", [b"", b"[]", b'{"n": "3"}', b'{"n": 1', b"\xff", b"[" * 100_000])
def test_another_body_is_a_bad_request_with_a_hint(body: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        asyncio.run(asked(plain, body).read(Body, "like this"))
    assert caught.value.hint == "like this"


def test_a_type_that_is_not_declared_is_our_own_mistake() -> None:
    with pytest.raises(TypeError, match="does not declare"):
        asyncio.run(asked(plain, b'{"n": 3}').read(Other))
    with pytest.raises(TypeError, match="does not declare"):
        asked(binary).asked(Query)


def test_a_query_becomes_its_declared_struct() -> None:
    assert asked(plain, query=b"limit=7&all=1&limit=8&else=x").asked(Query) == Query(8, True)
    assert asked(plain).asked(Query) == Query()
    with pytest.raises(BadRequest, match="limit"):
        asked(plain, query=b"limit=x").asked(Query)
