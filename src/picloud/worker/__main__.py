"""``python -m picloud.worker``: reads its order, one line of JSON, from standard input and works until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

import msgspec

from picloud.worker import layered
from picloud.worker.control import Control
from picloud.worker.kit import Kit
from picloud.worker.loop import Loop
from picloud.worker.order import Order
from picloud.worker.pool import Pool
from picloud.worker.saving import Saving, machine_of
from picloud.worker.session import Session


def main() -> None:
    """Run one worker."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s worker %(levelname)s %(message)s")
    order = msgspec.json.decode(sys.stdin.readline(), type=Order)
    sys.setswitchinterval(0.0005)  # door and download threads must not hold up the loop
    folder = Path(order.folder)
    os.umask(0o022)  # the folder itself is private; what jobs read in it is not theirs
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    loop = Loop()
    session = Session(loop, order)
    control = Control(order)
    kit = Kit(loop, control, folder)
    session.work = pool = Pool(loop, order, kit, session, layered.maker(order, control))
    session.saving = Saving(loop, order, control, session.tell, lambda key: machine_of(pool.slots, key))
    loop.before_wait, loop.after_turn = pool.rest, pool.turn
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: loop.call(lambda: pool.drain(0.0)))
    pool.resize(order.slots)
    session.connect()
    loop.run()
    pool.end()
    session.close()
    sys.stdout.flush()
    os._exit(0)  # threads that wait for the network are not waited for


if __name__ == "__main__":
    main()
