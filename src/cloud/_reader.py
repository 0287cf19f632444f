"""The readers of a handler's job: processes that take messages, call the handler, and end what they took.

Each reader is a fork of the job's process, which stays with nothing to do but to see how they fare: one that dies is told to
the server with the message that it had in hand, and another takes its place.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from cloud import _messages, _queues
from cloud._errors import LONGEST_TRACEBACK, Edges, Rules, failure_of
from cloud._messages import Bodies, Packed
from picloud.wire import describe
from picloud.wire.error import CloudException, Unavailable
from picloud.wire.link import Link
from picloud.wire.queue import End, Exchange, Exchanged, Hold, Message, Output, Unit

ASKED = ("cur_retry", "max_retries", "message_id")
"""What a handler is told if it names a parameter so."""
HOARD = 1.0
"""Seconds for which one message may keep those behind it waiting; then they are given back."""
BATCH_TIME = 0.25
"""Seconds of work that one request brings."""
FIRST, MOST = 10, 500
"""Messages of the first request, and of any."""
TIMEOUT_MS = 20_000
STUBBORN = 600.0
"""Seconds for which a reader waits for a server that does not answer."""
BODIES = 4 << 20
"""Bytes of outputs after which a request is due."""


Ended = tuple[Unit, list[Packed], list[tuple[int, int]]]
"""The end of a message, what came of it, and where that goes: index of a queue, delay in ms."""


EMITTED = 32 << 20
"""Bytes of small messages that may come of one; large ones go as blobs and do not count."""


class Spec(NamedTuple):
    """What an attachment says about its handler."""

    queue: str
    outputs: tuple[str, ...]
    iter_output: bool
    readers: int
    rules: Rules
    edges: Edges


class Handler:
    """A function of one argument, or an object with ``message_handler`` and perhaps ``pre_handling`` and ``post_handling``."""

    def __init__(self, given: Any) -> None:
        method = getattr(given, "message_handler", None)
        self.call: Callable[..., Any] = method if callable(method) else given
        self.before: Callable[[], Any] | None = getattr(given, "pre_handling", None)
        self.after: Callable[[], Any] | None = getattr(given, "post_handling", None)
        self.asks = _asked(self.call)


def _asked(function: Callable[..., Any]) -> tuple[str, ...]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return ()  # some built-in functions tell nothing
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return ASKED
    named = {one.name for one in parameters[1:]} | {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}
    return tuple(name for name in ASKED if name in named)


class Ends:
    """What was handled and not told yet."""

    def __init__(self, link: Link) -> None:
        self.units: list[Unit] = []
        self.bodies = Bodies(link)

    def add(self, unit: Unit, emitted: Iterable[Packed] = (), to: Iterable[tuple[int, int]] = ()) -> None:
        """One more.

        Args:
            emitted: the messages that came of it.
            to: where each of them goes: index of a queue, delay in ms.
        """
        places = list(to)
        for one in emitted:
            at = self.bodies.add(one)
            unit.outputs += [Output(at, queue, delay) for queue, delay in places]
        self.units.append(unit)


class Reader:
    """One process that reads.

    Args:
        mark: told of the batch and the message that are in hand now, so that somebody else can tell what a death was about.
        ask: told of the token of each request for messages before it is sent, for the same reason.
        fail: told of the first exception that nobody provided for.
    """

    def __init__(
        self,
        handler: Handler,
        spec: Spec,
        mark: Callable[[int, int], None],
        ask: Callable[[bytes], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._handler, self._spec, self._mark, self._ask, self._fail = handler, spec, mark, ask, fail
        self._link: Link = _queues.link()
        self._queues = [*spec.outputs, *(edge.queue for edge in spec.edges.every)]
        self._lock = threading.Lock()
        self._todo: deque[Message] = deque()
        self._batch = 0
        self._ends = Ends(self._link)
        self._since = 0.0  # when the message in hand was begun; 0 = there is none
        self._pace = Pace()
        self._received = b""
        self._over = threading.Event()

    def run(self) -> None:
        """Read until the server says that nothing more will come."""
        self._aside(self._handler.before)
        threading.Thread(target=self._watch, name="patience", daemon=True).start()
        leave = False
        while not leave:
            answer = self._tell(self._pace.wanted)
            if not (answer.messages or answer.leave):
                answer = self._tell(self._pace.wanted, TIMEOUT_MS)
            leave = answer.leave and not answer.messages
            self._handle_all(answer)
        self._over.set()
        self._aside(self._handler.after)

    def _aside(self, function: Callable[[], Any] | None) -> None:
        """What comes before and after all messages: if it fails, they are handled all the same."""
        try:
            if function is not None:
                function()
        except Exception as error:  # noqa: BLE001 - the user's
            traceback.print_exc()
            self._fail(error)

    def _tell(self, wanted: int, timeout_ms: int = 0) -> Exchanged:
        """End what was handled; more messages."""
        with self._lock:
            ends, self._ends = self._ends, Ends(self._link)
        token = _queues.token()
        if wanted:
            self._ask(token)
        answer = self._send(ends, token, wanted, timeout_ms, self._received)
        self._received = token
        return answer

    def _send(self, ends: Ends, token: bytes, wanted: int, timeout_ms: int = 0, received: bytes = b"") -> Exchanged:
        spec = self._spec
        bodies = ends.bodies.finish()
        asked = Exchange(token, spec.queue, ends.units, bodies, self._queues if bodies else [], wanted, int(Hold.job),
                         timeout_ms=timeout_ms, received=received)  # fmt: skip
        until = time.monotonic() + STUBBORN
        while True:
            try:
                return _queues.exchange(asked, spec.readers)
            except Unavailable:
                if time.monotonic() > until:
                    raise

    def _handle_all(self, answer: Exchanged) -> None:
        with self._lock:
            self._batch = answer.batch
            self._todo.extend(answer.messages)
        while True:
            with self._lock:
                if not self._todo:
                    self._since = 0.0
                    return
                one = self._todo.popleft()
                self._since = begun = time.monotonic()
            self._mark(answer.batch, one.id)
            ended = self._handle(one, answer.batch)
            self._mark(answer.batch, 0)
            self._pace.learn(time.monotonic() - begun)
            with self._lock:
                self._ends.add(*ended)
                large = self._ends.bodies.size > BODIES or len(self._ends.units) >= MOST
            if large:
                self._tell(0)

    def _handle(self, one: Message, batch: int) -> Ended:
        """Call the handler with a message; the end of that, and what comes of it."""
        value: Any = None
        try:
            value = _messages.loaded(one.id, one.kind, one.data, one.blob, self._link.get)
        except _messages.Undecodable as error:
            print(f"message {one.id} is set aside: {error.parameter}", file=sys.stderr)
            return Unit(one.id, batch, int(End.dead), failure=error.failure), [], []
        try:
            known = {"cur_retry": one.retries, "max_retries": self._spec.rules.max_retries, "message_id": one.id}
            result = self._handler.call(value, **{name: known[name] for name in self._handler.asks})
            emitted = _bounded(_messages.packed(each, "the handler's result") for each in self._emitted(result))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's
            return self._failed(one, batch, value, error)
        return Unit(one.id, batch), emitted, [(at, 0) for at in range(len(self._spec.outputs))]

    def _emitted(self, result: Any) -> Iterable[Any]:
        if not self._spec.outputs:
            if self._spec.iter_output and result is not None:
                deque(result, maxlen=0)  # a generator does its work as it is read
            return []
        if self._spec.iter_output:
            return result  # type: ignore[no-any-return]  # it says that it can be iterated
        return [] if result is None else [result]

    def _failed(self, one: Message, batch: int, value: Any, error: BaseException) -> Ended:
        """What becomes of a message that its handler raised at: tried again, told to a queue, or a dead letter."""
        text = traceback.format_exc()[-LONGEST_TRACEBACK:]
        delay = self._spec.rules.delay(error, one.retries)
        if delay is not None:
            return Unit(one.id, batch, int(End.retry), delay), [], []
        print(text, end="", file=sys.stderr)
        final = self._spec.rules.final(error, one.retries)
        edge = self._spec.edges.find(final)
        if edge is None:
            self._fail(final)
            return Unit(one.id, batch, int(End.dead), failure=failure_of(final, text), preview=describe.text(value)), [], []
        told = _messages.packed(self._spec.edges.message(final, text, value, one.retries), "the error's message")
        to = len(self._spec.outputs) + self._spec.edges.every.index(edge)
        return Unit(one.id, batch, int(End.failed)), [told], [(to, edge.delay_ms)]

    def _watch(self) -> None:
        """Where one message takes long: tell what was handled before it, and give back what waits behind it."""
        while not self._over.wait(HOARD / 4):
            with self._lock:
                if not self._since or time.monotonic() - self._since < HOARD or not (self._todo or self._ends.units):
                    continue
                ends, self._ends = self._ends, Ends(self._link)
                for one in self._todo:
                    ends.add(Unit(one.id, self._batch, int(End.back)))
                self._todo.clear()
            try:
                self._send(ends, _queues.token(), 0)
            except CloudException as error:
                print(f"messages could not be given back: {error}", file=sys.stderr)
                os._exit(1)  # what is in hand comes back with the end of this process


def _bounded(emitted: Iterable[Packed]) -> list[Packed]:
    """What came of one message, which one request has to carry."""
    made, size = list[Packed](), 0
    for one in emitted:
        made.append(one)
        size += one.inline
        if size > EMITTED:
            raise ValueError(f"more than {EMITTED >> 20} MiB of small messages came of one message: push them in the handler, "
                             "or emit fewer and larger ones")  # fmt: skip
    return made


class Pace:
    """How many messages to ask for: about as many as make BATCH_TIME of work."""

    def __init__(self) -> None:
        self.wanted = FIRST
        self._each = BATCH_TIME / FIRST

    def learn(self, seconds: float) -> None:
        """One took so long."""
        self._each += (seconds - self._each) / 8
        self.wanted = max(1, min(MOST, self.wanted * 2, int(BATCH_TIME / max(self._each, 1e-6))))
