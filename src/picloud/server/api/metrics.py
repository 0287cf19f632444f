"""GET /metrics: the figures of the whole installation, for Prometheus."""

from __future__ import annotations

import ipaddress

from picloud.server.control import Control
from picloud.server.http import Request, reply
from picloud.server.metrics import CONTENT_TYPE, text
from picloud.server.operation import Content, operation
from picloud.server.scopes import ADMIN
from picloud.wire.error import Forbidden

FORWARDED = (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via")
"""What a proxy before us adds: whoever asks through it is not of this machine."""


@operation(answer=Content(CONTENT_TYPE))
async def metrics(control: Control, request: Request) -> None:
    """GET /metrics: figures for Prometheus; for owners of the installation (scope admin), or as the setting metrics says"""
    if not (control.settings.metrics == "open" and _is_here(request)):
        who = await control.authority.principal(request.headers)
        who.check(ADMIN)
        if not who.owner:
            raise Forbidden("these are the figures of all accounts", hint="use a key of the installation's owner")
    await reply(request.send, text(await control.overview.all()), CONTENT_TYPE)


def _is_here(request: Request) -> bool:
    """Whether a program of this machine asks, and for itself."""
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return not request.address() or ipaddress.ip_address(request.address()).is_loopback
    except ValueError:
        return False
