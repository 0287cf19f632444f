"""How a job failed, as the bytes of a FAILED result: JSON for everyone, a pickled exception for the client alone."""

from __future__ import annotations

import errno
import json
import sys
import traceback
from pathlib import Path
from typing import Any

import cloudpickle

from picloud.wire import payload
from picloud.wire.error import CloudException
from picloud.worker import frame
from picloud.worker.inside import save

TEXT = 24_000  # characters of a traceback kept
_HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
OURS = (str(Path(__file__).parent.parent), payload.__file__, str(Path(cloudpickle.__file__).parent))
"""Where frames lie that say nothing to the user: the runner and what it pickles with."""


class Interrupted(KeyboardInterrupt):
    """The worker asked this job to stop. Its traceback shows the name that user code catches it by."""


Interrupted.__module__, Interrupted.__qualname__ = "builtins", "KeyboardInterrupt"


class Skew(Exception):
    """The client pickled with another minor version of Python (its argument)."""


def pack(cause: str, message: str, error: BaseException | None = None, **more: Any) -> bytes:
    """The data of a FAILED result."""
    found: dict[str, Any] = {"cause": cause, "message": message[:2000], **more}
    pickled = b""
    if error is not None:
        found["type"] = _name(type(error))
        found.setdefault("traceback", text(error, bare=cause in ("cannot_load", "cannot_save")))
        pickled = payload.dump_exception(error, cloudpickle.dumps)
    told = json.dumps(found).encode()
    return frame.failure_head.pack(len(told)) + told + pickled


def of(error: BaseException) -> bytes:
    """The failure that an exception raised by user code means."""
    if isinstance(error, Interrupted):
        return pack("killed", "The job was stopped", traceback=text(error), type="KeyboardInterrupt")
    if isinstance(error, SystemExit):
        return _exit(error)
    if isinstance(error, MemoryError):
        return pack("out_of_memory", "The job ran out of memory (MemoryError)", error)
    if isinstance(error, CloudException) and isinstance(error.facts.get("exit_code"), int):
        return _command(error)
    if isinstance(error, ModuleNotFoundError):
        advice = f"install {error.name!r} for the worker's Python {_HERE} in {sys.prefix}, or let a module of your own travel"
        return pack("exception", _line(error), error, advice=advice, facts={"worker_python": _HERE, "worker_prefix": sys.prefix})
    return pack("exception", _line(error), error)


def cannot_load(error: BaseException, what: str, client: str) -> bytes:
    """The failure that loading the function or its arguments means; both sides are named."""
    facts = {"client_python": client, "worker_python": _HERE, "worker_prefix": sys.prefix}
    if isinstance(error, ModuleNotFoundError):
        message = f"{what} needs the module {error.name!r}, which the worker does not have"
        advice = (
            f"install it for the worker's Python {_HERE} in {sys.prefix} (the client runs Python {client}), "
            "or let it travel: modules of your own are shipped, installed packages are not"
        )
        facts["module"] = str(error.name)
    else:
        message = f"{what} cannot be loaded: {_line(error)}"
        advice = f"check that it loads under the worker's Python {_HERE} in {sys.prefix} (the client runs Python {client})"
    return pack("cannot_load", message, error, advice=advice, facts=facts)


def cannot_save(error: BaseException, value: Any) -> bytes:
    """The failure that a result means which cannot be pickled or written."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return pack(
            "storage",
            f"The worker's disk has no room for the result: {_line(error)}",
            error,
            advice="free space on the worker's disk, or write large results to a bucket in pieces",
        )
    if isinstance(error, MemoryError):
        return pack("out_of_memory", "The job ran out of memory while its result was pickled", error)
    path = save.offender(value)
    return pack(
        "cannot_save",
        f"The result cannot be pickled: {path}: {_line(error)}",
        error,
        facts={"path": path},
        advice="return plain data: open files, locks, connections and generators cannot leave the job",
    )


def not_stored(fault: str) -> bytes:
    """The failure of a job that ended well but for what it wrote into the bucket or a volume."""
    advice = "its Pi log names the files; close what you write, and errors come where you can handle them"
    return pack("storage", fault[:1].upper() + fault[1:], advice=advice)


def skew(error: Skew) -> bytes:
    """The failure that another minor version of Python at the client means."""
    client = str(error)
    return pack(
        "cannot_load",
        f"The job was pickled by Python {client}, the worker runs Python {_HERE} ({sys.prefix})",
        advice=f"use Python {_HERE} at the client",
        facts={"client_python": client, "worker_python": _HERE, "worker_prefix": sys.prefix},
    )


def text(error: BaseException, bare: bool = False) -> str:
    """The traceback as text, without the runner's own frames; ``bare``: nothing at all where no others are left."""
    told = traceback.TracebackException.from_exception(error, compact=True)
    lines = "".join(told.format()) if _trim(told) or not bare else ""
    return (
        lines if len(lines) <= TEXT else f"{lines[: TEXT // 2]}\n  ... {len(lines) - TEXT} characters ...\n{lines[-TEXT // 2 :]}"
    )


def _trim(told: traceback.TracebackException) -> bool:
    """Take our frames out; whether others are left."""
    told.stack = traceback.StackSummary.from_list([line for line in told.stack if not line.filename.startswith(OURS)])
    if told.__cause__ is not None:
        _trim(told.__cause__)
    if told.__context__ is not None and not _trim(told.__context__):
        told.__context__ = None
    return bool(told.stack)


def _command(error: CloudException) -> bytes:
    """A command of ``cloud.shell`` ended so: no line of Python did it."""
    advice = error.hint or "see the command's stderr with `picloud info JID`"
    return pack("exit", error.parameter, error, exit_code=error.facts["exit_code"], traceback="", advice=advice)


def _exit(error: SystemExit) -> bytes:
    code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    said = f" ({str(error.code)[:500]})" if isinstance(error.code, str) else ""
    return pack(
        "exit",
        f"The job ended its process with sys.exit, code {code}{said}",
        traceback=text(error),
        exit_code=code,
        type="SystemExit",
        advice="return a value instead; raise an exception to report a failure",
    )


def _line(error: BaseException) -> str:
    return traceback.format_exception_only(type(error), error)[-1].strip()[:2000]


def _name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
