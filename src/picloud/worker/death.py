"""Death certificates: from what a runner said, or how it died, to a cause with evidence and one suggested step."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from picloud.wire.error import CloudException
from picloud.wire.job import Cause, Failure
from picloud.worker import frame
from picloud.worker.order import Order

MIB = 1 << 20


class Told(Struct):
    """The JSON of a FAILED result; from a runner, so nothing in it is believed beyond its type."""

    cause: str
    message: str
    advice: str = ""
    traceback: str = ""
    type: str = ""
    exit_code: int | None = None
    facts: dict[str, str | int | float | None] = field(default_factory=dict)


MAY_TELL = ("exception", "exit", "out_of_memory", "cannot_load", "cannot_save", "storage", "killed")
"""Causes that a runner may name; the others are for the worker to find out."""

_decode = msgspec.json.Decoder(Told).decode

_OWN_FRAMES = (f'  File "{Path(__file__).parent}/', '  File "<string>", line 1 in <module>')
ADVICE = {
    "exception": "correct the function; the traceback names the line",
    "timeout": "raise _max_runtime, or split the job",
}


def told(data: bytes) -> tuple[Cause, Failure]:
    """Cause and certificate from a FAILED result.

    Raises:
        ValueError: it is not one.
    """
    (size,) = frame.failure_head.unpack_from(data) if len(data) >= 4 else (len(data),)
    if size > len(data) - 4:
        raise ValueError("a failure longer than its frame")
    try:
        said = _decode(data[4 : 4 + size])
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    if said.cause not in MAY_TELL:
        raise ValueError(f"a runner cannot know the cause {said.cause!r}")
    return Cause[said.cause], Failure(
        cause=said.cause,
        message=said.message,
        advice=said.advice or ADVICE.get(said.cause, ""),
        traceback=said.traceback,
        type=said.type,
        exception=data[4 + size :],
        exit_code=said.exit_code,
        facts=dict(said.facts),
    )


def stacks(text: str) -> str:
    """What faulthandler wrote, without the runner's own frames below the job's."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(_OWN_FRAMES))


def ended(cause: Cause, limit_ms: int) -> Failure:
    """The certificate of a job that the worker itself ended by time or by order."""
    if cause is Cause.timeout:
        return Failure(
            "timeout",
            f"The job ran longer than its _max_runtime of {limit_ms / 60000:g} minutes",
            ADVICE["timeout"],
            facts={"max_runtime_ms": limit_ms},
        )
    return Failure("killed", "The job was killed by its owner", "run it again with: picloud rerun JID")


def out_of_memory(peak: int, how: str, order: Order) -> Failure:
    """The certificate of a job that used more memory than it may.

    Args:
        peak: bytes of memory seen.
        how: in words, how that ended it.
        order: with the limit, and the core types that may have more.
    """
    limit = order.memory_limit
    return Failure(
        "out_of_memory",
        f"The job used {size(peak)} of memory, {size(limit)} are allowed ({how})",
        bigger(limit, order),
        peak_memory=peak,
        memory_limit=limit,
    )


def broken() -> Failure:
    """The certificate of a job that wrote into its runner's socket."""
    advice = "do not write to file descriptors that the job did not open"
    return Failure("signal", "The job wrote into the socket between runner and worker", advice)


def child_out_of_memory(failure: Failure, name: str, order: Order) -> Cause:
    """A job failed after the kernel had killed a program that it ran: that is why. ``name``: what the job is called."""
    failure.cause = "out_of_memory"
    allowed = size(order.memory_limit)
    failure.message = f"The kernel killed a program of {name} for lack of memory, {allowed} are allowed: {failure.message}"
    failure.advice = bigger(order.memory_limit, order)
    return Cause.out_of_memory


def bigger(limit: int, order: Order) -> str:
    """The smallest core type and number of cores with more memory than ``limit`` bytes that this host can give, as advice."""
    most, cores_here = order.host_memory or 1 << 62, order.host_cores or 1 << 16
    sizes = sorted(
        (kind.memory * cores, kind.price * cores, name, cores)
        for name, kind in order.core_types.items()
        for cores in kind.multiples
        if 1.2 * limit < kind.memory * cores <= most and cores <= cores_here
    )
    if not sizes:
        return "split the job, or hold less in memory at once: no core type that fits on its host has more memory"
    memory, _, name, cores = sizes[0]
    return f"use _type={name!r}" + (f", _cores={cores}" if cores > 1 else "") + f" ({size(memory)}), or hold less in memory"


def of_status(status: int, memory_event: bool, peak: int, order: Order) -> tuple[Cause, Failure]:
    """Cause and certificate of a job whose runner's process ended under it.

    Args:
        status: exit status as subprocess gives it, negative for a signal.
        memory_event: whether the kernel killed for lack of memory meanwhile.
        peak: bytes of memory seen.
        order: with the limit.
    """
    if status >= 0:
        return Cause.exit, Failure(
            "exit",
            f"The job ended its process with exit code {status}",
            "return a value instead of ending the process",
            exit_code=status,
        )
    name = _signal(-status)
    if -status == signal.SIGKILL and memory_event:
        return Cause.out_of_memory, out_of_memory(peak, "killed by the kernel for lack of memory", order)
    if -status in (signal.SIGKILL, signal.SIGTERM):
        return Cause.worker_lost, Failure(
            "worker_lost",
            f"The job's process was ended by {name} from outside",
            "the job is tried again by itself; see the worker's host if this repeats",
            signal=name,
        )
    return Cause.signal, Failure(
        "signal",
        f"The job's process crashed with {name}",
        "the stacks show where; look for the native code (extension, ctypes) named there",
        signal=name,
    )


def no_place(error: BaseException | None) -> Failure:
    """The certificate of a job for which no sandbox could be made."""
    said = error.parameter if isinstance(error, CloudException) else str(error)
    hint = error.hint if isinstance(error, CloudException) else None
    return Failure(
        "environment", f"No place for the job could be made: {said}", hint or "see picloud doctor on the worker's host"
    )


def disk_full(used: int, limit: int) -> Failure:
    """The certificate of a job that filled its own disk."""
    return Failure(
        "storage",
        f"The job holds {size(used)} in its home and /tmp, {size(limit)} are allowed",
        "put large data into the bucket or a volume, or remove what is not needed any more",
        facts={"disk_used": used, "disk_limit": limit},
    )


def no_secret(why: str) -> Failure:
    """The certificate of a job that could not get a secret."""
    return Failure("environment", f"The job did not begin: {why}", "picloud secret set puts it back; then run the job again")


def refused(error: Any) -> tuple[Cause, Failure]:
    """Cause and certificate of a job whose code or arguments could not be fetched."""
    return Cause.environment, Failure(
        "environment",
        f"The worker could not get the job's code or arguments: {error.parameter}",
        error.hint or "submit the job again",
    )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def size(count: int) -> str:
    """Bytes in words."""
    return f"{count / MIB:.0f} MB"
