"""Queues: nothing that was pushed is lost, and each message ends once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from picloud.store.db import Database
from picloud.store.queue import batch, dead, exchange, queue, tally
from picloud.store.queue.schema import NEVER
from picloud.wire.error import BadRequest, Conflict, NotFound
from picloud.wire.job import Failure
from picloud.wire.queue import Body, End, Hold, Output, Unit
from tests.contract.store.queuekeeper import Queues, Ticket, ended


@pytest.fixture
def q(db: Database) -> Queues:
    return Queues(db)


def test_what_is_pushed_is_popped_once(q: Queues) -> None:
    assert q.push("in", b"1", b"2", b"3") == 3
    assert sorted(q.pop("in", 2) + q.pop("in", 2)) == [b"1", b"2", b"3"]
    assert q.pop("in") == [] and q.count("in") == (0, 0, 0, 0, None)


def test_many_messages_and_large_ones(q: Queues) -> None:
    texts = [str(n).encode() * (1 + n % 1000) for n in range(2000)]
    for at in range(0, 2000, 500):
        q.push("in", *texts[at : at + 500])
    found: list[bytes] = []
    while some := q.pop("in", 1000):
        found += some
    assert sorted(found) == sorted(texts)


def test_a_delayed_message_is_not_there_before(q: Queues) -> None:
    q.push("in", b"later", delay_ms=5000)
    assert q.pop("in") == [] and q.count("in")[:3] == (1, 0, 1)
    q.now += 4999
    assert q.pop("in") == []
    q.now += 1
    assert q.pop("in") == [b"later"]


def test_a_repeated_push_is_one(q: Queues) -> None:
    token = q.token()
    assert q.push("in", b"1", b"2", token=token) == q.push("in", b"1", b"2", token=token) == 2
    assert q.count("in").waiting == 2
    with pytest.raises(Conflict):
        q.push("other", b"1", token=token)


def test_known_keys_are_not_pushed_again(q: Queues) -> None:
    assert q.push("in", b"a", b"b", b"A", keys=["a", "b", "a"]) == 2
    assert q.push("in", b"A", b"c", keys=["a", "c"]) == 1
    assert sorted(q.pop("in")) == [b"a", b"b", b"c"]
    assert q.push("in", b"a", keys=["a"]) == 0, "known although it was popped"
    q.now += 24 * 3_600_000 + 1
    assert q.push("in", b"a", keys=["a"]) == 1


def test_a_repeated_pop_has_the_same_answer_until_that_has_arrived(q: Queues) -> None:
    q.push("in", b"1", b"2", b"3")
    token = q.token()
    first = q.exchange("in", take=2, hold=Hold.removed, token=token)
    assert q.count("in").waiting == 1
    again = q.exchange("in", take=2, hold=Hold.removed, token=token)
    assert [each.id for each in again.messages] == [each.id for each in first.messages]
    assert q.exchange("in", take=2, hold=Hold.removed, received=token).messages[0].id not in {each.id for each in first.messages}
    assert q.exchange("in", take=2, hold=Hold.removed, token=token).messages == [], "it said that it has it"
    with pytest.raises(Conflict):
        q.exchange("in", take=2, token=token)
    with pytest.raises(BadRequest):
        q.exchange("in", take=2, token=b"short")


def test_a_ticket_holds_until_its_message_is_given_to_another(q: Queues) -> None:
    q.push("in", b"1")
    (first,) = q.take("in", deadline_ms=3000)
    assert q.take("in") == [] and q.count("in")[:2] == (0, 1)
    q.now += 3000
    assert q.count("in")[:2] == (1, 0), "late, and nobody else has it"
    (second,) = q.take("in", deadline_ms=3000)
    assert q.exchange("in", ended(first)).refused == [0]
    assert q.exchange("in", ended(second)).refused == []
    assert q.exchange("in", ended(second)).refused == [0], "twice"
    assert q.count("in") == (0, 0, 0, 0, None)


def test_a_deadline_is_moved(q: Queues) -> None:
    q.push("in", b"1")
    (one,) = q.take("in", deadline_ms=3000)
    q.exchange("in", ended(one, End.extend, delay_ms=60_000))
    q.now += 59_999
    assert q.take("in") == []
    q.now += 1
    assert len(q.take("in")) == 1


def test_a_stale_ticket_among_ten_harms_only_itself(q: Queues) -> None:
    q.push("in", *(str(n).encode() for n in range(10)))
    tickets = q.take("in", deadline_ms=3000)
    q.now += 3000
    (stolen,) = q.take("in", 1)
    at = next(at for at, each in enumerate(tickets) if each.message == stolen.message)
    units = [ended(each, outputs=[Output(index, 0)]) for index, each in enumerate(tickets)]
    found = q.exchange("in", *units, bodies=[Body(0, each.data) for each in tickets], queues=["out"])
    assert found.refused == [at]
    assert sorted(q.pop("out")) == sorted(each.data for each in tickets if each.message != stolen.message)
    assert q.count("in")[:2] == (0, 1)


def test_outputs_go_to_all_queues_with_one_body(q: Queues, db: Database) -> None:
    q.push("in", b"x" * 5000)
    (one,) = q.take("in")
    large = b"y" * 5000
    unit = ended(one, outputs=[Output(0, 0), Output(0, 1), Output(0, 2, 1000)])
    q.exchange("in", unit, bodies=[Body(0, large)], queues=["a", "b", "c"])
    assert db.read(lambda tx: tx.exec_driver_sql("SELECT copies FROM body").all()).result(10) == [(3,)]
    assert q.pop("a") == [large] and q.pop("c") == []
    q.now += 1000
    assert q.pop("b") == q.pop("c") == [large]
    q.act(batch.sweep, q.now + 1)
    assert db.read(lambda tx: tx.exec_driver_sql("SELECT count(*) FROM body").scalar_one()).result(10) == 0


def test_a_retry_comes_again_after_its_delay(q: Queues) -> None:
    q.push("in", b"1")
    for tried in range(3):
        found = q.exchange("in", take=1)
        assert [each.retries for each in found.messages] == [tried]
        q.exchange("in", Unit(found.messages[0].id, found.batch.id, End.retry, 2000))
        assert q.take("in") == []
        q.now += 2000
    assert q.count("in").waiting == 1


def test_what_failed_for_good_is_kept_and_can_be_replayed(q: Queues) -> None:
    q.push("in", b"[1]", b"y" * 5000)
    first, second = q.take("in")
    failure = Failure("exception", "ValueError: no", traceback="Traceback ..", type="ValueError")
    q.exchange("in", *(ended(each, End.dead, failure=failure, preview="=[1]") for each in (first, second)))
    assert q.count("in") == (0, 0, 0, 2, None)
    letters = q.dead("in")
    assert [(each.data, each.failure, each.preview, each.given) for each in letters] == [
        (second.data, failure, "=[1]", 1), (first.data, failure, "=[1]", 1)
    ]  # fmt: skip
    assert q.act(dead.replay, q.number("in"), [letters[0].id], q.now) == 1
    assert q.pop("in") == [letters[0].data] and q.count("in").dead == 1
    assert q.act(dead.remove, q.number("in"), None) == 1
    assert q.count("in") == (0, 0, 0, 0, None)


def test_what_nobody_reads_in_time_is_a_dead_letter(q: Queues) -> None:
    q.push("in", b"1")
    assert q.act(dead.expire, q.now + 10**12) == 0, "no retention: for ever"
    q.act(queue.change, q.account, "in", q.now, retention=60_000)
    q.push("in", b"2", delay_ms=30_000)
    assert q.act(dead.expire, q.now + 60_001) == 1
    (letter,) = q.dead("in")
    assert (letter.data, letter.failure.cause) == (b"1", "expired")
    assert q.count("in").waiting == 1


def test_what_a_job_holds_comes_back_when_it_ends(q: Queues) -> None:
    q.push("in", b"1", b"2", b"3")
    held = q.take("in", 2, jid=7)
    q.now += 10**9
    assert len(q.take("in", jid=8)) == 1, "a job has no deadline"
    assert q.bereaved(7, blamed=exchange.NOBODY) == {q.number("in")}
    assert q.exchange("in", ended(held[0]), jid=7).refused == [0]
    assert {each.message for each in q.take("in", jid=9)} == {each.message for each in held}


def test_a_message_that_kills_is_set_aside_and_its_neighbours_are_not(q: Queues) -> None:
    q.push("in", b"good", b"poison", b"fine", b"well")
    deaths = 0
    for jid in range(1, 50):
        while True:
            given = q.take("in", 10, jid=jid)
            if not given:
                break
            if any(each.data == b"poison" for each in given):
                q.bereaved(jid)
                deaths += 1
                break
            q.exchange("in", *map(ended, given), jid=jid)
        if q.count("in").waiting == 0:
            break
    (letter,) = q.dead("in")
    assert (letter.data, letter.failure.cause, letter.deaths) == (b"poison", "poison", 4) and deaths == 4
    assert q.count("in") == (0, 0, 0, 1, None)


def test_suspects_are_given_out_alone(q: Queues) -> None:
    q.push("in", b"1", b"2", b"3")
    q.take("in", 2, jid=1)
    q.bereaved(1)
    (alone,) = q.take("in", jid=2)
    assert alone.data in (b"1", b"2")
    assert q.take("in", jid=2) == [], "it holds a suspect"
    (other,) = q.take("in", jid=3)
    assert {alone.data, other.data} == {b"1", b"2"}
    (third,) = q.take("in", jid=4)
    assert third.data == b"3"
    assert q.exchange("in", ended(alone), jid=2).rung == {q.number("in")}


def test_a_reader_that_tells_what_killed_it_spares_the_others(q: Queues) -> None:
    q.push("in", b"1", b"2", b"3")
    given = q.take("in", jid=1)
    q.exchange("in", ended(given[0], End.killed), *(ended(each, End.back) for each in given[1:]), jid=1)
    assert len(q.take("in", jid=2)) == 1, "the suspect first"
    assert len(q.take("in", jid=3)) == 2, "the others together"


def test_a_replay_of_all_leaves_what_dies_meanwhile(q: Queues) -> None:
    def die() -> None:
        (held,) = q.take("in")
        q.exchange("in", ended(held, End.dead))

    q.push("in", b"1")
    assert q.act(dead.newest, q.number("in")) == 0
    die()
    newest = q.act(dead.newest, q.number("in"))
    assert q.act(dead.replay, q.number("in"), None, q.now, newest) == 1
    die()  # it fails each time
    assert q.act(dead.replay, q.number("in"), None, q.now, newest) == 0
    assert [letter.data for letter in q.dead("in")] == [b"1"]


def test_a_setting_makes_the_queue(q: Queues) -> None:
    number = q.act(queue.change, q.account, "new", q.now, retention=5000)
    found = q.act(queue.find, q.account, "new")
    assert (found.id, found.retention, found.paused) == (number, 5000, 0)
    assert q.act(queue.change, q.account, "new", q.now, paused=True) == number
    assert q.act(queue.find, q.account, "new")[3:5] == (1, 5000)


def test_a_paused_queue_gives_to_nobody_but_those_who_pop(q: Queues) -> None:
    q.push("in", b"1")
    q.act(queue.change, q.account, "in", q.now, paused=True)
    assert q.take("in", jid=1) == []
    assert q.pop("in") == [b"1"]


def test_purge_spares_what_is_in_hand(q: Queues) -> None:
    q.push("in", b"1", b"2", b"3")
    (held,) = q.take("in", 1)
    assert q.act(queue.purge, q.number("in"), q.now) == 2
    assert q.exchange("in", ended(held)).refused == [] and q.count("in") == (0, 0, 0, 0, None)


def test_a_deleted_queue_is_a_new_one_when_it_is_used_again(q: Queues) -> None:
    q.push("in", b"1", b"z" * 5000)
    (held,) = q.take("in", 1)
    assert q.act(queue.remove, q.account, "in") and not q.act(queue.remove, q.account, "in")
    with pytest.raises(NotFound):
        q.count("in")
    q.push("in", b"2")
    assert q.exchange("in", ended(held)).refused == [0]
    assert q.pop("in") == [b"2"]
    while q.act(queue.forget):
        pass
    assert q.push("in", b"3") == 1 and q.pop("in") == [b"3"]


def test_another_account_has_other_queues(q: Queues, db: Database) -> None:
    q.push("in", b"1")
    (held,) = q.take("in")
    bob = Queues(db, 2)
    assert bob.pop("in") == [] and bob.exchange("in", ended(held)).refused == [0]
    assert [each.name for each in bob.act(queue.every, 2)] == ["in"]


def test_a_message_is_not_ended_twice_in_one_request(q: Queues) -> None:
    q.push("in", b"1")
    (held,) = q.take("in")
    with pytest.raises(BadRequest):
        q.exchange("in", ended(held), ended(held))
    assert q.exchange("in", ended(held)).refused == []


def test_what_happened_is_counted(q: Queues) -> None:
    q.push("in", b"1", b"2", b"3", b"4")
    first, second, third, _ = q.take("in", jid=1)
    q.exchange("in", ended(first), ended(second, End.failed), ended(third, End.retry), jid=1)
    q.push("in", b"5")
    number = q.number("in")
    begin = q.now - q.now % tally.WINDOW
    assert q.act(tally.read, [number], 0) == {number: [(begin, tally.Happened(came=5, went=2, failed=1, retried=1))]}
    assert q.act(tally.expire, begin + 1) == 1


def test_a_popped_message_that_cannot_be_read_is_set_aside(q: Queues) -> None:
    q.push("in", b"1")
    found = q.exchange("in", take=1, hold=Hold.removed)
    bad = Ticket(found.messages[0].id, found.batch.id, b"")
    q.exchange("in", ended(bad, End.dead, failure=Failure("cannot_load", "no such class")))
    assert q.count("in") == (0, 0, 0, 1, None)


def test_two_at_once_get_different_messages(q: Queues, other: Database) -> None:
    q.push("in", *(str(n).encode() for n in range(500)))
    twin = Queues(other)

    def drain(mine: Queues) -> list[bytes]:
        found: list[bytes] = []
        while some := mine.pop("in", 7):
            found += some
        return found

    with ThreadPoolExecutor(4) as pool:
        found = [each for some in pool.map(drain, [q, twin, q, twin]) for each in some]
    assert sorted(found) == sorted(str(n).encode() for n in range(500))
    assert q.count("in")[:2] == (0, 0)


def test_what_a_dead_process_of_a_job_was_given_comes_back_and_nothing_more_is_given(q: Queues) -> None:
    arrived, late, waiting = q.token(), q.token(), q.token()
    q.push("in", b"1", b"2")
    assert len(q.take("in", jid=7, token=arrived)) == 2, "and the answer was never read"
    q.push("other", b"")
    assert q.exchange("in", jid=7, abandoned=arrived).rung == {q.number("in")}
    found = q.exchange("other", take=1, jid=7)
    q.exchange("in", jid=7, abandoned=late)
    with pytest.raises(Conflict):
        q.exchange("in", take=1, jid=7, token=late)
    assert len(q.take("in", jid=8, token=waiting)) == 2 and found.messages
    with pytest.raises(Conflict):
        q.exchange("in", jid=9, abandoned=waiting)
    empty = q.exchange("in", take=1, jid=7, token=q.token())
    waited = q.exchange("in", take=1, jid=7, token=(token := q.token()))
    q.exchange("in", jid=7, abandoned=token)
    q.push("in", b"3")
    assert q.act(exchange.more, waited.batch, 1, NEVER, q.now) == []
    assert len(q.act(exchange.more, empty.batch, 1, NEVER, q.now)) == 1
