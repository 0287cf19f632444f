"""What one request does to queues, each in one transaction.

    push(tx, account, asked, now) -> Rung                      new messages
    exchange(tx, account, asked, now, jid=, of=) -> Found      ends of messages with all that comes of them, then more messages
    more(tx, found, wanted, until, now) -> list[Message]       the same batch again, when something has come meanwhile
    bereaved(tx, jid, now) -> set[int]                         a job has ended: what it held comes back

A unit holds if its ticket is current, and else harms nobody but itself. A message whose holder died comes back as a
**suspect**: handlers get it alone, so that the next death tells whether it is the cause. At the STRIKES-th death with it alone in
hand it is set aside, cause ``poison``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import BigInteger, Connection, Text, and_, bindparam, exists, or_, select

from picloud.store.queue import batch as batches
from picloud.store.queue import body as bodies
from picloud.store.queue import dead, message, tally
from picloud.store.queue import queue as queues
from picloud.store.queue.batch import Batch
from picloud.store.queue.dead import Letter
from picloud.store.queue.message import Fresh, Held
from picloud.store.queue.schema import ABANDONED, NEVER, REMOVED, attachment, batch, handler, pushed_key
from picloud.store.queue.schema import queue as queue_table
from picloud.store.rows import add, constant, one, run, text
from picloud.wire import queue as wire
from picloud.wire.error import BadRequest
from picloud.wire.job import Cause, Failure
from picloud.wire.queue import End, Hold, Message, Unit

STRIKES = 3
"""A reader may die for reasons that are not its message's; three times with the same one alone in hand is no accident."""
NOBODY = 1 << 40
KEYS_KEPT = 24 * 3_600_000
"""Milliseconds for which a de-duplication key is known."""


class Found(NamedTuple):
    """What an exchange did."""

    batch: Batch
    messages: list[Message]
    refused: list[int]
    rung: set[int]  # queues in which something may be visible that was not


def push(tx: Connection, account: int, asked: wire.Push, now: int) -> tuple[int, set[int]]:
    """Store new messages.

    Returns:
        How many were new, and the queues to ring for.

    Raises:
        NotFound: a blob is not a live one of the account.
        Conflict: the token was used for something else.
    """
    number = queues.ensure(tx, account, [asked.queue], now)[asked.queue]
    found, new = batches.begin(tx, account, asked.token, number, Hold.deadline, 0, now)
    if not new:
        return msgspec.msgpack.decode(found.answer, type=int), set()
    chosen = _unknown(tx, number, asked.keys, now) if asked.keys else range(len(asked.bodies))
    message.add(tx, account, [Fresh(number, at, now + asked.delay_ms) for at in chosen], asked.bodies, now)
    _count(tx, {number: tally.Happened(came=len(chosen))}, now)
    batches.answer(tx, found.id, msgspec.msgpack.encode(len(chosen)))
    return len(chosen), {number}


def _unknown(tx: Connection, number: int, keys: Sequence[str], now: int) -> list[int]:
    """The indexes of the first of each of these keys that is not known; it is from now on."""
    places = {text(key): at for at, key in reversed(list(enumerate(keys)))}
    return sorted(at for key, at in places.items() if _learned(tx, number, key, now))


def _learned(tx: Connection, number: int, key: str, now: int) -> bool:
    known = one(tx, _KEY, queue=number, key=key)
    if known is not None and known[0] > now:
        return False
    if known is not None:
        run(tx, _FORGET_KEY, queue=number, key=key)
    return bool(run(tx, _LEARN, queue=number, key=key, until=now + KEYS_KEPT).rowcount)


def exchange(tx: Connection, account: int, asked: wire.Exchange, now: int, *, jid: int = 0, of: int = 0) -> Found:
    """End messages, push what came of them, hand out more.

    Args:
        jid: the job that asks, where ``asked.hold`` is Hold.job.
        of: the queue that this job handles; it stays that one when another comes to have its name.

    Raises:
        BadRequest: it contradicts itself.
        Conflict: the token was used for something else.
        NotFound: a blob is not a live one of the account.
    """
    number = of or queues.ensure(tx, account, [asked.queue], now)[asked.queue]
    hold = Hold(asked.hold)
    found, new = batches.begin(tx, account, asked.token, number, hold, jid, now)
    if not new:
        refused = msgspec.msgpack.decode(found.answer, type=list[int]) if found.answer else []
        return Found(found, message.of_batch(tx, number, found.id), refused, set())
    ended = _Ends(tx, account, number, now)
    ended.apply(asked)
    if asked.abandoned and hold is Hold.job:
        ended.abandon(asked.abandoned, jid)
    if asked.received:
        batches.received(tx, account, asked.received)
    if ended.refused:
        batches.answer(tx, found.id, msgspec.msgpack.encode(ended.refused))
    return Found(found, more(tx, found, asked.take, until(asked, now), now), ended.refused, ended.rung)


def until(asked: wire.Exchange, now: int) -> int:
    """When what is handed out becomes due again."""
    return {Hold.job: NEVER, Hold.removed: REMOVED, Hold.deadline: now + asked.deadline_ms}[Hold(asked.hold)]


def more(tx: Connection, found: Batch, wanted: int, until: int, now: int) -> list[Message]:
    """Hand out up to ``wanted`` messages in a batch that has none; those it has, if it has some.

    A repeat of a request may wait beside the first one; whichever is answered, the answer is the same.
    """
    if wanted <= 0:
        return []
    if there := message.of_batch(tx, found.queue, found.id):
        return there
    hold = Hold(found.hold)
    taken = (
        _for_job(tx, found, wanted, now)
        if hold is Hold.job
        else message.take(tx, found.queue, found.id, hold, wanted, now, until)
    )
    if taken and hold is Hold.removed:
        _count(tx, {found.queue: tally.Happened(went=len(taken))}, now)
    return taken


def _for_job(tx: Connection, found: Batch, wanted: int, now: int) -> list[Message]:
    if one(tx, _STOPPED, id_=found.queue, jid=found.jid, batch=found.id):
        return []
    suspects = message.suspects(tx, found.queue, found.jid, now)
    if suspects is None or not (suspects.due or suspects.mine):
        return message.take(tx, found.queue, found.id, Hold.job, wanted, now, NEVER)
    if suspects.due and suspects.empty_handed:
        return message.take_suspect(tx, found.queue, found.id, now)
    return []  # first it has to get its hands free


class _Ends:
    """Ends of messages of one queue."""

    def __init__(self, tx: Connection, account: int, number: int, now: int) -> None:
        self._tx, self._account, self._queue, self._now = tx, account, number, now
        self._happened: dict[int, tally.Happened] = {}
        self.refused: list[int] = []
        self.rung: set[int] = set()

    def apply(self, asked: wire.Exchange) -> None:
        """End them, each with all that comes of it."""
        if not asked.units:
            return
        of_batch: dict[tuple[int, bool], list[int]] = defaultdict(list)
        for at, unit in enumerate(asked.units):
            if unit.message:
                of_batch[unit.batch, unit.end in (End.ack, End.failed)].append(at)
        good = [at for at, unit in enumerate(asked.units) if not unit.message]
        for (number, gone), places in of_batch.items():
            units = {asked.units[at].message: asked.units[at] for at in places}
            if len(units) != len(places):
                raise BadRequest("a message is ended twice in one request", queue=asked.queue)
            held = self._gone(number, units) if gone else self._stay(number, units)
            good += [at for at in places if asked.units[at].message in held]
        for unit in asked.units:
            if not unit.message:
                self._rest(unit.batch)
        self.refused = sorted(set(range(len(asked.units))) - set(good))
        self._outputs(asked, sorted(good))
        _count(self._tx, self._happened, self._now)

    def _gone(self, number: int, units: dict[int, Unit]) -> set[int]:
        """Messages that were handled, well or not."""
        gone = message.acked(self._tx, self._queue, number, units)
        bodies.release(self._tx, [each.body for each in gone])
        failed = sum(units[each.id].end == End.failed for each in gone)
        self._add(self._queue, went=len(gone), failed=failed)
        if any(each.deaths for each in gone):  # those who wait for it to be gone
            self.rung.add(self._queue)
        return {each.id for each in gone}

    def _stay(self, number: int, units: dict[int, Unit]) -> set[int]:
        """Messages that come again, are set aside, or are held on to."""
        held = message.held(self._tx, self._queue, number, units)
        by_end: dict[End, list[Held]] = defaultdict(list)
        for each in held:
            end = End(units[each.id].end)
            if not each.popped or end is End.dead:
                by_end[end].append(each)
        self._retry([(each, units[each.id].delay_ms) for each in by_end[End.retry]])
        message.back(self._tx, [(each.id, self._now) for each in by_end[End.back]])
        for each in by_end[End.extend]:
            message.extend(self._tx, [each.id], self._now + units[each.id].delay_ms)
        self._dead([(each, units[each.id]) for each in by_end[End.dead]])
        _accuse(self._tx, self._queue, by_end[End.killed], {one.message: one for one in units.values()}, self._now)
        if by_end[End.retry] or by_end[End.back] or by_end[End.killed]:
            self.rung.add(self._queue)
        return {each.id for some in by_end.values() for each in some}

    def abandon(self, token: bytes, jid: int) -> None:
        """Nobody reads the answer to a request of this job."""
        self._rest(batches.abandon(self._tx, self._account, token, self._queue, jid, self._now))

    def _rest(self, number: int) -> None:
        """All that is left in the hands of a batch."""
        held = message.held(self._tx, self._queue, number)
        message.back(self._tx, [(each.id, self._now) for each in held if not each.popped])
        self.rung.add(self._queue)

    def _retry(self, some: list[tuple[Held, int]]) -> None:
        message.back(self._tx, [(each.id, self._now + delay) for each, delay in some], retried=True)
        self._add(self._queue, retried=len(some))

    def _dead(self, some: list[tuple[Held, Unit]]) -> None:
        letters = [
            Letter(
                each.id, unit.failure or Failure(Cause.exception.name, "its handler gave it up"), unit.preview, bool(each.popped)
            )
            for each, unit in some
        ]
        dead.set_aside(self._tx, self._queue, letters, self._now)
        if any(each.deaths for each, _ in some):
            self.rung.add(self._queue)

    def _outputs(self, asked: wire.Exchange, good: list[int]) -> None:
        """What came of those that were ended."""
        outputs = [output for at in good for output in asked.units[at].outputs]
        if not outputs:
            return
        names = [asked.queues[each.queue] for each in outputs]
        ids = queues.ensure(self._tx, self._account, names, self._now)
        fresh = [Fresh(ids[name], each.body, self._now + each.delay_ms) for name, each in zip(names, outputs, strict=True)]
        message.add(self._tx, self._account, fresh, asked.bodies, self._now)
        for number, came in Counter(each.queue for each in fresh).items():
            self._add(number, came=came)
            self.rung.add(number)

    def _add(self, number: int, **more: int) -> None:
        known = self._happened.get(number, tally.Happened())
        self._happened[number] = known._replace(**{name: getattr(known, name) + some for name, some in more.items()})


def _count(tx: Connection, happened: dict[int, tally.Happened], now: int) -> None:
    """Keep tallies and sizes of queues."""
    changed = {number: each for number, each in happened.items() if any(each)}
    tally.add(tx, changed, now)
    queues.grow(tx, {number: each.came - each.went for number, each in changed.items()})


def _accuse(tx: Connection, number: int, some: Sequence[Held], units: dict[int, Unit], now: int) -> None:
    """Each of these was the only one in its reader's hands when that died."""
    struck = [each._replace(deaths=each.deaths + 1, alone=each.alone + 1) for each in some]
    message.blame(tx, struck)
    letters = [Letter(each.id, _poison(each), units[each.id].preview if each.id in units else "") for each in struck
               if each.alone >= STRIKES]  # fmt: skip
    message.back(tx, [(each.id, now) for each in struck if each.alone < STRIKES])
    dead.set_aside(tx, number, letters, now)


def _poison(each: Held) -> Failure:
    message = f"its reader died {each.deaths} times with it in hand, {each.alone} times with nothing else"
    advice = "look at how the handler's jobs ended; replay it when that is mended"
    return Failure(Cause.poison.name, message, advice, facts={"deaths": each.deaths, "alone": each.alone})


def bereaved(tx: Connection, jid: int, *, blamed: int, now: int) -> set[int]:
    """Let everything come back that an ended job held.

    Args:
        blamed: messages that were given out so often may be what ended it; 1 = any may, NOBODY = none.

    Returns:
        The queues to ring for.
    """
    rung = set()
    for number in batches.of_job(tx, jid):
        held = [each for _, each in message.held_by(tx, number, jid)]
        suspects = [each for each in held if each.given >= blamed]
        if suspects and len(held) == 1:
            _accuse(tx, number, held, {}, now)
        elif held:
            message.blame(tx, [each._replace(deaths=each.deaths + 1) for each in suspects])
            message.back(tx, [(each.id, now) for each in held])
        if held:
            rung.add(number)
    batches.close(tx, jid)
    return rung


_queue, _key = bindparam("queue", type_=BigInteger), bindparam("key", type_=Text)
_this_key = and_(pushed_key.c.queue == _queue, pushed_key.c.key == _key)
_KEY = select(pushed_key.c.until).where(_this_key)
_LEARN = add(pushed_key)
_FORGET_KEY = pushed_key.delete().where(_this_key)
_left = (
    select(handler.c.jid)
    .join_from(handler, attachment, attachment.c.id == handler.c.attachment)
    .where(
        handler.c.jid == bindparam("jid", type_=BigInteger),
        or_(attachment.c.live == constant(0), attachment.c.max_jobs == constant(0), handler.c.ended != constant(0)),
    )
)
_dead = select(batch.c.id).where(batch.c.id == bindparam("batch", type_=BigInteger), batch.c.hold == constant(ABANDONED))
_STOPPED = select(queue_table.c.id).where(
    queue_table.c.id == bindparam("id_", type_=BigInteger),
    or_(queue_table.c.paused != constant(0), exists(_left), exists(_dead)),
)
"""The queue is paused, or another handler is in force than the one of the job that asks, or none; or the job has ended, or the
process of it that asked: a request may be slower than the word of its sender's death."""
