"""Mounts for tests: real daemons on real folders, and the server's side of the same objects."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from picloud.mount import device
from picloud.mount.remote import Remote
from picloud.wire.link import Link
from picloud.wire.object import Content, Keys, New


class Api:
    """The account's objects, by HTTP."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self.url, self.key, self.secret = url, key, secret
        self.link = Link(url, key=key, secret=secret)
        self.remote = Remote(self.link, "")

    def close(self) -> None:
        self.remote.pool.shutdown()
        self.link.close()

    def put(self, key: str, data: bytes) -> None:
        self.remote.put(New(key, len(data), data=data))

    def get(self, key: str) -> bytes | None:
        """The bytes of an object; None where there is none."""
        found = self.remote.find(key)
        if found is None or found.key.endswith("/"):
            return None
        content = self.remote.get(found.id)
        assert content is not None
        return content.data or self._bytes(content)

    def _bytes(self, content: Content) -> bytes:
        starts = content.starts or [0] * len(content.extents)
        parts = zip(content.extents, starts, strict=True)
        return b"".join(bytes(self.link.get(url, start, start + length)) for (length, url), start in parts)

    def names(self, folder: str = "") -> list[str]:
        return [one.key for page in self.remote.pages(folder) for one in page.objects]

    def remove_below(self, folder: str) -> None:
        self.link.request("POST", "/v1/object/remove", msgspec.msgpack.encode(Keys(prefix=folder)))


class Mounted:
    """A daemon, and the folder that it serves."""

    def __init__(self, folder: Path, daemon: subprocess.Popen[str], log: Path) -> None:
        self.folder, self.daemon, self._log = folder, daemon, log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def end(self) -> None:
        """Unmount, and wait until all is stored."""
        if device.is_mounted(str(self.folder)):
            device.unmount(str(self.folder), lazy=True)
        if self.daemon.poll() is None:
            self.daemon.terminate()
            self.daemon.wait(20)

    def kill(self) -> None:
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.wait(10)


def start(api: Api, cache: Path, url: str = "", **more: Any) -> Mounted:
    """Mount the bucket at a new folder."""
    folder = Path(tempfile.mkdtemp(prefix="picloud-test-mount-"))
    log = cache / f"{folder.name}.log"
    with open(log, "w") as errors:
        daemon = subprocess.Popen([sys.executable, "-m", "picloud.mount"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=errors, text=True)  # fmt: skip
    order = {"url": url or api.url, "folder": str(folder), "cache": str(cache), "key": api.key, "secret": api.secret, **more}
    assert daemon.stdin is not None and daemon.stdout is not None
    daemon.stdin.write(json.dumps(order) + "\n")
    daemon.stdin.close()
    said = daemon.stdout.readline().strip()
    daemon.stdout.close()
    assert said == "ready", said + log.read_text()
    return Mounted(folder, daemon, log)


@contextmanager
def mounted(api: Api, cache: Path, url: str = "", **more: Any) -> Iterator[Mounted]:
    """The same, taken away at the end."""
    found = start(api, cache, url, **more)
    try:
        yield found
    finally:
        found.end()
        os.rmdir(found.folder)


def run(*words: str | Path, at: Path, seconds: float = 300) -> str:
    """What a program prints, which must end well."""
    done = subprocess.run(words, cwd=at, capture_output=True, text=True, check=False, timeout=seconds)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


class Counter:
    """A way to the server that counts the requests on it."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.requests: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to))
            threading.Thread(target=self._pass, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, count: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                if count and data.startswith((b"POST ", b"GET ", b"PUT ")):
                    self.requests.append(data.split(b" ", 2)[1].decode())
                target.sendall(data)
        except OSError:
            return
        finally:
            target.close()
