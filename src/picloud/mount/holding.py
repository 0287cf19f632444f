"""What is open here stays on the server: the sweeper is told of it again and again.

A version that was replaced or removed elsewhere is read on by who has it open, and part of what is stored anew when that one
writes. So its blobs may not be swept while it is open, however long that is.
"""

from __future__ import annotations

import logging
import threading
import time

from picloud.mount.nodes import Nodes
from picloud.mount.remote import BATCH, Remote
from picloud.wire.error import CloudException, NotFound

log = logging.getLogger(__name__)


class Holding:
    """Touches the blobs of open files.

    Args:
        nodes: of the mount.
        remote: the server.
        every: seconds between two times; the server sweeps after ``keep_unused`` seconds.
    """

    def __init__(self, nodes: Nodes, remote: Remote, every: float) -> None:
        self._nodes, self._remote, self._every = nodes, remote, every

    def start(self) -> None:
        """Begin, in a thread of its own."""
        threading.Thread(target=self._run, name="holding", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(self._every)
            contents = [node.content for node in self._nodes.open_contents()]
            names = sorted({piece.blob for content in contents if content is not None for piece in content.base.extents})
            for at in range(0, len(names), BATCH):
                self._hold(names[at : at + BATCH])

    def _hold(self, names: list[str]) -> None:
        try:
            self._remote.hold(names)
        except NotFound as error:
            if len(names) > 1:  # the others are there
                for name in names:
                    self._hold([name])
            else:
                log.warning("bytes of an open file are not there any more: %s", error)
        except (CloudException, OSError) as error:
            log.warning("open files could not be held: %s", error)
