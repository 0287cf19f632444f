"""Queues: their names, their messages, and what is said about them. Bodies are MessagePack.

    POST /v1/queue/push      Push -> Pushed
    POST /v1/queue/exchange  Exchange -> Exchanged     end what was handed out, push what came of it, take more
    POST /v1/queue/wait      the same; while it is under way a job waits, and its slot is lent
    POST /v1/queue/attach    Attach -> Attached

A message that was handed out is named by two numbers, its **ticket**: its own, and that of the batch it was handed out in.
It can be ended under that ticket until it is handed out again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from picloud.wire.error import BadRequest, TooLarge
from picloud.wire.job import INLINE_LIMIT, Failure
from picloud.wire.message import Submit

NAME = re.compile(r"[A-Za-z0-9_-]{1,39}")
Name = Annotated[str, Meta(extra_json_schema={"pattern": f"^{NAME.pattern}$"})]
PUSHED, GIVEN = 800, 1000
"""Messages that one request pushes, and is given, at most."""
ANSWER_BYTES = 4 << 20
"""Bytes of messages in one answer, but for the first one."""
MOST_OUTPUTS, MOST_READERS, MOST_JOBS = 50, 128, 10_000
LONGEST_DELAY, LONGEST_DEADLINE, SHORTEST_DEADLINE, LONGEST_TIMEOUT = 900, 43_200, 3, 20
"""Seconds."""
LONGEST_KEY = 200
"""Characters of a de-duplication key."""


class Kind(IntEnum):
    """How a message's bytes are to be read."""

    json = 0  # the value has JSON's own types through and through
    pickle = 1  # picloud.wire.payload; only clients load it


class End(IntEnum):
    """What becomes of a message that was handed out."""

    ack = 0  # it was handled
    failed = 1  # the handler raised; what tells of it goes to another queue
    retry = 2  # it comes again after a delay, one retry more
    back = 3  # unread: it comes again as if it had not been handed out
    dead = 4  # it failed for good: it becomes a dead letter
    extend = 5  # its deadline is moved
    killed = 6  # its reader died with it in hand: it comes again alone, or is set aside


class Body(Struct, array_like=True, omit_defaults=True, gc=False):
    """The bytes of a message, or the blob that has them."""

    kind: int
    data: bytes = b""
    blob: str = ""


class Output(Struct, array_like=True, omit_defaults=True, gc=False):
    """A message that comes of another one."""

    body: int  # index in the exchange's bodies
    queue: int  # index in the exchange's queues
    delay_ms: int = 0


class Unit(Struct, array_like=True, omit_defaults=True, gc=False):
    """The end of one message with all that comes of it; it holds as a whole, if its ticket is current, or not at all."""

    message: int  # 0 with End.back: all that is left in the hands of the batch
    batch: int
    end: int = 0  # End
    delay_ms: int = 0  # of a retry; of an extension: how long from now
    outputs: list[Output] = field(default_factory=list)
    failure: Failure | None = None  # of a dead letter
    preview: str = ""  # of a dead letter: the message for people


class Hold(IntEnum):
    """How messages are handed out."""

    deadline = 0  # they come back at their deadline
    job = 1  # they are the asking job's as long as it lives
    removed = 2  # they are gone for everybody else; only a repeat of the question still finds them


class Exchange(Struct, omit_defaults=True):
    """Ends of messages of one queue, their outputs, and a wish for more, in one transaction."""

    token: bytes  # 16 bytes; a repeat gets the same answer
    queue: Name
    units: list[Unit] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    queues: list[Name] = field(default_factory=list)  # those that outputs go to
    take: int = 0  # messages wanted
    hold: int = 0  # Hold
    deadline_ms: int = 0
    timeout_ms: int = 0  # how long to wait for the first one
    received: bytes = b""  # the token of an earlier answer, which has arrived: nobody will ask for it again
    abandoned: bytes = (
        b""  # the token of a request of this job whose asker has died: what it was given comes back, more is not given
    )


class Message(Struct, array_like=True, omit_defaults=True, gc=False):
    """A message that was handed out."""

    id: int
    kind: int
    data: bytes
    retries: int = 0  # so often it was tried and failed before
    given: int = 1  # so often it was handed out
    pushed: int = 0  # epoch ms
    blob: str = ""  # the URL of its bytes, where they are many


class Exchanged(Struct, omit_defaults=True):
    """The answer."""

    batch: int = 0  # with a message's id: its ticket
    messages: list[Message] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)  # indexes of units whose ticket was not current
    leave: bool = False  # to a handler's job: nothing more will come


class Push(Struct, omit_defaults=True):
    """New messages for one queue."""

    token: bytes
    queue: Name
    bodies: list[Body]
    delay_ms: int = 0
    keys: list[str] = field(default_factory=list)  # as many as bodies: those that are known are not pushed again


class Pushed(Struct):
    """How many of them were new."""

    count: int


class Edge(Struct, array_like=True):
    """Where messages go that a handler failed on."""

    exception: str  # its class, for people; only the handler's job compares classes
    queue: Name
    delay_ms: int = 0


class Attach(Struct):
    """A handler for a queue."""

    token: bytes
    queue: Name
    submit: Submit  # its jobs: one call of a function without arguments
    outputs: list[str] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    iter_output: bool = False
    readers: int = 1  # processes in each job
    max_jobs: int = 1
    retry_on: list[str] = field(default_factory=list)  # classes, for people, as the next two
    max_retries: int | None = None
    retry_delay_ms: int | None = None


class Attached(Struct):
    """The answer."""

    version: int  # counts the handlers that the queue has had; 0 when ``missing`` is not empty: send again with the code
    missing: list[str] = field(default_factory=list)


def check_name(name: object) -> str:
    """A name that a queue can have.

    Raises:
        BadRequest: it cannot.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BadRequest(f"{str(name)[:80]!r} is no name of a queue", hint="1 to 39 letters, digits, _ or -")
    return name


def check_bodies(bodies: Sequence[Body]) -> None:
    """Refuse bytes of no known kind, and more of them than belong into a request.

    Raises:
        BadRequest, TooLarge: telling which.
    """
    for at, body in enumerate(bodies):
        if body.kind not in (Kind.json, Kind.pickle) or (body.data and body.blob):
            raise BadRequest(f"message {at} of the request is neither JSON nor a pickle, or comes twice")
        if len(body.data) > INLINE_LIMIT:
            raise TooLarge(f"message {at} of the request has {len(body.data)} bytes", limit=INLINE_LIMIT,
                           hint="the client sends larger ones as blobs")  # fmt: skip
