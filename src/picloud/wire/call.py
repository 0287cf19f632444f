"""Stored calls: a function that the server itself submits, when a clock says so or somebody posts to its address.

    POST /v1/cron            Register -> Kept     (msgpack)
    POST /v1/rest            Register -> Kept

Everything else about them is JSON.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from picloud.wire.error import BadRequest
from picloud.wire.message import Submit

LABEL = re.compile(r"[A-Za-z0-9_+.-]{1,100}")
"""Labels stand in addresses."""
Label = Annotated[str, Meta(extra_json_schema={"pattern": f"^{LABEL.pattern}$"})]
ENCODINGS = ("json", "raw")
KINDS = ("", "integer", "number", "string", "boolean", "array", "object", "file")
MOST_PARAMETERS = 255
MOST_MAPPED = 500
"""Jobs of one request to an address."""
LONGEST_WAIT = 60.0
"""Seconds that one request may wait for a result."""
LONGEST_DESCRIPTION = 10_000
"""Characters."""
NOTHING = b"\x80\x05)}\x86."
"""The pickle of no arguments: ``((), {})``."""


class Sort(IntEnum):
    """What starts a stored call."""

    cron = 1
    rest = 2


class Missed(IntEnum):
    """What becomes of times at which no server ran."""

    skip = 0
    once = 1  # one run stands for all of them


class Overlap(IntEnum):
    """What becomes of a time when the run before is not over."""

    allow = 0
    skip = 1


class Why(IntEnum):
    """Why there is a run of a cron, or none."""

    time = 0
    hand = 1
    missed = 2  # it stands for times at which no server ran
    overlap = 3  # none: the run before was not over
    downtime = 4  # none: no server ran
    failed = 5  # none: it could not be submitted


class Clock(Struct, omit_defaults=True):
    """When a cron runs."""

    schedule: str
    timezone: str = "UTC"
    day_or: bool = False
    missed: int = 0  # Missed
    overlap: int = 0  # Overlap


class Parameter(Struct, omit_defaults=True):
    """A named argument of a published function."""

    name: str
    required: bool = True
    kind: str = ""  # as JSON Schema has it: integer, number, string, boolean, array, object; "file" = bytes; "" = any
    null: bool = False  # null will do as well
    default: str = ""  # JSON; "" = not to be said in JSON


class Endpoint(Struct, omit_defaults=True):
    """What is published about a function that has an address."""

    parameters: list[Parameter] = field(default_factory=list)
    others: bool = False  # arguments of other names are taken too
    encoding: str = "json"  # one of ENCODINGS


class Register(Struct, omit_defaults=True):
    """A function to keep under a label; one that is there is replaced."""

    label: Label
    submit: Submit  # one call, without arguments
    description: str = ""
    host: str = ""  # the machine that registers it
    clock: Clock | None = None  # of a cron
    endpoint: Endpoint | None = None  # of what has an address


class Kept(Struct, omit_defaults=True):
    """The answer."""

    missing: list[str] = field(default_factory=list)  # digests of code: nothing was kept, send again with it
    path: str = ""  # of the address


def check_label(label: object) -> str:
    """A label that a stored call can have.

    Raises:
        BadRequest: it cannot.
    """
    if not isinstance(label, str) or not LABEL.fullmatch(label) or not label.strip("."):
        raise BadRequest(f"{str(label)[:120]!r} is no label", hint="1 to 100 letters, digits, _ + - or .")
    return label
