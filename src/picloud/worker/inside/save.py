"""A result as bytes: inline, or a file when it is large."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import cloudpickle

from picloud.wire import describe, payload
from picloud.worker import frame

PLAIN = frozenset((int, float, str, bool, bytes, type(None)))


def plain(value: Any) -> bytes | None:
    """The payload of a value of a plain type, if it is small."""
    data = pickle.dumps(value, 5)
    return data if len(data) <= frame.INLINE else None


def pack(value: Any) -> list[payload.Buffer]:
    """The parts of a result's payload: plain pickle where it can, cloudpickle where it must."""
    try:
        return payload.dumps(value, pickle.dumps)
    except Exception:  # noqa: BLE001 - lambdas, classes of __main__ ...: cloudpickle knows them, or says why not
        return payload.dumps(value, cloudpickle.dumps)


def store(parts: list[payload.Buffer], path: Path) -> bytes | None:
    """The payload if it is small; else it is written to ``path``, and None."""
    if sum(memoryview(part).nbytes for part in parts) <= frame.INLINE:
        return b"".join(parts)
    with open(path, "wb") as file:
        for part in parts:
            file.write(part)
    return None


def preview(value: Any) -> bytes:
    """A short description of a result for people."""
    return describe.value(value).encode(errors="backslashreplace")[: 4 * describe.PREVIEW]


def offender(value: Any, name: str = "result", depth: int = 6) -> str:
    """The path to the innermost object that cannot be pickled, e.g. ``result['a'][2].lock -> _thread.lock``."""
    for step, inner in _inside(value) if depth else ():
        if not _pickles(inner):
            return offender(inner, name + step, depth - 1)
    kind = type(value)
    return f"{name} -> {kind.__module__}.{kind.__qualname__}"


def _inside(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f"[{describe.text(key)}]", item) for key, item in list(value.items())[:1000]]
    if isinstance(value, list | tuple | set | frozenset):
        return [(f"[{at}]", item) for at, item in enumerate(list(value)[:1000])]
    closure = getattr(value, "__closure__", None)
    if closure:
        names = value.__code__.co_freevars
        return [(f" closure {name!r}", cell.cell_contents) for name, cell in zip(names, closure, strict=False)]
    state = getattr(value, "__dict__", None)
    return [(f".{key}", item) for key, item in state.items()] if isinstance(state, dict) else []


def _pickles(value: Any) -> bool:
    try:
        cloudpickle.dumps(value)
    except BaseException:  # noqa: BLE001 - user code: a pickling method may raise anything
        return False
    return True
