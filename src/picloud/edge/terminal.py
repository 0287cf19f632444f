"""Terminals in browsers: a WebSocket on one side, a shell in a running job on the other, for who brings a ticket.

Binary messages are what is typed and what the shell prints; a text message of the browser, ``{"rows": .., "cols": ..}``, is a new
size. The end says why: 1000 and ``exit 0`` or ``signal KILL`` after the shell's own end, else 4000 and the status that HTTP has
for it. It says so in the close frame, for a page is told nothing of a handshake that failed; a page of another origin
gets none at all. A visit ends with the key or the login that asked for its ticket, as one by ssh does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from picloud.edge.admission import Admission, Visitor
from picloud.edge.channel import Channel, Channels, Paced
from picloud.edge.control import Control
from picloud.edge.head import Head
from picloud.serving import Direct
from picloud.wire import channel
from picloud.wire.error import CloudException, Forbidden
from picloud.wire.message import Execute

PATH = "/terminal"
KIND, SURROUNDINGS = "xterm-256color", {"LANG": "C.UTF-8", "COLORTERM": "truecolor"}
LARGEST = 1 << 20
"""Bytes of a message at most."""
EARLY = 1 << 16
"""Bytes that may be typed before the shell is there."""
PING, SILENCE = 20.0, 60.0
"""Seconds between two pings, and without any sign of life before the browser counts as gone."""
PARTING = 5.0
"""Seconds for the browser to answer the end."""
OWN = 4000
"""What close codes of our own begin at; the status that HTTP has for the reason is added."""
GONE = 410
"""The job is over."""
LONGEST_REASON = 120


def serves(path: str) -> bool:
    """Whether somebody asks for a terminal."""
    return path.partition("?")[0] == PATH


class Terminals:
    """What all visits share."""

    def __init__(self, control: Control, channels: Channels, admission: Admission) -> None:
        self._control, self.channels, self.admission = control, channels, admission

    def visit(self, data: bytes, head: Head, transport: Direct, connections: set[Any]) -> Terminal:
        """One visit, begun by these bytes of a request; it is among the connections until it ends."""
        query = parse_qs(urlsplit(head.path).query)
        question = {"ticket": query.get("ticket", [""])[0], "origin": head.get(b"origin")}
        return Terminal(self, data, question, transport, connections)

    async def redeem(self, question: dict[str, str]) -> dict[str, Any]:
        """What a ticket is good for.

        Raises:
            CloudException: nothing.
        """
        return await self._control.ask("/v1/edge/terminal", question)


class Terminal(Paced, asyncio.Protocol):
    """One visit."""

    def __init__(
        self, shared: Terminals, data: bytes, question: dict[str, str], transport: Direct, connections: set[Any]
    ) -> None:
        self._shared, self._transport, self._connections = shared, transport, connections
        self._socket = ServerProtocol(max_size=LARGEST)
        self._channel: Channel | None = None
        self._inbox = channel.Inbox()
        self._early: list[bytes] = []  # frames for the shell before it is there
        self._text: list[bytes] = []  # of a message that is not whole
        self._texting = self._lost = False
        self._heard = time.monotonic()
        self._timers: list[asyncio.TimerHandle] = []
        address = str((transport.get_extra_info("peername") or ("",))[0])
        self._visitor = Visitor(address, self._switched_off)
        connections.add(self)
        transport.pause_reading()  # nothing is heard before the handshake
        self._work = asyncio.get_running_loop().create_task(self._begin(data, question))

    # -- the way in -----------------------------------------------------------------------------------------------

    async def _begin(self, data: bytes, question: dict[str, str]) -> None:
        refused: CloudException | None = None
        told: dict[str, Any] = {}
        try:
            told = await self._shared.redeem(question)
        except CloudException as error:
            refused = error
        if self._lost or not self._accept(data, foreign=isinstance(refused, Forbidden)):
            return
        self._ping()
        if refused is None:
            try:
                await self._enter(told)
            except CloudException as error:
                refused = error
        if refused is not None:
            self.end(OWN + refused.http_status, refused.parameter)

    def _accept(self, data: bytes, *, foreign: bool) -> bool:
        """Shake hands; whether that was possible."""
        shake = self._socket
        shake.receive_data(data)
        request = next((event for event in shake.events_received() if isinstance(event, Request)), None)
        if request is None:
            self._transport.close()
            return False
        answer: Response
        if foreign:
            answer = shake.reject(HTTPStatus.FORBIDDEN, "a terminal is opened from the server's own page\n")
        else:
            answer = shake.accept(request)
        shake.send_response(answer)
        self._flush()
        if not self._lost:
            self._transport.resume_reading()
        return answer.status_code == HTTPStatus.SWITCHING_PROTOCOLS

    async def _enter(self, told: dict[str, Any]) -> None:
        """Have a shell opened, which lasts no longer than what opened it."""
        self._visitor.jid = told["jid"]
        self._visitor.note(told["shown"], told["keys"])
        self._shared.admission.enter(self._visitor)
        if self._lost:
            self._shared.admission.leave(self._visitor)
            return
        what = Execute(env=SURROUNDINGS, terminal=KIND, rows=told["rows"], columns=told["columns"])
        found = await self._shared.channels.open(told["jid"], what, account=told["account"])
        if self._lost or self._socket.close_sent:
            found.close()
            return
        self._channel = self.source = found
        for frame in self._early:
            found.write(frame)
        self._early.clear()
        found.attach(_Back(self, self._transport))

    # -- the browser ----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._heard = time.monotonic()
        self._socket.receive_data(data)
        for event in self._socket.events_received():
            if isinstance(event, Frame):
                self._frame(event)
        self._flush()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._texting = frame.opcode is Opcode.TEXT
        elif frame.opcode is not Opcode.CONT:
            return  # pings and the end are answered by the protocol itself
        if not self._texting:
            for at in range(0, len(frame.data), channel.PIECE):
                self._send(channel.pack(channel.DATA, bytes(frame.data[at : at + channel.PIECE])))
            return
        self._text.append(bytes(frame.data))
        if frame.fin:
            text, self._text = b"".join(self._text), []
            self._resize(text)

    def _resize(self, text: bytes) -> None:
        try:
            told = json.loads(text)
            self._send(channel.resize(int(told["rows"]), int(told["cols"])))
        except (ValueError, TypeError, KeyError, OverflowError):
            self.end(1003, 'a text message is {"rows": .., "cols": ..}')

    def _send(self, frame: bytes) -> None:
        if self._socket.close_sent:
            return
        if self._channel is not None:
            self._channel.write(frame)
            return
        self._early.append(frame)
        if sum(map(len, self._early)) > EARLY:
            self.end(1009, "more was typed than a shell that begins can take")

    def eof_received(self) -> bool:
        return False  # the transport closes, for nobody listens any more

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._connections.discard(self)
        self._shared.admission.leave(self._visitor)
        for timer in self._timers:
            timer.cancel()
        if self._channel is not None:
            self._channel.close()

    def shutdown(self) -> None:
        """The server stops."""
        self.end(1012, "the server stops")

    def _ping(self) -> None:
        if time.monotonic() - self._heard > SILENCE:
            self._transport.abort()
            return
        with contextlib.suppress(InvalidState):
            self._socket.send_ping(b"")
            self._flush()
            self._later(PING, self._ping)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._timers[:] = [asyncio.get_running_loop().call_later(seconds, act)]

    def _flush(self) -> None:
        """Send what the protocol has to say; its end is the connection's."""
        for data in self._socket.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()

    def end(self, code: int, reason: str) -> None:
        """End the visit, and say why."""
        if self._lost:
            return
        try:
            self._socket.send_close(code, reason.encode()[:LONGEST_REASON].decode(errors="ignore"))
        except InvalidState:  # before the handshake, or it ends already
            if not self._socket.close_sent:
                self._transport.close()
            return
        self._flush()
        for timer in self._timers:
            timer.cancel()
        self._later(PARTING, self._transport.close)
        if self._channel is not None:
            self._channel.close()

    def _switched_off(self) -> None:
        self.end(OWN + HTTPStatus.UNAUTHORIZED, "the key or login that opened this terminal is switched off or has ended")

    # -- the shell ------------------------------------------------------------------------------------------------

    def hear(self, data: bytes) -> None:
        """What the shell says."""
        if self._socket.close_sent:
            return
        for frame in self._inbox.take(data):
            match frame.kind:
                case channel.DATA | channel.ERRORS:
                    with contextlib.suppress(InvalidState):
                        self._socket.send_binary(frame.data)
                case channel.EXIT:
                    self._flush()
                    self.end(1000, _ended(channel.number_of(frame)))
        self._flush()

    def lose(self) -> None:
        """The channel has ended before the shell did."""
        self.end(OWN + GONE, f"job {self._visitor.jid} is over, or its worker")


class _Back(Paced):
    """The way from the channel to the visit."""

    def __init__(self, visit: Terminal, transport: Direct) -> None:
        self._visit = visit
        self.source = transport

    def data_received(self, data: bytes) -> None:
        self._visit.hear(data)

    def eof_received(self) -> None:
        self._visit.lose()

    def connection_lost(self, exc: Exception | None) -> None:
        self._visit.lose()


def _ended(status: int) -> str:
    """How a shell ended, in words."""
    if status >= 0:
        return f"exit {status}"
    try:
        return f"signal {signal.Signals(-status).name.removeprefix('SIG')}"
    except ValueError:
        return f"signal {-status}"
