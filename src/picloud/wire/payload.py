"""Values as bytes: pickle protocol 5 with its out-of-band buffers behind it, without a copy of the buffers.

Standard library only: the runner reads and writes these too. Server, worker, edge and engine never load them.

A payload without buffers is the bare pickle (starts with 0x80). With buffers:
``b"B" + u32 count + u64 length of each part (pickle first) + the parts``.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Sequence
from typing import Any

Buffer = bytes | bytearray | memoryview


def join(pickled: bytes, buffers: Sequence[Buffer]) -> list[Buffer]:
    """The parts of a payload, in order, for writev or ``b"".join``."""
    if not buffers:
        return [pickled]
    sizes = [len(pickled), *(memoryview(b).nbytes for b in buffers)]
    return [b"B" + struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes), pickled, *buffers]


def split(payload: Buffer) -> tuple[memoryview, list[memoryview]]:
    """The pickle and its buffers, as views of the payload."""
    view = memoryview(payload)
    if bytes(view[:1]) != b"B":
        return view, []
    (count,) = struct.unpack_from("<I", view, 1)
    sizes = struct.unpack_from(f"<{count}Q", view, 5)
    at, parts = 5 + 8 * count, []
    for size in sizes:
        parts.append(view[at : at + size])
        at += size
    return parts[0], parts[1:]


def dumps(value: Any, dump: Callable[..., bytes]) -> list[Buffer]:
    """Pack with ``dump(value, protocol=5, buffer_callback=...)`` (pickle.dumps or cloudpickle.dumps)."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = dump(value, protocol=5, buffer_callback=buffers.append)
    return join(pickled, [b.raw() for b in buffers])


def loads(payload: Buffer) -> Any:
    """Load a payload. Only user code's own processes (client, runner) may call this."""
    if isinstance(payload, bytes) and payload[:1] == b"\x80":
        return pickle.loads(payload)
    pickled, buffers = split(payload)
    return pickle.loads(pickled, buffers=[bytearray(b) for b in buffers])
