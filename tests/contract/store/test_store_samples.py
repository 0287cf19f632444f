"""Samples and output as those read them who read along, and the figures of ended attempts, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from picloud.store import job, log, retention, sample
from picloud.store.act import info
from picloud.store.db import Database
from picloud.wire.message import Figures, LogChunk, Sample
from tests.contract.store.storekeeper import Keeper, done


def samples(jid: int, *moments: int, n: int = 1) -> list[Sample]:
    """Samples at these milliseconds."""
    return [Sample(jid, n, at, at, at // 2, 1 << 40, 1 << 41, refused=None, disk_read=at) for at in moments]


@pytest.fixture
def keeper(db: Database) -> Keeper:
    return Keeper(db)


@pytest.fixture
def jid(keeper: Keeper) -> int:
    return keeper.map(2).first


def test_samples_come_back_by_time_each_once(keeper: Keeper, jid: int) -> None:
    keeper.write(sample.keep, [(jid, 1, 250, samples(jid, 250, 2250))])
    keeper.write(sample.keep, [(jid, 1, 250, samples(jid, 250, 2250, 4250)), (jid, 1, sample.LAST, samples(jid, 4250, 6250))])
    keeper.write(sample.keep, [(jid + 1, 1, 250, samples(jid + 1, 250))])
    assert keeper.read(sample.read, keeper.account, jid) == samples(jid, 250, 2250, 4250, 6250)
    assert keeper.read(sample.read, keeper.account, jid + 1) == samples(jid + 1, 250)


def test_the_newest_attempt_is_meant(keeper: Keeper, jid: int) -> None:
    keeper.write(sample.keep, [(jid, 1, 250, samples(jid, 250)), (jid, 2, 300, samples(jid, 300, n=2))])
    assert keeper.read(sample.read, keeper.account, jid) == samples(jid, 300, n=2)
    assert keeper.read(sample.read, keeper.account, jid, 1) == samples(jid, 250)


def test_samples_are_the_account_s_own(keeper: Keeper, db: Database, jid: int) -> None:
    keeper.write(sample.keep, [(jid, 1, 250, samples(jid, 250))])
    assert keeper.read(sample.read, Keeper(db, "bob").account, jid) == []


def test_samples_go_with_the_payloads(keeper: Keeper, jid: int) -> None:
    worker = keeper.worker()
    for lease in keeper.take(worker):
        keeper.finish(worker, done(lease))
    keeper.write(sample.keep, [(jid, 1, 250, samples(jid, 250)), (jid + 1, 1, 250, samples(jid + 1, 250))])
    keeper.write(job.delete, keeper.account, [(jid, 1)])
    keeper.write(sample.keep, [(jid, 1, 250, samples(jid, 250))])  # told after the job was deleted
    assert keeper.read(sample.read, keeper.account, jid) == []
    assert keeper.read(sample.read, keeper.account, jid + 1) != []
    keeper.write(retention.payloads, keeper.now + 1)
    assert keeper.read(sample.read, keeper.account, jid + 1) == []


def test_the_figures_of_a_sampled_attempt_are_in_its_line(keeper: Keeper, jid: int) -> None:
    worker = keeper.worker()
    sampled, short = keeper.take(worker)
    ending = done(sampled)
    ending.figures = Figures(memory_limit=1 << 30, swap=0, refused=3, disk_written=7)
    ending.peak_memory = 1 << 20
    keeper.finish(worker, ending, done(short))
    found = keeper.read(info.read, keeper.account, [(jid, 2)])
    assert found[jid]["memory"] == {
        "usage": None, "max_usage": 1 << 20, "failcnt": 3, "limit": 1 << 30, "cache": None, "limit_hits": None,
        "kernel_kills": None,
    }  # fmt: skip
    assert (found[jid]["swap"], found[jid]["disk"]["written"]) == ({"usage": None, "max_usage": 0}, 7)
    assert found[jid]["attempts"][0]["memory"]["failcnt"] == 3
    assert set(found[short.jid]["memory"].values()) == {None}
    assert found[short.jid]["network"] == {"in": None, "out": None}


def test_a_reader_goes_on_where_it_was(keeper: Keeper, jid: int) -> None:
    worker = keeper.worker()
    keeper.take(worker)

    def printed(offset: int, data: bytes, stream: str = "stdout", now: int = 5_000) -> None:
        keeper.write(log.append, worker, [LogChunk(jid, 1, stream, offset, data)], 1 << 20, 1 << 20, now)

    def read(offset: int, stream: str = "stdout", since: int = 0, limit: int = 10) -> list[Any]:
        found = keeper.read(log.after, keeper.account, jid, stream, 1, offset, since, limit)
        return [(one.n, one.offset, one.data) for one in found]

    assert keeper.read(log.newest, keeper.account, jid) == 0
    printed(0, b"one\n")
    printed(4, b"\xff\x00two", now=6_000)
    printed(0, b"bad\n", "stderr")
    assert keeper.read(log.newest, keeper.account, jid) == 1
    assert read(0) == [(1, 0, b"one\n"), (1, 4, b"\xff\x00two")]
    assert read(4) == read(0, since=6_000) == [(1, 4, b"\xff\x00two")]
    assert read(0, limit=1) == [(1, 0, b"one\n")]
    assert read(9) == []
    assert read(0, "stderr") == [(1, 0, b"bad\n")]
    assert keeper.read(log.after, keeper.account + 1, jid, "stdout", 1, 0, 0, 10) == []
