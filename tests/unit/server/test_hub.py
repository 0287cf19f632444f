"""Subscribers get every finished job of theirs once, however it reaches the hub."""

import msgspec
import pytest

from picloud.server import hub as hubs
from picloud.server.hub import Hub, Watcher
from picloud.wire.error import Unavailable
from picloud.wire.message import Finished

decode = msgspec.msgpack.Decoder(list[Finished]).decode


def received(watcher: Watcher) -> list[int]:
    sent, jids = watcher.take(), []
    while sent:
        size = int.from_bytes(sent[:4], "big")
        jids += [item.jid for item in decode(sent[4 : 4 + size])]
        sent = sent[4 + size :]
    return jids


def finished(*jids: int) -> list[Finished]:
    return [Finished(jid, 3, b"x") for jid in jids]


def test_only_wanted_jids_and_each_once() -> None:
    hub, watcher = Hub(), Watcher(1, [(10, 5), (20, 1)], True)
    hub.add(watcher)
    hub.publish(finished(9, 10, 12, 15, 20))
    hub.publish(finished(10, 11))
    assert received(watcher) == [10, 12, 20, 11]
    assert watcher.left == 2
    assert watcher.unseen() == [(13, 2)]


def test_wide_subscribers_are_served_like_narrow_ones() -> None:
    hub, watcher = Hub(), Watcher(1, [(1, 5000)], True)
    hub.add(watcher)
    hub.publish(finished(*range(1, 5001, 2)))
    assert received(watcher) == list(range(1, 5001, 2))
    hub.remove(watcher)
    hub.publish(finished(2))
    assert received(watcher) == []


def test_overlapping_ranges_count_once() -> None:
    watcher = Watcher(1, [(1, 10), (5, 10), (1, 1)], True)
    assert watcher.left == 14


def test_a_slow_reader_falls_behind_and_says_what_it_lacks(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(hubs, "QUEUE_BYTES", 10)
    watcher = Watcher(1, [(1, 4)], True)
    watcher.offer(finished(1, 2, 3))
    watcher.offer(finished(4))
    assert watcher.behind
    assert watcher.unseen() == [(4, 1)]
    assert received(watcher) == [1, 2, 3]


def test_join_carries_no_payload() -> None:
    watcher = Watcher(1, [(1, 1)], False)
    watcher.offer(finished(1))
    (item,) = decode(watcher.take()[4:])
    assert item.data is None
    assert item.status == 3


def test_removed_narrow_subscribers_leave_nothing_behind() -> None:
    hub, watcher = Hub(), Watcher(1, [(1, 3)], True)
    hub.add(watcher)
    hub.publish(finished(1))
    hub.remove(watcher)
    assert hub._narrow == {}
    assert hub._all == set()


def test_the_newest_jobs_are_remembered_for_their_account_alone() -> None:
    hub = Hub()
    hub.expect(1, 10, 2)
    fresh = Watcher(1, [(10, 2)], True)
    assert hub.recall(fresh)
    assert received(fresh) == []
    hub.publish(finished(10))
    late = Watcher(1, [(10, 2)], True)
    assert hub.recall(late)
    assert received(late) == [10]
    assert not hub.recall(Watcher(2, [(10, 1)], True))
    assert not hub.recall(Watcher(1, [(9, 2)], True))


def test_what_became_final_without_a_result_is_read_from_the_store() -> None:
    hub, watcher = Hub(), Watcher(1, [(10, 2)], True)
    hub.expect(1, 10, 2)
    hub.add(watcher)
    hub.recheck([(11, 1)])
    assert watcher.behind
    assert not hub.recall(Watcher(1, [(10, 1)], True))


def test_large_results_are_not_remembered(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(hubs, "RECENT_BYTES", 0)
    hub = Hub()
    hub.expect(1, 10, 1)
    hub.publish(finished(10))
    assert not hub.recall(Watcher(1, [(10, 1)], True))


def test_a_server_that_stops_ends_its_streams_and_opens_none() -> None:
    hub, early, late = Hub(), Watcher(1, [(1, 1)], True), Watcher(1, [(1, 1)], True)
    hub.add(early)
    hub.close()
    assert early.closed
    assert early.wake.is_set()
    with pytest.raises(Unavailable):
        hub.add(late)
