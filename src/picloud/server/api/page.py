"""The page behind the login link: it trades the one-time ticket for a token and shows what runs now."""

from __future__ import annotations

from pathlib import Path

from picloud.server.control import Control
from picloud.server.http import Request, reply

_PAGE = Path(__file__).with_name("page.html").read_bytes()
_POLICY = (
    b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


async def home(control: Control, request: Request) -> None:
    """GET /"""
    await reply(
        request.send,
        _PAGE,
        b"text/html; charset=utf-8",
        headers=[(b"content-security-policy", _POLICY), (b"referrer-policy", b"no-referrer")],
    )
