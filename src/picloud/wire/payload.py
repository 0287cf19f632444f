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
EXCEPTION_LIMIT = 40_000
"""Bytes of a pickled exception that is kept; of a larger one type, text and traceback say enough."""


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


def dump_exception(error: BaseException, dump: Callable[[Any], bytes], limit: int = EXCEPTION_LIMIT) -> bytes:
    """An exception as bytes for :func:`loads`, only if it can be loaded again: many classes can be pickled but not loaded.

    Where the whole cannot be, its attributes that cannot are None (an HTTP error holds its connection), its arguments text.

    Args:
        dump: ``cloudpickle.dumps``.
        limit: bytes.

    Returns:
        b"" where even that cannot be saved, or is too large.
    """
    for make in (lambda: error, lambda: _Bare(error, dump)):
        try:
            made = bytes(dump(make()))
            if len(made) <= limit and isinstance(pickle.loads(made), BaseException):
                return made
        except BaseException:  # noqa: BLE001 user code: a constructor may raise anything
            continue
    return b""


_OWN = "__reduce_ex__"


class _Bare:
    """Pickles as an exception of the same class, made without its constructor, of all parts of another that can be saved."""

    def __init__(self, error: BaseException, dump: Callable[[Any], bytes]) -> None:
        def kept(value: Any, instead: Any) -> Any:
            try:
                pickle.loads(dump(value))
            except Exception:  # noqa: BLE001 user code
                return instead
            return value

        args = tuple(kept(one, str(one)) for one in error.args)
        self._parts = type(error), args, {name: kept(value, None) for name, value in vars(error).items() if name != _OWN}

    def __reduce__(self) -> tuple[Any, ...]:
        return _revived, self._parts


def _revived(kind: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    made = kind.__new__(kind, *args)
    made.args = args
    parts = _revived, (kind, args, attributes)
    vars(made).update(attributes, **{_OWN: lambda protocol: parts})  # who got it may send it on
    return made
