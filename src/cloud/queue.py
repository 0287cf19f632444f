"""Durable queues: messages that stay until somebody has handled them.

    q = cloud.queue.get("numbers")
    q.push([1, 2, 3])
    q.pop()                                     # up to ten, in no order that counts; they are gone then
    for ticket in q.pop_tickets(deadline=60):   # or they come back, unless they are acknowledged in time
        work(ticket.message)
        ticket.ack()

A message is any value; it keeps its types. What was pushed is on the server's disk. The same functions work in jobs.
"""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from cloud import _graph, _messages, _pushing, _queues, _tickets, _trace
from cloud._handled_queue import HandledQueue
from cloud._letters import DeadLetter
from cloud._messages import Undecodable
from cloud._retry import MaxRetryException, Retry
from cloud._tickets import Done, Exchanged, MessageTicket, Tickets
from picloud.wire import queue as wire
from picloud.wire.error import CloudException, Conflict, NotFound
from picloud.wire.queue import LONGEST_DEADLINE, LONGEST_DELAY, LONGEST_TIMEOUT, SHORTEST_DEADLINE, End, Exchange, Hold, Unit

__all__ = [
    "CloudQueue", "DeadLetter", "Done", "Exchanged", "MaxRetryException", "MessageTicket", "Retry", "exists", "get", "graph",
    "list",
]  # fmt: skip

_list = list
AT_ONCE = 10
"""Messages of one pop."""
ENDS = 800
"""Ends of one exchange."""


def get(name: str) -> CloudQueue:
    """The queue of this name; it comes to be with its first use.

    Args:
        name: 1 to 39 letters, digits, ``-`` or ``_``.

    Raises:
        BadRequest: a name that cannot be.
    """
    return CloudQueue(name)


def list() -> _list[CloudQueue]:
    """All queues that have been used, by name."""
    return [CloudQueue(one["name"]) for one in _queues.listing()]


def exists(name: str) -> bool:
    """Whether a queue has been used and not been deleted since.

    Raises:
        BadRequest: a name that cannot be.
    """
    try:
        return bool(_queues.listing(wire.check_name(name)))
    except NotFound:
        return False


def graph() -> dict[str, _list[dict[str, Any]]]:
    """All queues with their handlers, and what leads from one to another.

    Returns:
        ``queues``: one dict each, as of :meth:`CloudQueue.info`, by name. ``edges``: ``from``, ``to`` (names of queues),
        ``exception`` (the name of the class that a message must have failed with to go there; None = outputs go there) and
        ``delay`` (seconds).
    """
    return _graph.read()


class CloudQueue(HandledQueue):
    """A queue of this account. Two of one name are equal. It can be pickled, and used in jobs."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._popped = b""  # the token of the last pop whose messages have arrived
        self._broken: deque[tuple[int, bytes]] = deque()  # max_count and token of pops that were broken off

    # -- in and out -------------------------------------------------------------------------------------------------

    def push(self, messages: Iterable[Any], delay: float = 0, *, keys: _pushing.Keys = None) -> bool:
        """Add messages; they are on the server's disk when this returns.

        They are sent while the iterable is read, 800 at a time; of one that takes its time, what has come in a second.

        Args:
            messages: any iterable of values.
            delay: seconds before anybody sees them, 0 to 900.
            keys: a text for each message, or a function that makes it from the message. One whose key was pushed in the last
                24 hours is not pushed again.

        Returns:
            True.

        Raises:
            ValueError: a single text or value instead of many; a delay out of range; not as many keys as messages.
            pickle.PicklingError: a message cannot be pickled. Those of earlier requests stay, nothing of its own was stored.
        """
        if isinstance(messages, str | bytes | bytearray) or not isinstance(messages, Iterable):
            raise ValueError(f"push takes an iterable of messages, not {messages!r:.80}; push([...]) pushes one")
        delay_ms = _queues.milliseconds("delay", delay, 0, LONGEST_DELAY)
        _pushing.push(self.name, messages, delay_ms, keys)
        return True

    def pop(self, max_count: int = AT_ONCE, timeout: float = LONGEST_TIMEOUT) -> _list[Any]:
        """Take messages away.

        Args:
            max_count: 1 to 10.
            timeout: seconds to wait for the first one, 0 to 20.

        Returns:
            Their values, ``[]`` where none came. What cannot be loaded here becomes a dead letter, with a warning.

        Raises:
            ValueError: out of these ranges.
        """
        count = _queues.check_count("max_count", max_count, 1, AT_ONCE)
        end = time.monotonic() + _queues.milliseconds("timeout", timeout, 0, LONGEST_TIMEOUT) / 1000
        values = self._pop_broken(count)
        came = 1
        while came and not values:  # none of those that came can be loaded here
            came, values = self._pop_once(count, _queues.token(), end)
        return values

    def _pop_broken(self, count: int) -> _list[Any]:
        """What an earlier pop was given that was broken off, by the user or by a server that was away for long."""
        for _ in range(len(self._broken)):
            wanted, token = known = self._broken.popleft()
            if wanted > count:
                self._broken.append(known)
                continue
            try:
                values = self._pop_once(wanted, token, 0)[1]
            except Conflict:
                continue  # the queue that it was given by was deleted, and is another one now
            if values:
                return values
        return []

    def _pop_once(self, count: int, token: bytes, end: float) -> tuple[int, _list[Any]]:
        """How many came, and the values of those that can be loaded."""
        asked = Exchange(token, self.name, take=count, hold=int(Hold.removed), timeout_ms=_left_ms(end), received=self._popped)
        try:
            found = _queues.exchange(asked)
            values = [value for _, value in self._loaded(found)]
        except BaseException as error:
            if not isinstance(error, CloudException) or error.retry:
                self._broken.append((count, token))
            raise
        self._popped = token  # not earlier: from now on nobody can ask for them again
        return len(found.messages), values

    def pop_tickets(
        self, max_count: int = AT_ONCE, timeout: float = LONGEST_TIMEOUT, deadline: float = 30
    ) -> _list[MessageTicket]:
        """Take messages that come back unless they are acknowledged.

        Args:
            max_count: 1 to 10.
            timeout: seconds to wait for the first one, 0 to 20.
            deadline: seconds after which they come back, 3 to 43,200.

        Returns:
            Their tickets, ``[]`` where none came. What cannot be loaded here becomes a dead letter, with a warning.

        Raises:
            ValueError: out of these ranges.
        """
        _queues.check_count("max_count", max_count, 1, AT_ONCE)
        return self.exchange((), max_count, timeout, deadline).tickets

    def exchange(
        self, done: Iterable[Done], max_count: int = AT_ONCE, timeout: float = LONGEST_TIMEOUT, deadline: float = 30
    ) -> Exchanged:
        """End messages with all that came of them and take more, in one transaction.

        Args:
            done: at most 800 :class:`Done`. Each holds if its ticket is current; one that is not harms only itself.
            max_count: 0 to 10 new messages.
            timeout, deadline: see :meth:`pop_tickets`.

        Returns:
            (applied, tickets): which ends hold, in their order; and the new tickets.

        Raises:
            ValueError: out of these ranges; a ticket of another queue; an end or output that cannot be. Nothing is done.
            pickle.PicklingError: an output cannot be pickled. Nothing is done.
        """
        count = _queues.check_count("max_count", max_count, 0, AT_ONCE)
        deadline_ms = _queues.milliseconds("deadline", deadline, SHORTEST_DEADLINE, LONGEST_DEADLINE)
        end = time.monotonic() + _queues.milliseconds("timeout", timeout, 0, LONGEST_TIMEOUT) / 1000
        given = [*done]
        _queues.check_count("the number of ends", len(given), 0, ENDS)
        ends = _tickets.Ends(self.name, given, _queues.link())
        bodies = ends.bodies()  # large ones are on the server now, before the question is numbered
        asked = Exchange(_queues.token(), self.name, ends.units, bodies, ends.queues, count, int(Hold.deadline), deadline_ms)
        came, refused, tickets = self._take(asked, end)
        while came and not tickets:  # none of them can be loaded here
            again = Exchange(_queues.token(), self.name, take=count, hold=int(Hold.deadline), deadline_ms=deadline_ms)
            came, _, tickets = self._take(again, end)
        return Exchanged([at not in refused for at in range(len(given))], tickets)

    def _take(self, asked: Exchange, end: float) -> tuple[int, set[int], _list[MessageTicket]]:
        """How many came, which ends were refused, and tickets of what can be loaded."""
        asked.timeout_ms = _left_ms(end)
        found = _queues.exchange(asked)
        until = datetime.now(UTC) + timedelta(milliseconds=asked.deadline_ms)
        tickets = [MessageTicket(self, value, one, found.batch, until) for one, value in self._loaded(found)]
        return len(found.messages), set(found.refused), tickets

    def _loaded(self, found: wire.Exchanged) -> _list[tuple[wire.Message, Any]]:
        """Messages with their values; those that cannot be loaded become dead letters."""
        good, bad = [], []
        for one in found.messages:
            try:
                good.append((one, _messages.loaded(one.id, one.kind, one.data, one.blob, _queues.fetch)))
            except Undecodable as error:
                bad.append(Unit(one.id, found.batch, int(End.dead), failure=error.failure))
                said = f"{error.parameter}; it is a dead letter of queue {self.name} now"
                warnings.warn(said, RuntimeWarning, stacklevel=_trace.outside())
        if bad:
            _queues.exchange(Exchange(_queues.token(), self.name, bad))
        return good

    # -- tickets ----------------------------------------------------------------------------------------------------

    def ack(self, message_tickets: Tickets) -> None:
        """Messages were handled: they will not come back.

        Args:
            message_tickets: tickets or their texts, any iterable, or one alone.

        Raises:
            ValueError: no ticket, or one of another queue. Nothing is acknowledged.
            Conflict: some are not current: their messages came back at their deadline, or were acknowledged before. It names them
                (also in ``.facts["tickets"]``); the others were acknowledged.
        """
        _tickets.end(self.name, message_tickets, End.ack, 0, "acknowledged")

    def update_deadline(self, message_tickets: Tickets, new_deadline: float) -> None:
        """Have more time for messages, or less.

        Args:
            message_tickets: as for :meth:`ack`.
            new_deadline: seconds from now, 3 to 43,200.

        Raises:
            ValueError: out of that range; no ticket, or one of another queue. Nothing is done.
            Conflict: some are not current; the others were given the time.
        """
        delay_ms = _queues.milliseconds("new_deadline", new_deadline, SHORTEST_DEADLINE, LONGEST_DEADLINE)
        until = datetime.now(UTC) + timedelta(milliseconds=delay_ms)
        for each in _tickets.end(self.name, message_tickets, End.extend, delay_ms, "given the time"):
            each.deadline = until


def _left_ms(end: float) -> int:
    return max(0, round((end - time.monotonic()) * 1000))
