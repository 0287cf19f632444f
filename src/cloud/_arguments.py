"""A call's arguments, checked against the function's signature and packed as one payload each.

The payload of a job is the pickle of ``(args, kwargs)``. Plain numbers and texts take the short way. Everything else goes
through cloudpickle's pickler, which also notes the modules whose classes and functions are stored by name: the user's own
among them must travel too.
"""

from __future__ import annotations

import pickle
import types
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView, Sequence, Set
from itertools import zip_longest
from typing import Any

import cloudpickle

from cloud import _trace
from cloud._backend import Packed
from picloud.wire import describe
from picloud.wire.payload import Buffer, join

_NUMBERS = frozenset({int, float, bool, complex, type(None)})
_MANY, _LARGE, _MOST = 64, 1 << 16, 512
"""Members of a container, bytes or characters, and parts in all, up to which a value is looked through for the short way."""
_dumps = pickle.dumps


class Gather:
    """A file for the pickler that keeps what it gets: a large bytes object passes through uncopied."""

    def __init__(self) -> None:
        self.parts: list[Buffer] = []

    def write(self, part: Any) -> int:
        # The pickler frees its frames after the call; bytes are kept as they are, anything else is copied.
        self.parts.append(part if type(part) is bytes else bytes(part))
        return len(part)


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle ships no types
    """cloudpickle's, noting in ``modules`` where what it stores by name lives, in ``functions`` what it stores whole."""

    def __init__(self, file: Any, buffer_callback: Any, modules: set[str]) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self.modules = modules
        self.functions: list[Any] = []

    def reducer_override(self, value: Any) -> Any:
        """Called for everything that is not a plain value or container."""
        reduced = super().reducer_override(value)
        kind = type(value)
        if kind is types.ModuleType:
            self.modules.add(value.__name__)
        elif reduced is not NotImplemented:
            if kind is types.FunctionType:
                self.functions.append(value)
        elif kind in _FUNCTIONS or issubclass(kind, type):
            self.modules.add(value.__module__ or "")
        return reduced


_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)


def pickled(value: Any, modules: set[str]) -> tuple[list[Buffer], list[Any]]:
    """The parts of a value's payload, and the functions whose bodies are in it.

    Raises:
        pickle.PicklingError: naming the way to what cannot be pickled.
    """
    file, buffers = Gather(), []  # type: Gather, list[pickle.PickleBuffer]
    pickler = Pickler(file, buffers.append, modules)
    pickler.dump(value)
    if not buffers:
        return file.parts, pickler.functions
    raw = [buffer.raw() for buffer in buffers]
    head = join(_Sized(sum(len(part) for part in file.parts)), raw)[0]  # type: ignore[arg-type]
    return [head, *file.parts, *raw], pickler.functions


class _Sized:
    """Stands for the pickle where only its size is asked: ``join`` would want it in one piece."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size


def pack(args: tuple[Any, ...], kwargs: dict[str, Any], modules: set[str], fast: int = 0) -> Packed:
    """One job's arguments. ``modules`` gathers where their classes and functions live; ``fast``: ``_fast_serialization``.

    Raises:
        pickle.PicklingError: an argument cannot be pickled; the text names the way to it.
    """
    if not kwargs and len(args) == 1 and type(args[0]) in _NUMBERS:
        return Packed([_dumps((args, kwargs), 5)], describe.text(args[0]))
    if all_plain(args, kwargs):
        return Packed([_dumps((args, kwargs), 5)], describe.arguments(args, kwargs))
    try:
        if fast == 2:
            parts: list[Buffer] = [_dumps((args, kwargs), 5)]
        else:
            parts, _ = pickled((args, kwargs), modules)
    except Exception as error:
        raise _trace.explained(error, _named(args, kwargs), trace=fast == 0) from error
    return Packed(parts, describe.arguments(args, kwargs))


def all_plain(*values: Any) -> bool:
    """True where the bare pickler is sure to do what cloudpickle's would."""
    parts = [*values]
    for part in parts:  # grows meanwhile; what holds itself, or is shared again and again, grows too far
        kind = type(part)
        if kind in _NUMBERS:
            continue
        if kind is str or kind is bytes:
            if len(part) >= _LARGE:
                return False
        elif kind not in (tuple, list, dict) or len(part) > _MANY:
            return False
        else:
            parts += part
            if kind is dict:
                parts += part.values()
            if len(parts) > _MOST:
                return False
    return True


def _named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(f"argument {at}", value) for at, value in enumerate(args)] + [(f"argument {k!r}", v) for k, v in kwargs.items()]


# -- the items of a map -----------------------------------------------------------------------------------------------

_MISSING: Any = object()


_COUNTED = (Sequence, Set, Mapping, MappingView, array)
"""What has as many items as its ``len`` says."""


def length(iterables: tuple[Any, ...]) -> int | None:
    """How many jobs a map over these makes; None where one of them cannot say. Warns of unequal lengths.

    Raises:
        TypeError: one of them is not iterable.
    """
    sizes = []
    for at, iterable in enumerate(iterables):
        if not isinstance(iterable, Iterable) and not hasattr(iterable, "__getitem__"):
            raise TypeError(f"map: argument {at + 1} is not iterable: {type(iterable).__name__}")
        if not isinstance(iterable, _COUNTED):
            return None  # the len of a table, say, may not be how many items its iteration gives
        sizes.append(len(iterable))
    if min(sizes) != max(sizes):
        _padded(", ".join(map(str, sizes)))
    return max(sizes)


def _padded(lengths: str) -> None:
    import warnings

    text = f"map: the iterables have different lengths ({lengths}); the shorter are padded with None"
    warnings.warn(text, stacklevel=_trace.outside())


def rows(iterables: tuple[Any, ...], told: bool) -> Iterator[tuple[Any, ...]]:
    """The arguments of each job of a map; ``told``: unequal lengths have been warned of."""
    if len(iterables) == 1:
        yield from zip(iterables[0], strict=False)
        return
    for row in zip_longest(*iterables, fillvalue=_MISSING):
        if any(value is _MISSING for value in row):
            row = tuple(None if value is _MISSING else value for value in row)
            if not told:
                told = True
                _padded("one ended before another")
        yield row


def check(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse arguments that do not fit the function, as Python would at the call.

    Raises:
        TypeError: not callable, or the arguments do not fit.
    """
    import inspect

    if type(function) is types.FunctionType and not kwargs and not function.__dict__:
        code, spare = function.__code__, len(function.__defaults__ or ())
        if not code.co_kwonlyargcount and code.co_argcount - spare <= len(args) <= code.co_argcount:
            return  # what inspect finds out in ten times the time
    if not callable(function):
        raise TypeError(f"the first argument must be callable, not {function!r} ({type(function).__name__})")
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return  # some built-in functions have none to check against
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        name = getattr(function, "__qualname__", type(function).__name__)
        raise TypeError(f"{name}{signature}: {error}") from None
