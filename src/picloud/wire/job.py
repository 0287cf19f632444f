"""What a job is: its states, the legal moves between them, and why one may fail.

Everything that changes a job's state consults :data:`MOVES`; the picture in the docs is drawn from it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from msgspec import Struct, field


class Status(IntEnum):
    """State of a job; stored as the number, shown as the lower-case name."""

    waiting = 0  # for the jobs it depends on, for its retry time, or still to be sent by the client
    queued = 1  # ready, or leased to a worker that has not started it
    processing = 2  # user code runs
    done = 3  # returned a value
    error = 4  # ended without one; the failure has the cause
    stalled = 5  # a job it depends on failed
    killed = 6  # by its owner, its time limit, or a client that vanished


FINISHED = (Status.done, Status.stalled, Status.error, Status.killed)
FIRST_FINAL = Status.done
"""States from here up are final: ``status >= FIRST_FINAL``."""

MOVES: dict[Status, tuple[Status, ...]] = {
    Status.waiting: (Status.queued, Status.stalled, Status.killed),
    Status.queued: (Status.processing, Status.waiting, Status.killed, Status.done, Status.error),
    Status.processing: (Status.done, Status.error, Status.killed, Status.queued, Status.waiting),
    Status.done: (),
    Status.error: (),
    Status.stalled: (),
    Status.killed: (),
}
"""Legal moves. ``queued -> done`` exists because start marks travel behind results; ``processing -> queued`` is
another attempt after a lost worker, ``-> waiting`` the same after a retry delay."""


class Cause(IntEnum):
    """Why a job or an attempt failed: a closed list."""

    none = 0
    exception = 1  # the function raised
    out_of_memory = 2  # passed its memory limit
    timeout = 3  # ran longer than _max_runtime
    killed = 4  # its owner ended it
    signal = 5  # its process died by a signal: a crash, or again and again a kill
    exit = 6  # it ended its own process: sys.exit, os._exit
    worker_lost = 7  # the worker or runner was killed from outside
    environment = 8  # its file system could not be made
    cannot_load = 9  # the function or its arguments could not be loaded
    cannot_save = 10  # the result could not be pickled
    dependency = 11  # a job it depends on failed
    spending_limit = 12  # the account's limit was reached
    storage = 13  # bytes it needs could not be read or written
    not_sent = 14  # its client vanished before it was sent
    poison = 15  # a message killed its handler again and again
    expired = 16  # a message that nobody read within its queue's retention


_STATUS_OF_CAUSE = {
    Cause.none: Status.done,
    Cause.dependency: Status.stalled,
    Cause.killed: Status.killed,
    Cause.timeout: Status.killed,
    Cause.spending_limit: Status.killed,
    Cause.not_sent: Status.killed,
}


def status_of(cause: Cause) -> Status:
    """The final state that a cause leads to."""
    return _STATUS_OF_CAUSE.get(cause, Status.error)


MAX_ATTEMPTS = 3
"""Attempts that may end by ``worker_lost`` before the job itself is held responsible."""

INLINE_LIMIT = 65_536
"""Bytes of arguments or of a result that travel and rest inside rows; larger ones are blobs."""


class Failure(Struct, omit_defaults=True):
    """The death certificate of a job: cause, evidence, advice. Crosses HTTP as msgpack or JSON."""

    cause: str  # a name of Cause
    message: str  # one line: what happened
    advice: str = ""  # one suggested step
    traceback: str = ""  # remote Python traceback, as text
    type: str = ""  # qualified class of the exception
    exception: bytes = b""  # pickle of the original exception; only a client may load it
    exit_code: int | None = None
    signal: str = ""  # SIGSEGV, ...
    stacks: str = ""  # all threads at a crash, by faulthandler
    log_tail: str = ""  # the last lines the job printed
    peak_memory: int | None = None  # bytes
    memory_limit: int | None = None  # bytes
    refused: int | None = None  # requests for memory that were refused
    kernel_kills: int | None = None  # processes that the kernel killed for lack of memory
    last_minute: list[dict[str, int]] = field(default_factory=list)  # samples (fields of wire.message.Sample), oldest first
    facts: dict[str, Any] = field(default_factory=dict)


class Options(Struct, omit_defaults=True):
    """Everything a submission says about its jobs besides code and arguments."""

    label: str = ""
    priority: int = 5  # lower runs earlier
    core_type: str = ""  # "" = the server's default type
    cores: int = 1
    depends_on: list[tuple[int, int]] = field(default_factory=list)  # jid ranges (first, count)
    ignore_dependency_errors: bool = False
    max_runtime_ms: int = 0  # 0 = none
    kill_process: bool = False
    restartable: bool = True
    profile: bool = False
    fast_serialization: int = 0
    retries: int = 0  # further attempts after an exception
    retry_delay_ms: int = 0
    env_names: list[str] = field(default_factory=list)  # names alone: shown
    interactive: bool = False  # shell command: result is bytes
    env: str = ""  # environment: "name", "/owner/name" or "base/name"; "" = base/host
    vol: list[str] = field(default_factory=list)  # volumes, by name
    queue: str = ""  # that its jobs handle; said by the server alone
    webhook: str = ""  # URL to which the end of each job is told
    hooked: bool = False  # the label's webhook is told too; said by the server alone
    secrets: list[str] = field(default_factory=list)  # by name; of equal variables the later one's holds


def spread(ranges: list[tuple[int, int]]) -> int:
    """How many jids a list of ranges names."""
    return sum(count for _, count in ranges)
