"""Saying why something cannot be pickled: the way to the object that refuses, and what to do about it."""

from __future__ import annotations

import functools
import pickle
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import cloudpickle

_DEEPEST, _WIDEST = 20, 200
"""Steps of a way at most, and members of one container that are tried."""

Named = tuple[str, Any]

_ADVICE = (
    (
        ("socket", "ssl", "_io", "sqlite3", "psycopg", "redis", "subprocess", "select"),
        "open it inside the function: a connection or an open file cannot move to another process",
    ),
    (
        ("_thread", "threading", "multiprocessing", "_queue", "queue", "_asyncio", "asyncio", "concurrent"),
        "make it inside the function: locks, threads and queues belong to one process",
    ),
    (("generator", "coroutine", "async_generator"), "pass a list of its items, or the function that makes it"),
)


def explained(error: BaseException, roots: Iterable[Named], *, trace: bool = True) -> pickle.PicklingError:
    """A PicklingError that names the way from one of ``roots`` to the offender."""
    way, culprit = _way(roots) if trace else ([], None)
    if not way:
        return pickle.PicklingError(f"cannot be pickled: {type(error).__name__}: {error}")
    text = f"{' -> '.join(way)} cannot be pickled: {type(error).__name__}: {error}"
    return pickle.PicklingError(f"{text}\nTIP: {_advice(culprit)}")


def _advice(culprit: Any) -> str:
    kind = type(culprit)
    for modules, advice in _ADVICE:
        if kind.__module__.partition(".")[0] in modules or kind.__name__ in modules:
            return advice
    return f"leave it out, make it inside the function, or give {kind.__name__} a __reduce__ or __getstate__ method"


def _way(roots: Iterable[Named]) -> tuple[list[str], Any]:
    way: list[str] = []
    culprit: Any = None
    seen: set[int] = set()
    found = _offender(roots, seen)
    while found and len(way) < _DEEPEST:
        name, culprit = found
        way.append(name)
        found = _offender(members(culprit), seen)
    kind = type(culprit).__name__
    if way and not way[-1].startswith(kind):
        way.append(kind)
    return way, culprit


def _offender(named: Iterable[Named], seen: set[int]) -> Named | None:
    for at, (name, value) in enumerate(named):
        if at >= _WIDEST or id(value) in seen:
            continue
        if not _pickles(value):
            seen.add(id(value))
            return name, value
    return None


def _pickles(value: Any) -> bool:
    try:
        cloudpickle.Pickler(_Sink(), protocol=5, buffer_callback=_ignored).dump(value)
    except Exception:  # noqa: BLE001 pickling runs user code, and whatever it raises is the answer
        return False
    return True


def _ignored(buffer: pickle.PickleBuffer) -> None:
    """Out-of-band buffers need no bytes to be tried."""


class _Sink:
    """A file that only counts."""

    size = 0

    def write(self, part: Any) -> int:
        self.size += len(part)
        return len(part)


def members(value: Any) -> Iterator[Named]:
    """What a value holds, each with the words that lead to it."""
    if isinstance(value, types.FunctionType):
        yield from captured(value)
    elif isinstance(value, types.MethodType):
        yield f"{type(value.__self__).__name__} object", value.__self__
        yield value.__func__.__qualname__, value.__func__
    elif isinstance(value, functools.partial):
        yield _name(value.func), value.func
        yield from ((f"partial argument {at}", item) for at, item in enumerate(value.args))
        yield from ((f"partial argument {name!r}", item) for name, item in value.keywords.items())
    elif isinstance(value, dict):
        yield from ((f"[{key!r:.40}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{at}]", item) for at, item in enumerate(value))
    elif isinstance(value, type):
        yield from ((f"{value.__name__}.{name}", item) for name, item in vars(value).items() if not name.startswith("__"))
    else:
        yield from _attributes(value)


def _attributes(value: Any) -> Iterator[Named]:
    kind = type(value)
    state = getattr(value, "__dict__", None)
    if isinstance(state, dict):
        yield from ((f"{kind.__name__}.{name}", item) for name, item in state.items())
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if isinstance(name, str) and hasattr(value, name):
                yield f"{kind.__name__}.{name}", getattr(value, name)


def captured(function: types.FunctionType) -> Iterator[Named]:
    """What travels with a function: closure, globals it uses, defaults."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"closure {name!r}", cell.cell_contents
        except ValueError:
            continue  # an empty cell: the name is bound later
    for name in _global_names(function.__code__):
        if name in function.__globals__:
            yield f"global {name!r}", function.__globals__[name]
    for at, value in enumerate(function.__defaults__ or ()):
        yield f"default {at}", value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield f"default {name!r}", value


def _global_names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _global_names(constant)


def large(function: Callable[..., Any], limit: int) -> list[tuple[str, int]]:
    """What of a function's luggage is above ``limit`` bytes: the words that lead to it, and its size."""
    found = []
    for name, value in members(function):
        size = _size(value)
        if size > limit:
            found.append((name, size))
    return sorted(found, key=lambda one: -one[1])


def _size(value: Any) -> int:
    sink, buffers = _Sink(), []  # type: _Sink, list[pickle.PickleBuffer]
    try:
        cloudpickle.Pickler(sink, protocol=5, buffer_callback=buffers.append).dump(value)
    except Exception:  # noqa: BLE001 as above
        return 0
    return sink.size + sum(buffer.raw().nbytes for buffer in buffers)


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", None) or type(function).__name__)


def outside() -> int:
    """The ``stacklevel`` of a warning that shall point at the caller of ``cloud``."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "cloud":
        frame, level = frame.f_back, level + 1
    return level
