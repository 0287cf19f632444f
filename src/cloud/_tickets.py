"""Tickets: messages that were handed out, and their ends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from cloud import _messages, _queues
from cloud._errors import failure_of
from cloud._messages import Bodies
from picloud.wire import describe
from picloud.wire.error import Conflict
from picloud.wire.link import Link
from picloud.wire.queue import LONGEST_DELAY, PUSHED, Body, End, Exchange, Message, Output, Unit, check_name

if TYPE_CHECKING:
    from cloud.queue import CloudQueue

ENDS = {end.name: end for end in (End.ack, End.failed, End.retry, End.back, End.dead)}
_TICKET = re.compile(r"([A-Za-z0-9_-]{1,39}):(\d{1,18}):(\d{1,18})")


class MessageTicket:
    """A message that was handed out, and has to be acknowledged before its deadline.

    Attributes:
        message: its value.
        ticket: the name under which it was handed out: ``ack`` takes it too, also in another process.
        queue: where it comes from.
        deadline: when it comes back (datetime).
        id: of the message itself, the same each time that it is handed out.
        retries: how often it was tried and failed before.
        redirect_key: None; kept from before large messages went by themselves.
    """

    redirect_key = None

    def __init__(self, queue: CloudQueue, message: Any, found: Message, batch: int, deadline: datetime) -> None:
        self.queue, self.message, self.deadline = queue, message, deadline
        self.id, self.retries = found.id, found.retries
        self.ticket = f"{queue.name}:{found.id}:{batch}"

    def ack(self) -> None:
        """It was handled: it will not come back.

        Raises:
            Conflict: it came back at its deadline, and was given to somebody else; or it was acknowledged before.
        """
        self.queue.ack(self)

    def update_deadline(self, new_deadline: float) -> None:
        """Have more time, or less.

        Args:
            new_deadline: seconds from now, 3 to 43,200.

        Raises:
            ValueError: out of that range.
            Conflict: it came back at its deadline, or was acknowledged before.
        """
        self.queue.update_deadline(self, new_deadline)

    def time_until_deadline(self) -> float:
        """Seconds that are left; below zero when they are over."""
        return (self.deadline - datetime.now(UTC)).total_seconds()

    def __repr__(self) -> str:
        return f"<ticket {self.ticket}>"


Ticket = MessageTicket | str
Tickets = Ticket | Iterable[Ticket]


class Done(NamedTuple):
    """The end of a message, with all that came of it: it holds as a whole, or not at all.

    Attributes:
        ticket: of the message, or its text.
        outputs: tuples (queue, message) or (queue, message, delay in seconds): messages for other queues, or the same one.
        end: ``"ack"``: it was handled. ``"failed"``: it failed, and an output tells of it. ``"retry"``: it comes again after
            ``delay``. ``"back"``: it comes again as if it had not been handed out. ``"dead"``: it is a dead letter.
        delay: seconds, 0 to 900; of a retry.
        error: the exception that a dead letter shows.
    """

    ticket: Ticket
    outputs: Iterable[tuple[Any, ...]] = ()
    end: str = "ack"
    delay: float = 0
    error: BaseException | None = None


class Exchanged(NamedTuple):
    """The answer to an exchange.

    Attributes:
        applied: for each end in the order given, whether it holds: False where its ticket was not current.
        tickets: new ones.
    """

    applied: list[bool]
    tickets: list[MessageTicket]


def numbers(queue: str, ticket: Ticket) -> tuple[int, int]:
    """The message and the batch that a ticket of a queue names.

    Raises:
        ValueError: it is no ticket, or one of another queue.
    """
    said = ticket.ticket if isinstance(ticket, MessageTicket) else ticket
    found = _TICKET.fullmatch(said) if isinstance(said, str) else None
    if found is None:
        raise ValueError(f"{said!r:.80} is no ticket: pop_tickets gives them, and they have a text, .ticket")
    if found[1] != queue:
        raise ValueError(f"ticket {said} is one of queue {found[1]}, not of {queue}")
    return int(found[2]), int(found[3])


def end(queue: str, tickets: Tickets, end: End, delay_ms: int, done: str) -> list[MessageTicket]:
    """End messages, in as many requests as they need.

    Args:
        tickets: one, or an iterable; as texts or not.
        done: what they are then, for people.

    Returns:
        The tickets that came as such.

    Raises:
        ValueError: no ticket, or one of another queue. Nothing is done.
        Conflict: some are not current. The others were ended.
    """
    given = [tickets] if isinstance(tickets, MessageTicket | str) else _iterated(tickets)
    named = {numbers(queue, each): each for each in given}
    stale: list[Ticket] = []
    pairs = [*named]
    for at in range(0, len(pairs), PUSHED):
        some = pairs[at : at + PUSHED]
        units = [Unit(message, batch, int(end), delay_ms) for message, batch in some]
        refused = _queues.exchange(Exchange(_queues.token(), queue, units)).refused
        stale += [named[some[index]] for index in refused]
    if stale:
        raise conflict(queue, stale, len(named), done)
    return [each for each in given if isinstance(each, MessageTicket)]


def _iterated(tickets: Iterable[Ticket]) -> list[Ticket]:
    if not isinstance(tickets, Iterable):
        raise ValueError(f"one ticket or an iterable of them, not {tickets!r:.80}")
    return [*tickets]


def conflict(queue: str, stale: Sequence[Ticket], count: int, done: str) -> Conflict:
    """What is raised where tickets were not current; the others were ``done``."""
    names = [each.ticket if isinstance(each, MessageTicket) else each for each in stale]
    shown = ", ".join(names[:5]) + (", .." if len(names) > 5 else "")
    rest = f"; the other {count - len(names)} were {done}" if count > len(names) else ""
    said = f"{len(names)} of {count} tickets of queue {queue} are not current: {shown}{rest}"
    hint = "their messages came back at their deadline, or were ended before: take more time with deadline=, or update_deadline"
    return Conflict(said, hint=hint, tickets=names, queue=queue)


class Ends:
    """The ends of one exchange, as the server takes them.

    Raises:
        ValueError: an end that cannot be; it tells which.
        pickle.PicklingError: an output cannot be pickled.
    """

    def __init__(self, queue: str, done: Iterable[Done], link: Link) -> None:
        self._queue, self._bodies = queue, Bodies(link)
        self._places: dict[str, int] = {}
        self.units = [self._unit(at, each) for at, each in enumerate(done)]
        self.queues = [*self._places]

    def bodies(self) -> list[Body]:
        """The outputs' bytes, when the large ones are on the server."""
        return self._bodies.finish()

    def _unit(self, at: int, done: Done) -> Unit:
        if not isinstance(done, Done):
            raise ValueError(f"exchange takes cloud.queue.Done(ticket, ..), not {done!r:.80}")
        if done.end not in ENDS:
            raise ValueError(f"a message ends as one of {', '.join(ENDS)}, not as {done.end!r:.80}")
        end, (message, batch) = ENDS[done.end], numbers(self._queue, done.ticket)
        delay_ms = _queues.milliseconds("delay", done.delay, 0, LONGEST_DELAY)
        unit = Unit(message, batch, int(end), delay_ms, self._outputs(at, done.outputs))
        if end is End.dead:
            unit.failure = failure_of(done.error)
            unit.preview = describe.text(done.ticket.message) if isinstance(done.ticket, MessageTicket) else ""
        return unit

    def _outputs(self, at: int, outputs: Iterable[tuple[Any, ...]]) -> list[Output]:
        # A message for many queues travels once. What an iterator gives may be changed before it gives the next one.
        same = dict[int, int]() if isinstance(outputs, list | tuple) else None
        made = []
        for nr, output in enumerate(outputs):
            name = f"output {nr} of end {at}"
            if not isinstance(output, tuple) or not 2 <= len(output) <= 3:
                raise ValueError(f"{name} is (queue, message) or (queue, message, delay), not {output!r:.80}")
            queue, message, delay = output if len(output) == 3 else (*output, 0)
            place = self._places.setdefault(check_name(getattr(queue, "name", queue)), len(self._places))
            delay_ms = _queues.milliseconds("delay", delay, 0, LONGEST_DELAY)
            known = same.get(id(message)) if same is not None else None
            body = self._body(message, name) if known is None else known
            if same is not None:
                same[id(message)] = body
            made.append(Output(body, place, delay_ms))
        return made

    def _body(self, message: Any, name: str) -> int:
        packed = _messages.packed(message, name)
        return self._bodies.add(packed, large=not self._bodies.has_room(packed))
