"""What ``cloud.cron`` says to the server."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from cloud import _function, _stored
from picloud.wire import schedule as schedules
from picloud.wire.call import Clock, Kept, Missed, Overlap, Register, check_label


class Plan(NamedTuple):
    """What ``register`` was given besides function, label and schedule."""

    timezone: str = "UTC"
    day_or: bool = False
    missed: str = "skip"
    overlap: str = "allow"
    reserved: dict[str, Any] = {}


CLOCK = ("timezone", "day_or", "missed", "overlap")
"""Keywords that are about times."""


def register(func: Callable[[], Any], label: str, schedule: Any, plan: Plan, shown: Any = None) -> None:
    """Keep a cron. Errors as for ``cloud.cron.register``.

    Args:
        shown: what people take it for, where that is not ``func``.
    """
    check_label(label)
    check_callable(func)
    clock = Clock(
        schedules.parse(schedule, plan.timezone, day_or=plan.day_or).text, plan.timezone, bool(plan.day_or),
        _choice("missed", plan.missed, Missed), _choice("overlap", plan.overlap, Overlap),
    )  # fmt: skip
    chosen = _stored.options("cron.register", label, plan.reserved)
    chosen.options.interactive = getattr(shown, "is_program", False) is True
    link = _stored.link("crons")
    kept = _stored.stored(func, shown if shown is not None else func, chosen)
    _stored.send(link, "/v1/cron", Register(label, kept.submit, host=socket.gethostname(), clock=clock), kept, Kept)


def check_callable(func: Any) -> None:
    """Refuse what cannot be called without arguments.

    Raises:
        TypeError: it cannot be called at all.
        ValueError: it needs arguments.
    """
    import inspect

    if not callable(func):
        raise TypeError(f"a cron runs a function, not {func!r:.80} ({type(func).__name__})")
    try:
        signature = inspect.signature(func)
    except (ValueError, TypeError):
        return  # some built-in functions have none to check against
    try:
        signature.bind()
    except TypeError as error:
        name = _function.name(func)
        raise ValueError(f"{name}{signature} needs arguments ({error}): bind them with functools.partial") from None


def _choice(word: str, value: Any, kind: type[Missed] | type[Overlap]) -> int:
    names = [one.name for one in kind]
    if value not in names:
        raise ValueError(f"{word} is {' or '.join(map(repr, names))}, not {value!r:.60}")
    return int(kind[value])


def ask(method: str, path: str, body: Any = None) -> Any:
    """Ask the server about crons."""
    if body is not None:
        check_label(body["label"])
    return _stored.link("crons").json(method, f"/v1/cron{path}", body)


def by_hand(label: str) -> int:
    """Run one now; the jid."""
    return int(ask("POST", "/run", {"label": label, "token": os.urandom(16).hex()})["jid"])
