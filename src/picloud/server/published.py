"""Published functions: posted arguments against the signature, and the payloads that its jobs get."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from picloud.server.posted import Value
from picloud.wire.call import MOST_MAPPED, Endpoint, Parameter
from picloud.wire.error import BadRequest, TooLarge
from picloud.wire.plain import call

MAPPED_BYTES = 64 << 20
"""Bytes of arguments that one request may become."""
PREVIEW = 200
"""Characters."""
_FITS: dict[str, Callable[[object], bool]] = {
    "": lambda value: True,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "file": lambda value: False,
}


def check(endpoint: Endpoint, given: Mapping[str, Value]) -> None:
    """Compare arguments with what a function takes.

    Raises:
        BadRequest: arguments lack or are not known (all are named), or one is of another type.
    """
    known = {one.name: one for one in endpoint.parameters}
    lacking = [one.name for one in endpoint.parameters if one.required and one.name not in given]
    unknown = [] if endpoint.others else [name for name in given if name not in known]
    if lacking or unknown:
        told = [f"without {', '.join(map(repr, lacking))}"] * bool(lacking)
        told += [f"with {', '.join(repr(name[:80]) for name in unknown[:20])}, which it does not take"] * bool(unknown)
        raise BadRequest(f"the function was called {' and '.join(told)}", hint=f"it takes {spelled(endpoint)}",
                         missing=lacking, unknown=[name[:80] for name in unknown[:20]])  # fmt: skip
    for name, value in given.items():
        if name in known:
            _check_kind(known[name], value)


def _check_kind(parameter: Parameter, given: Value) -> None:
    if given.file is not None:
        if parameter.kind not in ("", "file"):
            raise BadRequest(f"{parameter.name!r} is a file, and not of type {parameter.kind}", argument=parameter.name)
        return
    if not _FITS[parameter.kind](given.value) and not (parameter.null and given.value is None):
        wanted = "sent as a file" if parameter.kind == "file" else f"of type {parameter.kind}"
        raise BadRequest(f"{parameter.name!r} is {wanted}, not {given.text[:80]}", argument=parameter.name)


def spelled(endpoint: Endpoint) -> str:
    """The arguments that a function takes, for people."""
    words = [one.name if one.required else f"{one.name}={one.default or '..'}" for one in endpoint.parameters]
    return ", ".join([*words, *["any others"] * endpoint.others]) or "no arguments"


def single(endpoint: Endpoint, given: Mapping[str, Value]) -> list[Mapping[str, Value]]:
    """The arguments of one job."""
    check(endpoint, given)
    return [given]


def mapped(endpoint: Endpoint, given: Mapping[str, Value]) -> list[Mapping[str, Value]]:
    """The arguments of each job of a map. Each value is a list; one of length 1, or a file, is shared by all jobs.

    Raises:
        BadRequest: no lists, or of different lengths; or as for :func:`check`.
    """
    columns: dict[str, list[Value]] = {}
    for name, value in given.items():
        if value.file is not None:
            columns[name] = [value]
        elif not isinstance(value.value, list) or not value.value:
            raise BadRequest(
                f"{name[:80]!r} is no list with something in it", hint="in a map each value is a list", argument=name[:80]
            )
        else:
            columns[name] = [Value(json.dumps(one), one) for one in value.value]
    sizes = {name: len(column) for name, column in columns.items() if len(column) > 1}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name[:80]}: {size}" for name, size in sizes.items())
        raise BadRequest(f"the lists have different lengths ({told})", hint="a list of length 1 is shared by all jobs")
    count = max(sizes.values(), default=1)
    if count > MOST_MAPPED:
        raise BadRequest(f"{count} jobs in one request", hint=f"at most {MOST_MAPPED}", limit=MOST_MAPPED)
    rows = [{name: column[at if len(column) > 1 else 0] for name, column in columns.items()} for at in range(count)]
    for row in rows:
        check(endpoint, row)
    return list(rows)


def payloads(rows: list[Mapping[str, Value]]) -> list[tuple[bytes, str]]:
    """The payload of each job and a short text that shows it.

    Raises:
        TooLarge: together they are more than one request may become.
    """
    made, size = [], 0
    for row in rows:
        text = ", ".join(f"{json.dumps(name)}: {one.text}" for name, one in row.items() if one.file is None)
        files = {name: one.file for name, one in row.items() if one.file is not None}
        shown = [f"{name}={one.text if one.file is None else f'<{len(one.file)} bytes>'}" for name, one in row.items()]
        made.append((call(f"{{{text}}}".encode(), files), ", ".join(shown)[:PREVIEW]))
        size += len(made[-1][0])
        if size > MAPPED_BYTES:
            raise TooLarge(f"the arguments of all jobs together pass {MAPPED_BYTES >> 20} MiB", limit=MAPPED_BYTES,
                           hint="put what they share into the bucket")  # fmt: skip
    return made
