"""The ssh gateway: ``ssh <jid>@host`` is a session in a running job, by the account's key pair or an API key's secret.

Nothing of a job is touched here. A session is a channel that the job's worker dials; sftp, scp and rsync are programs in the
job; ``-L`` leads to the job's own ports. What may not be is told in words, also where ssh itself has only "denied".
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import signal
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

import asyncssh
from asyncssh import SSHServerChannel, SSHServerConnection
from asyncssh.constants import MSG_IGNORE

from picloud.edge import admission
from picloud.edge.admission import Admission, Visitor
from picloud.edge.channel import Channel, Channels, Paced
from picloud.edge.forward import Forward
from picloud.serving import Direct
from picloud.wire import channel
from picloud.wire.error import CloudException
from picloud.wire.message import Connect, Execute

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
"""The fast ones alone: a client takes the first of its own list that we offer."""
EXCHANGES = ("curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256")
KEEPALIVE, MISSED = 30, 4
LOGIN = 30
"""Seconds to log in."""
HERE = ("", "localhost", "127.0.0.1", "::1", "0.0.0.0", "*")
"""What -L may call the job itself."""
REFUSED = 255
"""Exit status of ssh itself."""
_SIGNALS = {name.removeprefix("SIG"): number.value for name, number in signal.Signals.__members__.items()}
_NAMES = {number: name for name, number in _SIGNALS.items()}


class Gateway:
    """Everything that connections share."""

    def __init__(self, channels: Channels, admission: Admission) -> None:
        self.channels, self.admission = channels, admission
        self._acceptors: list[asyncssh.SSHAcceptor] = []

    async def listen(self, sockets: Sequence[socket.socket], host_key: str) -> None:
        """Serve on bound sockets."""
        logging.getLogger("asyncssh").setLevel(logging.CRITICAL)
        key = asyncssh.read_private_key(host_key)
        for bound in sockets:
            self._acceptors.append(
                await asyncssh.listen(
                    tunnel=Door(bound),
                    server_factory=lambda: Server(self),
                    server_host_keys=[key],
                    encoding=None,
                    line_editor=False,
                    encryption_algs=CIPHERS,
                    kex_algs=EXCHANGES,
                    compression_algs=["none"],
                    keepalive_interval=KEEPALIVE,
                    keepalive_count_max=MISSED,
                    login_timeout=LOGIN,
                    server_version="PiCloud",
                    gss_host=None,
                    agent_forwarding=False,
                    allow_scp=False,
                )
            )

    async def close(self) -> None:
        """Take no further connections."""
        for acceptor in self._acceptors:
            acceptor.close()


class Door:
    """What asyncssh takes for the tunnel that its connections come through: our socket, and transports that gather packets.

    Args:
        bound: the listening socket.
    """

    def __init__(self, bound: socket.socket) -> None:
        self._bound = bound

    async def create_server(self, make: Callable[[str, int], asyncio.Protocol], host: str, port: int) -> asyncio.Server:
        """Serve on the socket, whatever host and port are said."""
        return await asyncio.get_running_loop().create_server(lambda: Entrance(make(host, port)), sock=self._bound)


class Entrance(asyncio.Protocol):
    """The first protocol of a connection, which hands it on with another transport."""

    def __init__(self, connection: asyncio.Protocol) -> None:
        self._next = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = cast(asyncio.Transport, transport)
        made.set_protocol(self._next)
        self._next.connection_made(cast(asyncio.Transport, Direct(made)))


class Server(asyncssh.SSHServer):
    """One connection."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._connection: SSHServerConnection
        self._visitor: Visitor
        self._told = False

    @property
    def jid(self) -> int:
        return self._visitor.jid

    def connection_made(self, conn: SSHServerConnection) -> None:
        self._connection = conn
        self._visitor = Visitor(str((conn.get_extra_info("peername") or ("",))[0]), self._end)
        send = conn.send_packet

        def send_packet(kind: int, *parts: bytes, **more: Any) -> None:
            if kind != MSG_IGNORE:
                send(kind, *parts, **more)

        # asyncssh puts an empty packet before each, against attacks on CBC: with our ciphers it costs half the speed for nothing.
        conn.send_packet = send_packet  # type: ignore[method-assign,assignment]

    def auth_completed(self) -> None:
        self._gateway.admission.enter(self._visitor)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gateway.admission.leave(self._visitor)

    def _end(self) -> None:
        self._connection.disconnect(asyncssh.DISC_BY_APPLICATION, "picloud: the key of this session is switched off or has ended")

    def begin_auth(self, username: str) -> bool:
        self._visitor.jid = int(username) if username.isascii() and username.isdecimal() and len(username) < 19 else 0
        if not self.jid:
            self._say(f"{username[:40]!r} is no job: log in as its jid, such as ssh 17@..")
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        public = " ".join(key.export_public_key().decode("ascii").split()[:2])
        return await self._login({"public": public}, "this key pair belongs to no account here")

    def password_auth_supported(self) -> bool:
        return True

    def kbdint_auth_supported(self) -> bool:
        return False

    async def validate_password(self, username: str, password: str) -> bool:
        digest = hashlib.sha256(password.encode("utf-8", "surrogatepass")).hexdigest()
        return await self._login({"digest": digest}, "the password is the secret of an API key, and that was none")

    async def _login(self, shown: dict[str, str], otherwise: str) -> bool:
        if not self.jid:
            return False
        try:
            keys = await self._gateway.admission.ask(self._visitor, shown)
        except CloudException as error:
            otherwise, keys = admission.words(error), []
        if not keys:
            self._say(f"{otherwise}; `picloud ssh-info {self.jid}` names the right one")
        return bool(keys)

    def _say(self, text: str) -> None:
        """Tell why there is no way in, once."""
        if not self._told:
            self._told = True
            self._connection.send_auth_banner(f"picloud: {text}\r\n")

    def session_requested(self) -> Session:
        return Session(self)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        return self._forward(dest_host, dest_port)

    async def _forward(self, host: str, port: int) -> Forward:
        if host not in HERE:
            reason = f"only ports of job {self.jid} itself: -L PORT:localhost:PORT"
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, reason)
        try:
            return Forward(await self.open(Connect(port)))
        except CloudException as error:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, str(error)) from error

    async def open(self, what: Execute | Connect) -> Channel:
        """A channel into the job."""
        return await self._gateway.channels.open(self.jid, what, keys=self._visitor.keys)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something as long as the connection lives."""
        self._connection.create_task(work)


class Session(Paced, asyncssh.SSHServerSession[bytes]):
    """One program for the client: shell, command or subsystem."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._chan: SSHServerChannel[bytes]
        self._channel: Channel | None = None
        self._inbox = channel.Inbox()
        self._early: list[bytes] = []  # what the client said before the channel was open
        self._gone = self._ended = False

    # -- the client -----------------------------------------------------------------------------------------------

    def connection_made(self, chan: SSHServerChannel[bytes]) -> None:
        self._chan = chan

    def pty_requested(self, term_type: str, term_size: Any, term_modes: Any) -> bool:
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp"

    def session_started(self) -> None:
        self._server.spawn(self._begin())

    async def _begin(self) -> None:
        chan = self._chan
        width, height, _, _ = chan.get_terminal_size()
        environment = {str(name): str(value) for name, value in chan.get_environment().items()}
        what = Execute(
            command=chan.get_command() or "",
            subsystem=chan.get_subsystem() or "",
            env=environment,
            terminal=chan.get_terminal_type() or "",
            rows=height or 24,
            columns=width or 80,
        )
        try:
            found = await self._server.open(what)
        except CloudException as error:
            self._refuse(error)
            return
        if self._gone:
            found.close()
            return
        self._channel = self.source = found
        for frame in self._early:
            found.write(frame)
        self._early.clear()
        found.attach(Back(self))

    def _refuse(self, error: CloudException) -> None:
        if not self._gone:
            text = f"picloud: {error}\n".replace("\n", "\r\n" if self._chan.get_terminal_type() else "\n")
            self._chan.write_stderr(text.encode())
            self._chan.exit(REFUSED)

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._send(channel.pack(channel.DATA, data))

    def eof_received(self) -> bool:
        self._send(channel.pack(channel.EOF))
        return True

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        self._send(channel.resize(height, width))

    def signal_received(self, signal: str) -> None:
        if number := _SIGNALS.get(signal):
            self._send(channel.number(channel.SIGNAL, number))

    def break_received(self, msec: int) -> bool:
        self._send(channel.number(channel.SIGNAL, signal.SIGINT))
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        if self._channel is not None:
            self._channel.close()

    def _send(self, frame: bytes) -> None:
        if self._channel is not None:
            self._channel.write(frame)
        elif not self._gone:
            self._early.append(frame)

    # -- the job --------------------------------------------------------------------------------------------------

    def hear(self, data: bytes) -> None:
        """What the program says."""
        for frame in self._inbox.take(data):
            match frame.kind:
                case channel.DATA:
                    self._chan.write(frame.data)
                case channel.ERRORS:
                    self._chan.write_stderr(frame.data)
                case channel.EXIT:
                    self._exit(channel.number_of(frame))

    def _exit(self, status: int) -> None:
        self._ended = True
        if status >= 0:
            self._chan.exit(status)
        else:
            self._chan.exit_with_signal(_NAMES.get(-status, "KILL"))

    def lose(self) -> None:
        """The channel has ended."""
        if not self._gone and not self._ended:
            self._ended = True
            self._chan.write_stderr(f"picloud: the session ended: job {self._server.jid} is over, or its worker\r\n".encode())
            self._chan.exit(REFUSED)

    def pause_reading(self) -> None:
        """The channel has no room for what the client says."""
        if not self._gone:
            self._chan.pause_reading()

    def resume_reading(self) -> None:
        """It has again."""
        if not self._gone:
            self._chan.resume_reading()


class Back(Paced):
    """The way from a channel to a session."""

    def __init__(self, session: Session) -> None:
        self._session = self.source = session

    def data_received(self, data: bytes) -> None:
        self._session.hear(data)

    def eof_received(self) -> None:
        self._session.lose()

    def connection_lost(self, exc: Exception | None) -> None:
        self._session.lose()
