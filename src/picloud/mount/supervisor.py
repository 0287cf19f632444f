"""``python -m picloud.mount.supervisor``: keeps a mount up. A daemon that dies is replaced at once.

It takes the daemon's order and says what the daemon says at its first start. What was open when a daemon died is lost to the
programs that had it open (they get an error); everything that was closed is safe, and the folder works again.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import time
from types import FrameType

import msgspec

from picloud.mount import device
from picloud.mount.order import Order
from picloud.wire.error import SetupError

log = logging.getLogger("picloud.mount")

PAUSES = (0.0, 0.2, 1.0, 5.0)
"""Seconds before another start, after so many deaths in a row."""
LASTING = 30.0
"""Seconds after which a daemon counts as one that works."""


class Supervisor:
    """One mount and the daemons that serve it, one after the other."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._daemon: subprocess.Popen[str] | None = None
        self._leaving = False
        self._deaths = 0

    def run(self) -> int:
        """Serve until the folder is unmounted; the exit code."""
        signal.signal(signal.SIGTERM, self._leave)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        said = self._start()
        print(said, flush=True)
        if said != "ready":
            return 1
        while (code := self._wait()) and not self._leaving:
            log.error("the daemon of %s died (%d); starting another", self._order.folder, code)
            self._restart()  # until then programs meet the dead mount, and nothing goes into the folder below
        if code and self._leaving:
            device.detach(self._order.folder)
        return 0

    def _start(self) -> str:
        self._begun = time.monotonic()
        command = [sys.executable, "-m", "picloud.mount"]
        daemon = self._daemon = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert daemon.stdin is not None and daemon.stdout is not None
        daemon.stdin.write(msgspec.json.encode(self._order).decode() + "\n")
        daemon.stdin.close()
        return daemon.stdout.readline().strip() or json.dumps({"error": SetupError("the daemon did not start").to_dict()})

    def _wait(self) -> int:
        assert self._daemon is not None
        return self._daemon.wait()

    def _restart(self) -> None:
        while not self._leaving:
            self._deaths = 0 if time.monotonic() - self._begun > LASTING else self._deaths + 1
            time.sleep(PAUSES[min(self._deaths, len(PAUSES)) - 1] if self._deaths else 0)
            said = self._start()
            if said == "ready":
                log.warning("%s is mounted again", self._order.folder)
                return
            log.error("%s cannot be mounted again: %s", self._order.folder, said)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        self._leaving = True
        if self._daemon is not None:
            self._daemon.send_signal(signal.SIGTERM)


def main() -> None:
    """Read the order and keep it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    order = msgspec.json.decode(sys.stdin.readline() or "{}", type=Order)
    raise SystemExit(Supervisor(order).run())


if __name__ == "__main__":
    main()
