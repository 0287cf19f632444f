"""The messages of the HTTP API's hot routes and of the worker's WebSocket, as msgpack.

HTTP (client to control; every body msgpack unless the route says JSON; errors are always JSON
``{"error": CloudException.to_dict()}`` with the class's HTTP status):

    POST /v1/submission   Submit  -> Submitted        one call or map, with its first chunk
    POST /v1/chunk        Chunk   -> Accepted         a further chunk; a repeat is a no-op, another body a Conflict
    POST /v1/result       Watch   -> stream of frames: u32 big-endian length + msgpack list[Finished];
                                     a frame of length 0 is a heartbeat (every 5 s)

WebSocket /v1/line, for programs that call and wait, call and wait (one binary message = one Submit of a single job that
brings no code, or one Told): each Submit is answered in order, and the job's end is told unasked.

WebSocket /v1/worker (one binary message = one msgpack-encoded member of ToServer / ToWorker, tagged by ``type``).
Jids are numbered per installation; an *attempt* is (jid, n), n = 1, 2, ...; a *lease* is its random 16 bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field

from picloud.wire.job import Failure, Options

Ranges = list[tuple[int, int]]
"""Jids as (first, count) pairs."""


# -- submitting ---------------------------------------------------------------------------------------------------


class Code(Struct):
    """Immutable bytes that a job needs besides its arguments, kept by digest and sent once."""

    digest: str  # sha256 of data, hex
    kind: str  # "function": pickle of (callable, retry_on); "modules": zip of source files
    data: bytes
    info: dict[str, Any] = field(default_factory=dict)  # function: name, module, file, line, source (<= 64 KB)


class Arguments(Struct, array_like=True):
    """The packed arguments of consecutive jobs, made so that they enter the database without a loop.

    Job i has ``data[ends[i-1]:ends[i]]`` (picloud.wire.payload), or the blob ``blobs[i]`` where that is set.
    """

    ends: list[int]
    data: bytes
    previews: list[str]  # one short text a job, see picloud.wire.describe
    blobs: dict[int, str] = field(default_factory=dict)


class Submit(Struct):
    token: bytes  # 16 bytes, made by the client: a repeat gets the same answer
    function: str  # digest of a Code of kind "function"
    modules: list[str]  # digests of Codes of kind "modules"
    python: str  # "3.11": who pickled
    name: str  # the function's name, for people
    options: Options
    count: int | None  # how many jobs; None = not known before the items end
    arguments: Arguments  # first chunk; may be empty
    env_values: dict[str, str] = field(default_factory=dict)  # never shown
    code: list[Code] = field(default_factory=list)  # what the server may lack
    final: bool = False  # count None: nothing more will come
    interpreter: list[str] = field(default_factory=list)  # the client's own: sys.executable, sys.prefix, sys.base_prefix


class Submitted(Struct):
    submission: int  # 0 when ``missing`` is not empty: nothing was stored, send again with the code
    first: int  # first jid; the whole range first..first+count-1 is reserved when count is known
    accepted: int  # jobs stored so far
    missing: list[str] = field(default_factory=list)
    followed: bool = False  # the job's end will be told on the line where it was submitted


class Chunk(Struct):
    submission: int
    offset: int  # index of its first job in the submission
    arguments: Arguments
    final: bool = False


class Accepted(Struct):
    first: int  # jid of the chunk's first job
    count: int


# -- results ------------------------------------------------------------------------------------------------------


class Watch(Struct):
    jids: Ranges
    payload: bool = True  # False: states only (join)


class Finished(Struct, array_like=True, omit_defaults=True, gc=False):
    jid: int
    status: int  # wire.job.Status, a final one
    data: bytes | None = None  # packed result (picloud.wire.payload)
    blob: str = ""  # where the result is a blob
    failure: Failure | None = None


class Told(Struct, array_like=True, omit_defaults=True):
    """To a client's line: the answer to its oldest open Submit, or ends of jobs."""

    submitted: Submitted | None = None
    error: str = ""  # JSON of a CloudException
    finished: list[Finished] = field(default_factory=list)


# -- worker to server ---------------------------------------------------------------------------------------------


class Hello(Struct, tag=True):
    """First message of a connection. ``held``: attempts in hand, so that a restarted server knows they live."""

    incarnation: str
    wire: int
    pid: int
    python: str
    held: list[tuple[int, int, bytes]] = field(default_factory=list)  # jid, n, lease


class Credit(Struct, tag=True):
    """How many leases the worker would hold at most, and its slots now."""

    window: int
    slots: int
    busy: int
    lent: int  # slots whose job waits for other jobs
    ready: int = 0  # slots whose runner can take jobs, or has one


class Started(Struct, tag=True):
    jobs: list[tuple[int, int, bytes]]  # sent for jobs that run longer than a moment (100 ms)


class Figures(Struct, omit_defaults=True, gc=False):
    """What a sampled attempt used in all, besides CPU time and the peak of its memory. None: the host cannot tell."""

    memory_limit: int | None = None  # bytes of RAM it was allowed
    cache: int | None = None  # most bytes of page cache seen
    swap: int | None = None  # most bytes of swap seen
    limit_hits: int | None = None
    refused: int | None = None
    kernel_kills: int | None = None
    disk_read: int | None = None
    disk_written: int | None = None
    disk_used: int | None = None  # most bytes seen
    net_in: int | None = None
    net_out: int | None = None


class Outcome(Struct, array_like=True, omit_defaults=True, gc=False):
    """The end of one attempt."""

    jid: int
    n: int
    lease: bytes
    cause: int  # wire.job.Cause; 0 = done
    runtime_us: int  # user code, from the worker's monotonic clock
    cpu_user_us: int = 0
    cpu_system_us: int = 0
    peak_memory: int = 0  # bytes, 0 = not known
    preview: str = ""
    data: bytes = b""
    blob: str = ""
    failure: Failure | None = None
    retry: bool = False  # the exception's class is one of _retry_on (or that was not given)
    started_ms: int = 0  # wall clock of the worker's host, for display only
    figures: Figures | None = None  # of jobs that were sampled
    unpaid_us: int = 0  # of its run time: its slot was lent, or it handles a queue and none was in hand


class Done(Struct, tag=True):
    outcomes: list[Outcome]


class Returned(Struct, tag=True):
    """Leases given back unstarted (recall, drain); they cost no attempt."""

    jobs: list[tuple[int, int, bytes]]


class LogChunk(Struct, array_like=True):
    jid: int
    n: int
    stream: str  # stdout, stderr, logging, pilog, syslog
    offset: int  # bytes of this stream before it
    data: bytes


class Logs(Struct, tag=True):
    chunks: list[LogChunk]


class Sample(Struct, array_like=True, gc=False):
    """What a running attempt uses; cumulative figures are since its begin. None: the host cannot tell."""

    jid: int
    n: int
    at_ms: int  # since the attempt began
    cpu_user_us: int
    cpu_system_us: int
    memory: int  # bytes of RAM, without page cache
    peak: int
    cache: int | None = None
    swap: int | None = None
    limit_hits: int | None = None
    refused: int | None = None
    kernel_kills: int | None = None
    disk_read: int | None = None
    disk_written: int | None = None
    disk_used: int | None = None  # bytes in home, /tmp and the root layer
    net_in: int | None = None
    net_out: int | None = None
    processes: int | None = None


class Samples(Struct, tag=True):
    samples: list[Sample]


class Ports(Struct, tag=True):
    """The TCP ports that a running attempt listens on, as seen inside, each with the outer port it had before (0: none).

    Sent on each change, and for all running attempts after each Hello."""

    jid: int
    n: int
    tcp: list[tuple[int, int]]


class Saved(Struct, tag=True):
    """The end of a :class:`Save`: what was packed, or why it was not."""

    jid: int
    n: int
    token: bytes
    error: str = ""
    full: bool = False  # the error is a full disk
    digest: str = ""  # of the layer; "" = nothing was changed
    blob: str = ""
    size: int = 0  # bytes
    python: str = ""  # path inside of the interpreter that is there now
    python_version: str = ""  # "3.11"
    packages: list[tuple[str, str, str]] = field(default_factory=list)  # kind (debian, python, ...), name, version
    recipe: str = ""


class Performed(Struct, tag=True):
    """Output of a :class:`Perform`, and in the last one how it ended."""

    token: bytes
    offset: int  # bytes of output before ``data``
    data: bytes = b""
    exit_code: int | None = None  # set in the last message; negative = a signal
    error: str = ""  # it could not be run


# -- server to worker ---------------------------------------------------------------------------------------------


class Spec(Struct):
    """What the jobs of one submission have in common; sent once a connection."""

    submission: int
    account: int
    function: str
    modules: list[str]
    name: str
    options: Options
    env: dict[str, str] = field(default_factory=dict)
    memory_limit: int = 0  # bytes
    client_python: str = ""
    secrets: dict[str, str] = field(default_factory=dict)  # variables, opened; such a spec is sent with each batch of leases
    refused: str = ""  # why its jobs cannot begin


class Lease(Struct, array_like=True, gc=False):
    jid: int
    n: int
    lease: bytes
    submission: int
    data: bytes  # packed arguments
    blob: str = ""
    awaited: bool = False  # a running job waits for it: goes first
    alone: bool = False  # suspected of killing its runner: gets a slot to itself, nothing queued behind it


class Leases(Struct, tag=True):
    specs: list[Spec]
    jobs: list[Lease]


class Slots(Struct, tag=True):
    """How many slots the worker shall have. Fewer: idle ones go at once, busy ones after their job."""

    target: int


class Recall(Struct, tag=True):
    """Give back what has not started, all but ``keep`` leases."""

    keep: int = 0


class Kill(Struct, tag=True):
    jobs: list[tuple[int, int]]


class Ack(Struct, tag=True):
    """Outcomes with these (jid, n) are on disk, or no longer wanted: forget them."""

    jobs: list[tuple[int, int]]


class Stop(Struct, tag=True):
    """Drain for so many seconds, return the rest, exit."""

    seconds: float


class Execute(Struct, tag="exec"):
    """A program for a guest of a job: through a shell when ``command`` is set, the login shell when it is empty."""

    command: str = ""
    subsystem: str = ""  # "sftp"
    env: dict[str, str] = field(default_factory=dict)  # what the guest's client sent: TERM, LANG, LC_*
    terminal: str = ""  # TERM; "" = no terminal
    rows: int = 24
    columns: int = 80


class Connect(Struct, tag="connect"):
    """A TCP connection to a port inside the job."""

    port: int


class Dial(Struct, tag=True):
    """Open a channel to a running attempt: do ``what``, dial the edge, name the channel there, and pass bytes."""

    channel: str  # hex, 128 random bits; whoever names it is the channel
    edge: str  # host:port to dial
    jid: int
    n: int
    what: Execute | Connect


class Neighbours(Struct, tag=True):
    """Outer ports of the account's jobs, on the edge's port address: each sandbox of this worker shows them there."""

    address: str  # 127.0.0.2
    ports: list[int]


class Mapped(Struct, tag=True):
    """The outer ports that a running attempt's ports got: inner -> outer."""

    jid: int
    n: int
    tcp: dict[int, int]


class Save(Struct, tag=True):
    """Pack what a setup job has changed. A repeat with the same token is answered, not done again."""

    jid: int
    n: int
    token: bytes


class Perform(Struct, tag=True):
    """Run a script in a setup job."""

    jid: int
    n: int
    token: bytes
    script: bytes  # begins with #!, or is for bash
    arguments: list[str] = field(default_factory=list)
    root: bool = False


ToServer = Hello | Credit | Started | Done | Returned | Logs | Samples | Ports | Saved | Performed
ToWorker = Leases | Slots | Recall | Kill | Ack | Stop | Dial | Neighbours | Mapped | Save | Perform

encode = msgspec.msgpack.Encoder().encode
decode_to_server = msgspec.msgpack.Decoder(ToServer).decode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
