"""Acts for the audit log, as a request says who does them and from where."""

from __future__ import annotations

from typing import Any

from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.storage import now_ms
from picloud.store import audit
from picloud.store.audit import Act


def act(request: Request, what: str, subject: object = "", *, account: int = 0, person: int = 0, **facts: Any) -> Act:
    """An act of whoever asks; ``account`` and ``person`` where the request itself does not know them."""
    who = request.principal
    if who is None:
        return Act(now_ms(), what, str(subject), facts, account, person, address=request.address())
    jid = who.attempt[0] if who.attempt else 0
    return Act(now_ms(), what, str(subject), facts, account or who.account, person or who.person, who.key, jid, request.address())


async def note(control: Control, request: Request, what: str, subject: object = "", **facts: Any) -> None:
    """Write down what was done."""
    await control.storage.write(audit.note, act(request, what, subject, **facts))
