"""What mails say: links that invite somebody, or let her set a password. An admin who asks for such a link is shown it, too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from picloud.server.control import Control


def invitation(control: Control, email: str, by: str, token: str, until: int) -> bool:
    """Invite somebody; whether a mail goes out. ``by``: the account that invites. ``until``: epoch ms."""
    text = f"""You are invited to a PiCloud server by {by}. Join here:

{link(control, "sign-up", token)}

The link works once, until {_when(until)}. If you expect nothing like that, ignore this mail.
"""
    return control.mail.send(email, "You are invited to PiCloud", text)


def password(control: Control, email: str, name: str, token: str, until: int) -> bool:
    """Send somebody the link by which she sets her password; whether a mail goes out."""
    text = f"""Hello {name},

set your password for PiCloud here:

{link(control, "password", token)}

The link works once, until {_when(until)}. If you did not ask for it, ignore this mail: your password stays as it is.
"""
    return control.mail.send(email, "Your password for PiCloud", text)


def link(control: Control, what: str, token: str) -> str:
    """The address of a page of ours under the name that the operator has given us, never one that a request claims."""
    return f"{control.public}/{what}#{token}"


def _when(until: int) -> str:
    return f"{datetime.fromtimestamp(until / 1000, UTC):%Y-%m-%d %H:%M} UTC"
