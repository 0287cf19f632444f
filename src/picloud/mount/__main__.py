"""``python -m picloud.mount``: shows a bucket or volume at a folder until that is unmounted.

The order comes as one line of JSON on standard input, so that no secret stands in a command line; ``ready`` goes back on
standard output once the folder can be used. SIGTERM stores what is open and ends.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path

import msgspec

from picloud.mount import device
from picloud.mount.holding import Holding
from picloud.mount.operations import Operations
from picloud.mount.order import Order
from picloud.mount.remote import Remote
from picloud.mount.session import Session
from picloud.mount.tree import Tree
from picloud.mount.unstored import Unstored
from picloud.wire.error import CloudException
from picloud.wire.link import Link

log = logging.getLogger("picloud.mount")

DEADLINE = 60.0
"""Seconds that one request to the server may take, with its repeats."""


def serve(order: Order) -> None:
    """Mount as ordered, and answer until it is unmounted; then store what is still open.

    Raises:
        CloudException: the server does not know us, or nothing can be mounted there.
    """
    link = Link(order.url, key=order.key, secret=order.secret, fingerprint=order.fingerprint, door=order.door, patience=DEADLINE)
    link.first_patience = DEADLINE
    remote = Remote(link, order.volume)
    if order.device < 0:  # in a sandbox whoever looks in first may be no job
        remote.find("a")  # a wrong key or volume is told now, not by each file
    tree = Tree(remote, Path(order.cache), order.cache_bytes, (order.uid, order.gid))
    at = order.device
    if at < 0:
        at = device.mount(order.folder, read_only=order.read_only, allow_other=order.allow_other)
    if order.device >= 0:
        tree.tell = _say
    session = Session(at, Operations(tree, Unstored(tree, order.page, order.at)).table(), greeted=order.device >= 0)
    tree.feed.start()
    Holding(tree.nodes, remote, order.hold).start()
    if order.device < 0:
        threading.Thread(target=_announce, args=(session,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's ^C is for the programs in it
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=_leave, args=(order, tree), daemon=True).start())
    session.run()
    tree.feed.close()
    _store_open(order, tree)


def _say(text: str) -> None:
    """A line for the Pi log of the job in hand; who started us reads it."""
    log.warning(text)
    print(text, flush=True)


def _announce(session: Session) -> None:
    session.ready.wait()
    print("ready", flush=True)


def _leave(order: Order, tree: Tree) -> None:
    """End though the kernel may still ask: other mount namespaces (each sandbox has one) keep a mount that we took away."""
    device.detach(order.folder)
    _store_open(order, tree)
    os._exit(0)


def _store_open(order: Order, tree: Tree) -> None:
    """What programs left open is stored too: its last bytes may have come after the last close."""
    for node in tree.nodes.open_contents():
        tree.store(node)
    if tree.lost and order.lost:
        Path(order.lost).write_bytes(msgspec.json.encode(sorted(tree.lost)))


def main() -> None:
    """Read the order, serve, or say why not (exit 1)."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    sys.setswitchinterval(0.0005)  # a thread that has an answer must not wait 5 ms for another one's turn to end
    order = msgspec.json.decode(sys.stdin.readline() or "{}", type=Order)
    try:
        serve(order)
    except CloudException as error:
        print(msgspec.json.encode({"error": error.to_dict()}).decode(), flush=True)
        raise SystemExit(1) from error
    os._exit(0)  # threads that wait for a server that is gone must not keep an unmounted daemon


if __name__ == "__main__":
    main()
