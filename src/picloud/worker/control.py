"""The worker's requests to control besides the WebSocket: code by digest, large arguments, large results. All block."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from picloud.wire.error import CloudException, Unavailable, from_dict
from picloud.worker.order import Order

PIECE = 1 << 20
TIMEOUT = 60.0  # seconds without a byte


def connect(url: str, timeout: float = TIMEOUT) -> http.client.HTTPConnection:
    """A connection to the host of ``url``."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=timeout, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)


@contextmanager
def answered(
    url: str, method: str, body: Any = None, headers: dict[str, str] | None = None
) -> Iterator[http.client.HTTPResponse]:
    """One request; raises the error that the answer names, Unavailable if there is no answer."""
    parts, link = urlsplit(url), connect(url)
    try:
        link.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, headers or {})
        response = link.getresponse()
        if response.status >= 400:
            raise _error(response.status, response.read())
        yield response
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"{method} {url}: {str(error) or type(error).__name__}") from error
    finally:
        link.close()


def _error(status: int, body: bytes) -> CloudException:
    try:
        return from_dict(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return Unavailable(f"control answered {status}") if status >= 500 else CloudException(f"control answered {status}")


class Control:
    """Control as seen by one worker."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._headers = {"Authorization": order.authorization}

    @property
    def url(self) -> str:
        """Where control listens; a server that takes over may do so elsewhere."""
        return self._order.url.rstrip("/")

    def code(self, digest: str) -> bytes:
        """The bytes of a function or a set of modules."""
        with answered(f"{self.url}/v1/worker/code/{digest}", "GET", headers=self._headers) as response:
            return response.read()

    def download(self, blob: str, path: Path) -> int:
        """Write a blob into a file; returns its size in bytes."""
        (url,) = self._ask("/v1/worker/blob/get", {"ids": [blob]})["urls"]
        with answered(url, "GET") as response, open(path, "wb") as file:
            return _copy(response, file)

    def layer(self, digest: str, path: Path) -> None:
        """Write a layer of this worker's image, compressed, into a file."""
        with answered(f"{self.url}/v1/worker/layer/{digest}", "GET", headers=self._headers) as response:
            url = response.getheader("location", "")
        with answered(url, "GET") as response, open(path, "wb") as file:
            _copy(response, file)

    def edge(self) -> str:
        """The URL below which blobs are."""
        with answered(f"{self.url}/v1/worker/edge", "GET", headers=self._headers) as response:
            return str(json.loads(response.read())["url"])

    def upload(self, path: Path) -> str:
        """Make a blob of a file; returns its id."""
        size = path.stat().st_size
        (ticket,) = self._ask("/v1/worker/blob", {"sizes": [size]})["blobs"]
        with open(path, "rb") as file, answered(ticket["url"], "PUT", file, {"Content-Length": str(size)}) as response:
            response.read()
        return str(ticket["id"])

    def _ask(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        headers = self._headers | {"Content-Type": "application/json"}
        with answered(self.url + path, "POST", json.dumps(question), headers) as response:
            found: dict[str, Any] = json.loads(response.read())
            return found


def _copy(response: http.client.HTTPResponse, file: BinaryIO) -> int:
    total = 0
    while piece := response.read(PIECE):
        file.write(piece)
        total += len(piece)
    if response.length:  # http.client tells of a body cut short only this way when it is read in pieces
        raise Unavailable("the download was cut short")
    return total
