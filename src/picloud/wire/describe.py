"""Short texts for people, made by whoever pickles, so that nobody else ever has to unpickle.

A preview of a value is ``=<JSON>`` where JSON says it exactly, else ``type text``.
Standard library only: the runner uses it.
"""

from __future__ import annotations

import json
import reprlib
from typing import Any

PREVIEW = 200
"""Characters of a preview at most."""


class _Short(reprlib.Repr):
    """reprlib's, also short about what its ``repr`` would spell out whole: a 300 MB bytes object is 1.2 GB of text."""

    def repr_bytes(self, value: bytes, level: int) -> str:
        return repr(value) if len(value) <= 40 else f"{value[:30]!r}.. ({len(value)} bytes)"

    repr_bytearray = repr_bytes

    def repr_ndarray(self, value: Any, level: int) -> str:
        return f"ndarray(shape={tuple(value.shape)}, dtype={value.dtype})"


_short = _Short()
_short.maxstring = _short.maxother = 80
_short.maxlist = _short.maxtuple = _short.maxdict = _short.maxset = 6


def text(value: Any) -> str:
    """A short repr that never raises and never passes PREVIEW characters."""
    kind = type(value)
    if kind is int and -(10**18) < value < 10**18:
        return repr(value)
    try:
        if hasattr(value, "shape") and hasattr(value, "dtype"):
            return f"{kind.__name__}(shape={tuple(value.shape)}, dtype={value.dtype})"[:PREVIEW]
        return _short.repr(value)[:PREVIEW]
    except BaseException as error:  # noqa: BLE001  the repr is the user's code
        return f"<{kind.__name__} whose repr raises {type(error).__name__}>"


def exact(value: Any) -> str | None:
    """JSON that says exactly the same value, at most PREVIEW characters, or None."""
    kind = type(value)
    if kind is int:
        made = str(value) if -(2**63) <= value < 2**63 else ""
    elif value is None or kind is bool:
        made = json.dumps(value)
    elif kind in (str, float) or (kind in (list, dict) and len(value) <= 20 and _plain(value, 3)):
        try:
            made = json.dumps(value, allow_nan=False)
        except ValueError:
            return None
    else:
        return None
    return made if 0 < len(made) < PREVIEW else None


def _plain(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in (int, str, float, bool, type(None)):
        return True
    if depth == 0 or kind not in (list, dict) or len(value) > 50:
        return False
    items = value if kind is list else [*value.values()]
    return all(_plain(item, depth - 1) for item in items) and (kind is list or all(type(k) is str for k in value))


def value(result: Any) -> str:
    """Preview of one value."""
    if type(result) is int and -(2**63) < result < 2**63:
        return f"={result}"
    if result is None:
        return "=null"
    made = exact(result)
    return f"={made}" if made is not None else f"{type(result).__qualname__} {text(result)}"[:PREVIEW]


def arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Preview of a call's arguments: ``3, 'abc', k=1.5``."""
    if len(args) == 1 and not kwargs:
        return text(args[0])
    shown = [text(a) for a in args[:8]] + [f"{k}={text(v)}" for k, v in list(kwargs.items())[:8]]
    return ", ".join(shown)[:PREVIEW]
