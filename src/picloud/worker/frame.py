"""The datagrams between a worker and its runners. Standard library only: both sides use it.

    job socket, shared by all runners of a worker (worker -> whichever runner takes it):
        JOB     flags, n, jid, key of the spec, then the packed arguments, or a file's path (FILE)
        QUIT    the runner that takes it leaves
    result socket, one a runner (runner -> worker):
        START   user code of (jid, n) begins now
        RESULT  the end of (jid, n); if ``next_jid`` is set it is also the start mark of that job
        READY   the runner can take jobs (same head as START)
    TEXT    a piece of a stream that is not a pipe (logging, profile, pilog, syslog) of the job in hand

What comes from a runner is hostile: the worker checks every length and number, and never unpickles.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

JOB, QUIT = 1, 2
START, RESULT, TEXT, READY = 3, 4, 5, 6

# flags of JOB and RESULT
FILE = 1  # the payload lies in a file
FAILED = 2  # JSON of the failure, then the pickled exception
RETRY = 4  # the exception's class is one that may be tried again
LEAVING = 8  # the runner ends after this job
MARKED_OUT = 16  # an end mark was written into stdout
MARKED_ERR = 32  # and into stderr

STREAMS = ("logging", "profile", "pilog", "syslog")
"""Streams that travel as TEXT, by number."""

LARGEST = 150_000
"""No datagram is larger: a result is at most INLINE_LIMIT, a failure is trimmed to fit."""

INLINE = 65_536
"""Same as wire.job.INLINE_LIMIT, which the runner cannot import."""

job_head = struct.Struct("<BBxxIQQ")  # kind, flags, n, jid, spec
start_head = struct.Struct("<BxxxIQ")  # kind, n, jid
result_head = struct.Struct("<BBHIQQQQQQI")  # see Result
text_head = struct.Struct("<BBxx")  # kind, stream
failure_head = struct.Struct("<I")  # length of the JSON


class Result(NamedTuple):
    """The head of a RESULT frame."""

    kind: int
    flags: int
    preview: int  # bytes of preview behind the head
    n: int
    jid: int
    runtime_us: int
    user_us: int
    system_us: int
    peak: int  # bytes, 0 = not known
    next_jid: int  # 0 = no further job was taken
    next_n: int


def job(jid: int, n: int, spec: int, payload: bytes, flags: int = 0) -> bytes:
    """A JOB datagram."""
    return job_head.pack(JOB, flags, n, jid, spec) + payload


quit_frame = job_head.pack(QUIT, 0, 0, 0, 0)
