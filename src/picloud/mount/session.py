"""Threads that read the kernel's requests and answer them."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence

from picloud.mount.failure import number_of
from picloud.mount.protocol import Head
from picloud.mount.turn import Turn
from picloud.wire import fuse
from picloud.wire.fuse import ANSWER, HEAD, Opcode

log = logging.getLogger(__name__)

THREADS = 16
"""Requests under way at once: a close that uploads holds one."""
Answer = bytes | bytearray | None
"""None: this request wants no answer."""
Operation = Callable[[Head, memoryview], Answer]
_SILENT = (Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT)


class Session:
    """One mount's conversation with the kernel.

    Args:
        device: the open ``/dev/fuse`` of a mount.
        operations: what answers each request.
        greeted: somebody has answered the kernel's first question already.
    """

    def __init__(self, device: int, operations: Mapping[int, Operation], *, greeted: bool = False) -> None:
        self._device, self._operations, self._greeted = device, operations, greeted
        self._turn = Turn()
        self.ready = threading.Event()

    def run(self) -> None:
        """Answer until the folder is unmounted."""
        if not self._greeted and not fuse.greet(self._device):
            return
        self.ready.set()
        threads = [threading.Thread(target=self._serve, name="fuse", daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _next(self, buffer: bytearray) -> int | None:
        """Bytes of the next request; None when there will be none."""
        try:
            return fuse.next_request(self._device, buffer)
        except OSError as error:
            log.error("the kernel asks no more: %s", error)
            return None

    def _serve(self) -> None:
        buffer = bytearray(fuse.READ_SIZE)
        view = memoryview(buffer)
        while True:
            self._turn.take()
            size = self._next(buffer)
            if size is None:
                self._turn.give()
                return
            head = Head(*HEAD.unpack_from(buffer))
            self._act(head, view[HEAD.size : size])

    def _act(self, head: Head, body: memoryview) -> None:
        operation = self._operations.get(head.opcode)
        number, answer = 0, None
        try:
            answer = operation(head, body) if operation is not None else None
            number = 0 if operation is not None else errno.ENOSYS
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the program that waits gets an answer
            number = number_of(error)
        if head.opcode not in _SILENT:
            self._answer(head.unique, number, b"" if answer is None or number else answer)

    def _answer(self, unique: int, number: int, body: bytes | bytearray) -> None:
        parts: Sequence[bytes | bytearray] = [ANSWER.pack(ANSWER.size + len(body), -number, unique), body]
        try:
            os.writev(self._device, parts)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):  # who asked has been killed; or it is unmounted
                log.error("an answer did not reach the kernel: %s", error)
