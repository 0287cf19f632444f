"""The edge process: ``python -m picloud.edge``, told what to serve by one line of JSON on standard input.

The sockets are bound by control and inherited, so that the edge has its address before it runs. Standard input stays
open as long as control lives; its end ends the edge.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec
import uvloop

from picloud.edge.app import Edge
from picloud.serving import Certificate, Serving
from picloud.store.files import open_files


class EdgeOrder(msgspec.Struct):
    """What control tells the edge."""

    blobs: str  # URL of an object store, or "" for the folder
    folder: str  # where blobs rest without one
    secret: str  # hex key of the tickets
    plain: list[int]  # listening sockets for HTTP
    tls: list[int]  # and for HTTPS
    certificate: Certificate | None = None


async def serve(order: EdgeOrder) -> None:
    """Serve until control ends or a signal comes."""
    app = Edge(open_files(order.blobs, Path(order.folder)), bytes.fromhex(order.secret))
    servings = [Serving(app, [socket.socket(fileno=fd) for fd in order.plain])]
    if order.tls:
        servings.append(Serving(app, [socket.socket(fileno=fd) for fd in order.tls], order.certificate))

    def stop() -> None:
        for serving in servings:
            serving.stop()

    def hear() -> None:
        if not os.read(0, 4096):
            asyncio.get_running_loop().remove_reader(0)
            stop()

    loop = asyncio.get_running_loop()
    loop.add_reader(0, hear)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await asyncio.gather(*(serving.run() for serving in servings))


def main() -> None:
    """Read the order and serve."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s edge %(levelname)s %(message)s")
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=EdgeOrder)
    uvloop.run(serve(order))


if __name__ == "__main__":
    main()
