"""Pages of the server's own origin may read the edge's answers, and no others."""

import asyncio
from typing import Any

import pytest

from picloud.edge.origins import Origins, allowed, preflight

OWN = Origins({"http": 7421, "https": 0}, ["localhost", "lab"], "https://picloud.example.org")


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:7421", "http://127.0.0.1:7421", "http://[::1]:7421", "http://lab:7421", "https://picloud.example.org"],
)
def test_own_pages(origin: str) -> None:
    assert OWN.own(origin)


@pytest.mark.parametrize(
    "origin",
    ["", "null", "http://evil.example", "http://evil.example:7421", "http://localhost:7422", "https://localhost:7421",
     "http://localhost:7421.evil.example", "http://localhost:x", "https://localhost", "http://u@localhost:7421/", "http://picloud.example.org",
     "http://localhost:7421/", "//localhost:7421"],
)  # fmt: skip
def test_others(origin: str) -> None:
    assert not OWN.own(origin)


def answered(origin: str) -> dict[bytes, bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"headers": [(b"origin", origin.encode())] if origin else []}
    asyncio.run(preflight(allowed(OWN, scope, send)))
    assert [one["type"] for one in sent] == ["http.response.start", "http.response.body"]
    return dict(sent[0]["headers"])


def test_only_own_pages_are_told_that_they_may() -> None:
    told = answered("http://localhost:7421")
    assert told[b"access-control-allow-origin"] == b"http://localhost:7421" and told[b"vary"] == b"Origin"
    assert b"PUT" in told[b"access-control-allow-methods"] and b"etag" in told[b"access-control-expose-headers"]
    assert b"access-control-allow-credentials" not in told
    for origin in ("http://evil.example", ""):
        assert b"access-control-allow-origin" not in answered(origin)
