"""A way to a server on which answers get lost: the server has done what it was asked, and the client never hears of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit


class Lossy:
    """Connections are passed on to a server. ``lose``: so many answers are cut off from now on."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self._far = (at.hostname or "", at.port or 80)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        self.lose = self.lost = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._door.accept()[0]
                far = socket.create_connection(self._far)
                threading.Thread(target=self._pass_on, args=(near, far), daemon=True).start()
                threading.Thread(target=self._answer, args=(far, near), daemon=True).start()

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := near.recv(1 << 16):
                far.sendall(data)
        _end(far)

    def _answer(self, far: socket.socket, near: socket.socket) -> None:
        with contextlib.suppress(OSError), near, far:
            while data := far.recv(1 << 16):
                if self.lose:
                    self.lose -= 1
                    self.lost += 1
                    break
                near.sendall(data)
            _end(near)
            _end(far)

    def close(self) -> None:
        """Take no more connections."""
        _end(self._door)
        self._thread.join(10)
        self._door.close()


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
