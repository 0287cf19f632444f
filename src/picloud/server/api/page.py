"""Three pages: behind the login link, which trades the one-time ticket for a token and shows what runs now; the door, where
one signs up or sets a password; and the one where a login by OpenID Connect begins and ends."""

from __future__ import annotations

from pathlib import Path

from picloud.server.control import Control
from picloud.server.http import Request, reply
from picloud.server.operation import HTML, PAGE, operation

_PAGE, _DOOR, _SIGN_IN = (Path(__file__).with_name(name).read_bytes() for name in ("page.html", "door.html", "signin.html"))
_POLICY = (
    b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


@operation(answer=PAGE)
async def home(control: Control, request: Request) -> None:
    """GET /: the page of who is logged in: what runs now"""
    await _show(request, _PAGE)


@operation(answer=PAGE)
async def door(control: Control, request: Request) -> None:
    """GET /sign-up and /password: the page that a link of an admin leads to, and where one signs up where that is open"""
    await _show(request, _DOOR)


@operation(answer=PAGE)
async def sign_in(control: Control, request: Request) -> None:
    """GET /sign-in: where one logs in by OpenID Connect, and where the provider sends people back to"""
    await _show(request, _SIGN_IN)


async def _show(request: Request, html: bytes) -> None:
    await reply(
        request.send,
        html,
        HTML,
        headers=[(b"content-security-policy", _POLICY), (b"referrer-policy", b"no-referrer")],
    )
