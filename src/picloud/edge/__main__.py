"""The edge process: ``python -m picloud.edge``, told what to serve by one line of JSON on standard input.

The sockets are bound by control and inherited, so that the edge has its address before it runs. Standard input stays
open as long as control lives, and tells which ports of jobs to show; its end ends the edge.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop

from picloud.edge.admission import Admission
from picloud.edge.app import Edge
from picloud.edge.arrival import Arrival
from picloud.edge.channel import Channels
from picloud.edge.control import Control
from picloud.edge.download import Downloads
from picloud.edge.origins import Origins
from picloud.edge.ports import Outer, Place
from picloud.edge.proxy import Proxy
from picloud.edge.public import Public
from picloud.edge.terminal import Terminals
from picloud.serving import Certificate, Serving
from picloud.store.files import THREADS, open_files

if TYPE_CHECKING:
    from picloud.edge.ssh import Gateway

log = logging.getLogger("picloud.edge")


class EdgeOrder(msgspec.Struct):
    """What control tells the edge."""

    blobs: str  # URL of an object store, or "" for the folder
    folder: str  # where blobs rest without one
    secret: str  # hex key of the tickets
    plain: list[int]  # listening sockets for HTTP
    tls: list[int]  # and for HTTPS
    certificate: Certificate | None = None
    control: str = ""  # URL of control on this machine
    authority: str = ""  # what proves to it that we are its edge
    ssh: list[int] = msgspec.field(default_factory=list)  # listening sockets of the gateway
    host_key: str = ""  # file of the gateway's private key
    port_address: str = "127.0.0.2"  # where ports of jobs are shown
    proxy_domain: str = "localhost"
    origins: Origins = msgspec.field(default_factory=Origins)  # of the server's own pages


class Shown(msgspec.Struct):
    """What control tells later: outer port -> account, jid, attempt, inner port."""

    ports: dict[int, tuple[int, int, int, int]]


async def serve(order: EdgeOrder) -> None:
    """Serve until control ends or a signal comes."""
    secret = bytes.fromhex(order.secret)
    control = Control(order.control, order.authority)
    channels, admission = Channels(control), Admission(control)
    terminals = Terminals(control, channels, admission)
    proxy = Proxy(channels, secret, order.proxy_domain)
    outer = Outer(control, channels, order.port_address)
    files = open_files(order.blobs, Path(order.folder))
    app = Edge(files, secret, proxy, Public(control, files), Downloads(control, files, secret), order.origins)

    def upgrade(**uvicorn: object) -> Arrival:
        return Arrival(channels, proxy, terminals, **uvicorn)  # type: ignore[arg-type]  # uvicorn's own keywords

    servings = [Serving(app, [socket.socket(fileno=fd) for fd in order.plain], upgrade=upgrade)]
    if order.tls:
        servings.append(Serving(app, [socket.socket(fileno=fd) for fd in order.tls], order.certificate, upgrade=upgrade))

    def stop() -> None:
        for serving in servings:
            serving.stop()

    told = bytearray()

    def hear() -> None:
        data = os.read(0, 1 << 16)
        if not data:
            asyncio.get_running_loop().remove_reader(0)
            stop()
        told.extend(data)
        *lines, rest = bytes(told).split(b"\n")
        told[:] = rest
        if lines:  # each tells everything: only the newest counts
            shown = msgspec.json.decode(lines[-1], type=Shown)
            outer.show({port: Place(*place) for port, place in shown.ports.items()})

    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(THREADS, "blob"))
    loop.add_reader(0, hear)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    gateway = loop.create_task(_open_gateway(order, channels, admission))
    watch = loop.create_task(admission.watch())
    await asyncio.gather(*(serving.run() for serving in servings))
    watch.cancel()
    gateway.cancel()


async def _open_gateway(order: EdgeOrder, channels: Channels, admission: Admission) -> Gateway | None:
    """Serve ssh, once its library is loaded: blobs need not wait for that."""
    if not order.ssh:
        return None
    try:
        from picloud.edge.ssh import Gateway

        made = Gateway(channels, admission)
        await made.listen([socket.socket(fileno=fd) for fd in order.ssh], order.host_key)
    except Exception:
        log.exception("no ssh gateway")
        raise
    return made


def main() -> None:
    """Read the order and serve."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s edge %(levelname)s %(message)s")
    with open(0, "rb", buffering=0, closefd=False) as stdin:  # unbuffered: later lines are for the loop
        order = msgspec.json.decode(stdin.readline(), type=EdgeOrder)
    uvloop.run(serve(order))


if __name__ == "__main__":
    main()
