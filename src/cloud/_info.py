"""What ``info`` tells of a job: which fields there are, and facts of the server as Python values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from cloud import _function
from cloud._backend import Backend
from picloud.wire import payload
from picloud.wire.error import NotFound
from picloud.wire.message import Ranges
from picloud.wire.ranges import pieces

DEFAULT = ("stdout", "stderr", "status", "runtime")
BATCH = 10_000
"""Jobs in one request."""
HINT = "_hint"
"""What to do about a failure: the client takes it from there."""
STORED = (
    "status",
    "exception",
    "stdout",
    "stderr",
    "logging",
    "syslog",
    "pilog",
    "runtime",
    "created",
    "started",
    "finished",
    "env",
    "vol",
    "function",
    "label",
    "attributes",
    "profile",
    "cputime",
    "memory",
    "swap",
    "disk",
    "network",
    "cpu_percentage",
    "ports",
    "result",
    "cause",
    "failure",
    "attempts",
    "parent_jid",
    "depends_on",
    "code_version",
    "cost",
    "waits_for",
    HINT,
)
"""Fields that the server tells as they are."""
LOADED = ("args", "kwargs", "func_object")
"""Fields that the client unpickles."""
_TIMES = ("created", "leased", "started", "ended", "finished")


def fields(requested: Any) -> tuple[str, ...]:
    """The fields that a caller asks for.

    Raises:
        TypeError: not a str or an iterable of str.
        ValueError: no such field; close ones are named.
    """
    if requested is None:
        return DEFAULT
    names = (requested,) if isinstance(requested, str) else tuple(requested) if isinstance(requested, Iterable) else (requested,)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"info_requested must be a field name or a list of them, not {requested!r}")
        if name != "all" and name.partition(".")[0] not in (*STORED, *LOADED):
            raise ValueError(_unknown(name))
    return (*STORED, *LOADED) if "all" in names else names


def _unknown(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, (*STORED, *LOADED))
    return (
        f"info has no field {name!r}; {'did you mean ' + close[0] + '?' if close else 'fields: ' + ', '.join((*STORED, *LOADED))}"
    )


def facts(backend: Backend, jids: Ranges, names: tuple[str, ...]) -> dict[int, dict[str, Any]]:
    """jid -> field -> value."""
    stored = {name.partition(".")[0] for name in names} - set(LOADED)
    wanted = sorted(stored | {"failure"} if HINT in stored else stored)
    found = {jid: told for some in pieces(jids, BATCH) for jid, told in backend.info(some, wanted).items()}
    return {jid: {name: _value(backend, jid, facts, name) for name in names} for jid, facts in found.items()}


def _value(backend: Backend, jid: int, facts: dict[str, Any], name: str) -> Any:
    if name in LOADED:
        return _loaded(backend, jid, name)
    top, _, rest = name.partition(".")
    if top == HINT:
        return (facts.get("failure") or {}).get("advice") or None
    value = facts.get(top)
    if top in _TIMES:
        return _moment(value)
    if top == "ports" and isinstance(value, dict):  # JSON has no keys but text
        value = {protocol: {int(port): place for port, place in found.items()} for protocol, found in value.items()}
    if top == "attempts" and not rest:
        return [{key: _moment(said) if key in _TIMES else said for key, said in one.items()} for one in value or ()]
    for key in rest.split(".") if rest else ():
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _moment(value: Any) -> Any:
    return datetime.fromtimestamp(value / 1000, UTC) if isinstance(value, int | float) else value


def _loaded(backend: Backend, jid: int, name: str) -> Any:
    part = "function" if name == "func_object" else "args"
    try:
        made = payload.loads(backend.payload(jid, part)) if part == "args" else _function.loads(backend.payload(jid, part))
    except NotFound:
        return None  # kept for a month only; the job itself was found
    except (ImportError, AttributeError, TypeError, ValueError, EOFError) as error:
        return f"<cannot be loaded here: {type(error).__name__}: {error}>"
    return made[1] if name == "kwargs" else made[0]
