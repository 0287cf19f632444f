"""The stream of changes, read as it comes.

The server writes what happened into our socket before it answers the one who did it. So whoever asks the cache first takes
what lies in the socket, and on one machine nothing that was done can be unknown.
"""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import threading
import time

import msgspec

from picloud.mount.names import Names
from picloud.wire.error import CloudException
from picloud.wire.link import SILENCE, Link, Stream
from picloud.wire.object import Event, Keys

PAUSE = 1.0
"""Seconds between two tries to listen."""
_decode = msgspec.msgpack.Decoder(list[Event]).decode


class Feed:
    """Keeps the names of one bucket or volume true."""

    def __init__(self, link: Link, volume: str, names: Names) -> None:
        self._link, self._volume, self._names = link, volume, names
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._poll = select.poll()
        self._data = bytearray()  # of frames, not whole yet
        self._raw = bytearray()  # of chunks, not whole yet
        self._closed = threading.Event()
        self.live = threading.Event()
        self.exact = False  # the server is reached through a socket of this machine: its news are here before its answers

    def start(self) -> None:
        """Listen, and try again whenever the stream breaks."""
        threading.Thread(target=self._run, name="feed", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._closed.set()
        if self._stream is not None:
            self._stream.abort()

    def catch_up(self) -> None:
        """Take in what has come; every look at the names begins with this."""
        if not self.live.is_set():
            return
        with self._lock:
            if self._stream is not None:
                self._drain(self._stream.connection.sock)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._listen()
            except (OSError, http.client.HTTPException, CloudException, ValueError):
                self._lose()
            self._closed.wait(PAUSE)

    def _listen(self) -> None:
        body = msgspec.msgpack.encode(Keys(volume=self._volume))
        stream = self._link.stream("/v1/object/watch", body, patience=0)
        with stream:
            if stream.response.read(4) != bytes(4):
                raise ValueError("the stream of changes does not begin as it should")
            sock = stream.connection.sock
            with self._lock:
                sock.settimeout(0)
                self._poll = select.poll()
                self._poll.register(sock, select.POLLIN)
                self._data, self._raw = bytearray(), bytearray(stream.response.fp.peek() if stream.response.fp else b"")
                self._stream, self.exact = stream, sock.family == socket.AF_UNIX and not self._link.origin.door
                self._names.reset(live=True)
            self.live.set()
            heard = time.monotonic()
            while time.monotonic() - heard < SILENCE and self._stream is stream and not self._closed.is_set():
                if select.select([sock], [], [], 1.0)[0]:
                    heard = time.monotonic()
                    self.catch_up()
        self._lose()

    def _lose(self) -> None:
        with self._lock:
            self._stream = None
            self.live.clear()
            self.exact = False
            self._names.reset(live=False)

    def _drain(self, sock: socket.socket) -> None:
        while self._poll.poll(0):
            try:
                came = sock.recv(1 << 16)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                if "WantRead" in type(error).__name__:  # TLS has no whole record yet
                    break
                came = b""
            if not came:
                self._end()
                return
            self._raw += came
        with contextlib.suppress(IndexError):
            if self._raw and not self._unchunk():
                self._end()

    def _end(self) -> None:
        self._stream = None
        self.live.clear()
        self.exact = False
        self._names.reset(live=False)

    def _unchunk(self) -> bool:
        """Take whole chunks, and the frames in them; False at the last one."""
        while True:
            raw = self._raw
            start = 2 if raw.startswith(b"\r\n") else 0
            line = raw.find(b"\r\n", start)
            if line < 0:
                return True
            size = int(bytes(raw[start:line]), 16)
            if size == 0:
                return False
            if len(raw) < line + 2 + size:
                return True
            self._data += raw[line + 2 : line + 2 + size]
            del raw[: line + 2 + size]
            self._frames()

    def _frames(self) -> None:
        data = self._data
        while len(data) >= 4 and len(data) >= 4 + (size := int.from_bytes(data[:4], "big")):
            if size:
                self._names.apply(_decode(bytes(data[4 : 4 + size])))
            del data[: 4 + size]
