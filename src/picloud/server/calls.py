"""What the routes of crons and REST endpoints share: a function that is to be kept is checked as any submission is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud.server.api.submission import HINT, inherited
from picloud.server.check import check_submit
from picloud.server.http import Request
from picloud.wire.call import LONGEST_DESCRIPTION, Register, check_label
from picloud.wire.error import BadRequest
from picloud.wire.message import Submit

if TYPE_CHECKING:
    from picloud.server.control import Control


def checked_function(control: Control, request: Request, submit: Submit) -> tuple[str, str | None]:
    """Check a submission that is to be kept, and complete its options.

    Returns:
        What its jobs run in: ``host`` and ``env`` as for ``store.call.stored.keep``.

    Raises:
        BadRequest, Skew, StorageFull: it cannot be kept, and why.
    """
    if submit.count != 1 or submit.options.depends_on or submit.arguments.blobs:
        raise BadRequest("a function that is kept is called without arguments, and its jobs wait for no other jobs")
    check_submit(submit, control)
    control.storage.check_space()
    env = inherited(request.principal) if not submit.options.env else None
    return control.interpreters.host(submit.interpreter, submit.python), env


async def registered(request: Request) -> Register:
    """What a client wants to be kept.

    Raises:
        BadRequest: it is none of it.
    """
    asked = await request.read(Register, HINT)
    check_label(asked.label)
    if len(asked.description) > LONGEST_DESCRIPTION or len(asked.host) > 255:
        raise BadRequest(f"a description has at most {LONGEST_DESCRIPTION} characters, a host's name 255")
    return asked
