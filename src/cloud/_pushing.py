"""Messages on their way into a queue, in requests of so many; the next one is made while the last one is under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from typing import Any

from cloud import _messages, _queues
from cloud._messages import Bodies
from picloud.wire.error import CloudException
from picloud.wire.link import Link, Pending
from picloud.wire.queue import LONGEST_KEY, PUSHED, Body, Push

PACE = 1.0
"""Seconds after which what has come of a slow iterable is sent, though the request is not full."""
Keys = Iterable[str] | Callable[[Any], str] | None
_MISSING: Any = object()


def push(name: str, messages: Iterable[Any], delay_ms: int, keys: Keys) -> None:
    """Push messages into a queue; all are on the server's disk when this returns.

    Raises:
        ValueError: a key that cannot be; not as many keys as messages.
        pickle.PicklingError: a message cannot be pickled.
    """
    pending: Pending | None = None
    try:
        for bodies, names in _requests(_queues.link(), _keyed(messages, keys)):
            asked = Push(_queues.token(), name, bodies, delay_ms, names)
            former, pending = pending, None
            if former is not None:
                _queues.pushed(former)
            pending = _queues.send_push(asked)
    except Exception as error:
        if pending is not None:
            _settle(pending, error)
        raise
    if pending is not None:
        _queues.pushed(pending)


def _settle(pending: Pending, error: Exception) -> None:
    """What was sent before the error is still brought to its end."""
    try:
        _queues.pushed(pending)
    except CloudException as other:
        error.add_note(f"and the request before it failed too: {other}")


def _requests(link: Link, keyed: Iterable[tuple[Any, str | None]]) -> Iterator[tuple[list[Body], list[str]]]:
    bodies, names, began = Bodies(link), list[str](), 0.0
    for at, (value, key) in enumerate(keyed):
        one = _messages.packed(value, f"message {at}")
        now = time.monotonic()
        if len(bodies) == PUSHED or not bodies.has_room(one) or (len(bodies) and now - began > PACE):
            yield bodies.finish(), names
            bodies, names = Bodies(link), []
        if not len(bodies):
            began = now
        bodies.add(one)
        if key is not None:
            names.append(key)
    if len(bodies):
        yield bodies.finish(), names


def _keyed(messages: Iterable[Any], keys: Keys) -> Iterator[tuple[Any, str | None]]:
    if keys is None:
        for value in messages:
            yield value, None
    elif callable(keys):
        for value in messages:
            yield value, _checked(keys(value))
    else:
        for value, key in zip_longest(messages, keys, fillvalue=_MISSING):
            if value is _MISSING or key is _MISSING:
                raise ValueError(f"there are {'more' if value is _MISSING else 'fewer'} keys than messages")
            yield value, _checked(key)


def _checked(key: object) -> str:
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY or not _is_text(key):
        raise ValueError(f"a key is a text of 1 to {LONGEST_KEY} characters, not {key!r:.80}")
    return key


def _is_text(key: str) -> bool:
    return key.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in key)
