"""A function as code that can be stored by digest and run elsewhere, with what people want to know about it."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from cloud import _trace
from cloud._arguments import pickled
from picloud.wire import payload
from picloud.wire.message import Code

LARGE = 1_000_000
"""Bytes of one captured object above which it is named in a warning."""
SOURCE = 65_536
"""Characters of source kept for people."""
_KEPT = 64
_codes: OrderedDict[bytes, Code] = OrderedDict()
_lock = threading.Lock()


def code(
    function: Callable[..., Any], retry_on: tuple[type[BaseException], ...] | None, modules: set[str]
) -> tuple[Code, list[Any]]:
    """Pickle ``(function, retry_on)``. A function that was seen before keeps its digest; a changed closure changes it.

    Args:
        function: any callable.
        retry_on: exception classes of ``_retry_on``.
        modules: gathers the modules that the function uses by name.

    Returns:
        The code, and the functions that travel inside it (their bodies may import further modules).

    Raises:
        pickle.PicklingError: naming the way to what cannot be pickled.
    """
    try:
        parts, functions = pickled((function, retry_on), modules)
    except Exception as error:
        raise _trace.explained(error, [(name(function), function)]) from error
    data = parts[0] if len(parts) == 1 and isinstance(parts[0], bytes) else b"".join(parts)
    key = hashlib.sha256(data).digest()
    with _lock:
        known = _codes.get(key)
    if known is None:
        if len(data) > LARGE:
            _warn(function, len(data))
        known = Code(key.hex(), "function", data, describe(function))
        with _lock:
            _codes[key] = known
            while len(_codes) > _KEPT or (len(_codes) > 1 and sum(len(one.data) for one in _codes.values()) > 64 * LARGE):
                _codes.popitem(last=False)
    return known, functions


def _warn(function: Callable[..., Any], size: int) -> None:
    import warnings

    held = ", ".join(f"{words} ({size / 1e6:.1f} MB)" for words, size in _trace.large(function, LARGE)[:5])
    text = (
        f"{name(function)} travels with {size / 1e6:.1f} MB of captured data: {held or 'many small objects'}. "
        "Pass large values as arguments"
    )
    warnings.warn(text, stacklevel=_trace.outside())


def name(function: Callable[..., Any]) -> str:
    """What people call it."""
    if isinstance(function, functools.partial):
        return name(function.func)
    found = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(found).rpartition("<locals>.")[2][:200]


def describe(function: Callable[..., Any]) -> dict[str, Any]:
    """Name, module, file, line and source, as far as they can be known."""
    import inspect

    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    if not (inspect.isroutine(inner) or inspect.isclass(inner)):
        inner = type(inner)
    found: dict[str, Any] = {"name": name(function), "module": getattr(inner, "__module__", None) or ""}
    try:
        unwrapped = inspect.unwrap(inner)
        found["file"] = inspect.getsourcefile(unwrapped) or ""
        lines, found["line"] = inspect.getsourcelines(unwrapped)
        found["source"] = "".join(lines)[:SOURCE]
    except (OSError, TypeError, ValueError, IndexError, SyntaxError):
        return found  # typed at a prompt, built in, or the file has changed
    return found


def loads(data: bytes) -> Any:
    """Load a stored function: ``(callable, retry_on)``."""
    return payload.loads(data)
