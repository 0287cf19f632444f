"""How a job failed, as the bytes of a FAILED result: JSON for everyone, a pickled exception for the client alone."""

from __future__ import annotations

import errno
import json
import pickle
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import cloudpickle

from picloud.worker import frame
from picloud.worker.inside import save

TEXT = 24_000  # characters of a traceback kept
PICKLED = 40_000  # bytes of a pickled exception kept
OURS = str(Path(__file__).parent.parent)


class Interrupted(KeyboardInterrupt):
    """The worker asked this job to stop."""


class Skew(Exception):
    """The client pickled with another minor version of Python (its argument)."""


def pack(cause: str, message: str, error: BaseException | None = None, **more: Any) -> bytes:
    """The data of a FAILED result."""
    found: dict[str, Any] = {"cause": cause, "message": message[:2000], **more}
    pickled = b""
    if error is not None:
        found["type"] = _name(type(error))
        found["traceback"] = text(error)
        pickled = _pickle(error)
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
    return pack("exception", _line(error), error)


def cannot_load(error: BaseException, what: str, client: str) -> bytes:
    """The failure that loading the function or its arguments means; both sides are named."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    facts = {"client_python": client, "worker_python": here, "worker_prefix": sys.prefix}
    if isinstance(error, ModuleNotFoundError):
        message = f"{what} needs the module {error.name!r}, which the worker does not have"
        advice = (
            f"install it for the worker's Python {here} in {sys.prefix} (the client runs Python {client}), "
            "or let it travel: modules of your own are shipped, installed packages are not"
        )
        facts["module"] = str(error.name)
    else:
        message = f"{what} cannot be loaded: {_line(error)}"
        advice = f"check that it loads under the worker's Python {here} in {sys.prefix} (the client runs Python {client})"
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


def skew(error: Skew) -> bytes:
    """The failure that another minor version of Python at the client means."""
    client = str(error)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    return pack(
        "cannot_load",
        f"The job was pickled by Python {client}, the worker runs Python {here} ({sys.prefix})",
        advice=f"use Python {here} at the client",
        facts={"client_python": client, "worker_python": here, "worker_prefix": sys.prefix},
    )


def text(error: BaseException) -> str:
    """The traceback as text, without the runner's own frames."""
    lines = "".join(traceback.format_exception(type(error), error, _trim(error.__traceback__)))
    return (
        lines if len(lines) <= TEXT else f"{lines[: TEXT // 2]}\n  ... {len(lines) - TEXT} characters ...\n{lines[-TEXT // 2 :]}"
    )


def _trim(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(OURS):
        trace = trace.tb_next
    return trace


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


def _pickle(error: BaseException) -> bytes:
    """The exception, only if it can be loaded again (many classes can be pickled but not loaded)."""
    try:
        made = cloudpickle.dumps(error)
        if len(made) <= PICKLED:
            pickle.loads(made)
            return bytes(made)
    except BaseException:  # noqa: BLE001 - user code: a constructor may raise anything
        return b""
    return b""


def _line(error: BaseException) -> str:
    return traceback.format_exception_only(type(error), error)[-1].strip()[:2000]


def _name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
