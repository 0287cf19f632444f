"""Everything about a submission that can be refused before a byte of it is stored."""

from __future__ import annotations

import re
import sys
from typing import Protocol

from picloud.settings import Settings, networks
from picloud.wire.error import BadRequest, Skew, TooLarge
from picloud.wire.image import HOST
from picloud.wire.job import INLINE_LIMIT, Options
from picloud.wire.message import Arguments, Chunk, Ranges, Submit
from picloud.wire.secret import check_names
from picloud.wire.webhook import check_target

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
LABEL = 255
ENVIRONMENT = 80
"""Characters of an environment's name with its owner's."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Platform(Protocol):
    """What the checks need to know of the server."""

    settings: Settings
    default_type: str

    def host_units(self) -> int: ...


def check_submit(message: Submit, platform: Platform) -> None:
    """Check a submission and fill in the default core type.

    Raises:
        BadRequest, TooLarge, Skew: with what was found and what is allowed.
    """
    if len(message.token) != 16:
        raise BadRequest("a submission's token has 16 bytes", hint="use the cloud package", found=len(message.token))
    if message.python != PYTHON and message.options.env in ("", HOST):
        raise Skew(
            f"the function was pickled by Python {message.python}, jobs here run Python {PYTHON}",
            hint=f"use Python {PYTHON} on your side",
            client=message.python,
            server=PYTHON,
        )
    if message.count is not None and not 0 < message.count <= 2**40:
        raise BadRequest("a submission has at least one job", count=message.count)
    _check_digests(message)
    _check_options(message.options, platform)
    _check_environment(message)
    check_arguments(message.arguments)
    if message.count is not None and len(message.arguments.ends) > message.count:
        raise BadRequest("more arguments than jobs", count=message.count, found=len(message.arguments.ends))


def check_chunk(message: Chunk) -> None:
    """Check a further chunk of a map."""
    if message.offset < 0 or message.submission <= 0:
        raise BadRequest("a chunk names its submission and offset", offset=message.offset)
    check_arguments(message.arguments)


def check_arguments(arguments: Arguments) -> None:
    """The packed arguments are what they say."""
    last = 0
    for end in arguments.ends:
        if end - last > INLINE_LIMIT:
            raise TooLarge(f"arguments of {end - last} bytes inside a chunk", hint="send them as a blob", limit=INLINE_LIMIT)
        if end < last:
            raise BadRequest("the ends of a chunk's arguments rise", found=end)
        last = end
    if last != len(arguments.data) or len(arguments.previews) != len(arguments.ends):
        raise BadRequest(
            "the chunk does not hold what its ends say", ends=last, data=len(arguments.data), previews=len(arguments.previews)
        )
    if any(not 0 <= index < len(arguments.ends) for index in arguments.blobs):
        raise BadRequest("a blob is named for a job that the chunk does not have")


def check_ranges(ranges: Ranges) -> Ranges:
    """Jid ranges as they come from outside."""
    for first, count in ranges:
        if first < 0 or count < 0 or first + count > 2**62:
            raise BadRequest(f"no jid range: {first}, {count}", hint="jids are positive integers")
    return ranges


def _check_digests(message: Submit) -> None:
    for digest in [message.function, *message.modules, *(code.digest for code in message.code)]:
        if not _DIGEST.fullmatch(digest):
            raise BadRequest("a code digest is a sha256 in hex", found=digest[:80])
    if "\0" in message.name or len(message.name) > 1000:
        raise BadRequest("the function's name is too long or holds a NUL", found=message.name[:80])


def _check_options(options: Options, platform: Platform) -> None:
    if len(options.label) > LABEL or "\0" in options.label:
        raise BadRequest(
            f"a label has at most {LABEL} characters and no NUL", hint="shorten _label", found=len(options.label), limit=LABEL
        )
    options.core_type = options.core_type or platform.default_type
    kind = platform.settings.core_types.get(options.core_type)
    if kind is None or options.cores not in kind.multiples:
        allowed = (
            f"_type={options.core_type!r} takes _cores={spelled(kind.multiples)}, not _cores={options.cores}" if kind else ""
        )
        raise BadRequest(
            allowed or f"there is no core type {options.core_type[:40]!r}",
            hint=core_table(platform.settings),
            core_type=options.core_type,
            cores=options.cores,
        )
    if not -(2**31) < options.priority < 2**31:
        raise BadRequest("a priority is a small integer", found=options.priority)
    if len(options.env) > ENVIRONMENT or "\0" in options.env:
        raise BadRequest(f"no environment: {options.env[:80]!r}", hint="a name, /owner/name or base/name")
    if min(options.max_runtime_ms, options.retries, options.retry_delay_ms) < 0:
        raise BadRequest("run time, retries and delay are not negative")
    if options.queue:
        raise BadRequest("which queue a job handles is the server's to say", hint="cloud.queue: attach a handler")
    check_names(options.secrets)
    if options.webhook:
        check_target(options.webhook, networks(platform.settings))
    if options.hooked:
        raise BadRequest("whether a label's webhook is told is the server's to say", hint="cloud.webhook.set(label, url)")
    check_ranges(options.depends_on)


def _check_environment(message: Submit) -> None:
    for name, value in message.env_values.items():
        if not _NAME.fullmatch(name) or "\0" in value:
            raise BadRequest(f"no environment variable: {name[:80]!r}", hint="names are letters, digits and _")
    if sorted(message.env_values) != sorted(message.options.env_names):
        raise BadRequest("env_names and env_values differ")


def spelled(multiples: tuple[int, ...]) -> str:
    """The numbers of cores that a type allows, in words."""
    *some, last = map(str, multiples)
    return f"{', '.join(some)} or {last}" if some else last


def core_table(settings: Settings) -> str:
    """The core-type table as text, for error messages."""
    rows = [
        f"{name}: _cores {', '.join(map(str, kind.multiples))} ({kind.units / 1000:g} units, {kind.memory >> 20} MB a core)"
        for name, kind in settings.core_types.items()
    ]
    return "; ".join(rows)
