"""The line of a program that calls and waits: single calls come in, and their ends go out unasked."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any

import msgspec

from picloud.server.api import submission
from picloud.server.auth import Headers, Pass
from picloud.server.control import Control
from picloud.server.line import Line
from picloud.wire.error import BadRequest, CloudException, NotAuthorized
from picloud.wire.message import Finished, Submit, Told, encode
from picloud.wire.scope import Scope

_submit = msgspec.msgpack.Decoder(Submit).decode
CALLS = Scope.jobs | Scope.code
AGAIN = 1013
"""The code of RFC 6455 for "try again later"."""


class ClientEnd:
    """What acts on the messages of one client, and a ``server.hub.Follower`` of what it submitted."""

    def __init__(self, control: Control, line: Line, held: Pass) -> None:
        self._control, self._line, self._who, self._held = control, line, held.principal, held
        self._jids: set[int] = set()

    def __repr__(self) -> str:
        return f"a client of account {self._who.name}"

    def hear(self, message: bytes) -> Coroutine[Any, Any, object]:
        """A call comes in."""
        if self._held.ended:
            raise NotAuthorized("the key of this line has ended")
        self._held.users.add(self.lose)
        return self._take_in(_submit(message))

    async def _take_in(self, message: Submit) -> None:
        try:
            if message.count != 1 or message.code:
                raise BadRequest("a line takes single calls that bring no code", hint="POST it to /v1/submission")
            answer = await submission.take_in(self._control, self._who, message, self)
        except CloudException as error:
            self._line.send(encode(Told(error=json.dumps(error.to_dict(), default=repr))))
            return
        if answer.followed:
            self._jids.add(answer.first)
        self._line.send(encode(Told(answer)))

    def offer(self, finished: list[Finished]) -> None:
        """Tell ends of jobs."""
        self._jids.difference_update([item.jid for item in finished])
        self._line.send(encode(Told(finished=finished)))

    def lose(self) -> None:
        """An end cannot be told here, or the key has ended: the client has to ask."""
        self._line.close(AGAIN)

    def gone(self) -> None:
        """The connection has ended."""
        self._held.users.discard(self.lose)
        self._control.hub.unfollow(self._jids)


def opened(control: Control, line: Line, headers: Headers) -> ClientEnd:
    """A client connects: one that has asked something before, so that its key is known."""
    held = control.authority.remembered(headers)
    if held is None:
        raise NotAuthorized("this key is not known yet", hint="ask something else first")
    if held.principal.scopes & CALLS != CALLS:
        raise NotAuthorized("this key may not call functions", hint="a line is for keys with the scopes jobs and code")
    return ClientEnd(control, line, held)
