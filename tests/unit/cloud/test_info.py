from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fake import Fake

from cloud import _info
from cloud.job import Verbs
from picloud.wire.error import NotFound


def test_info(jobs: Verbs) -> None:
    jid = jobs.call(abs, -1)
    jobs.join(jid)
    assert jobs.info(jid) == {jid: {"stdout": "hi", "stderr": None, "status": "done", "runtime": None}}
    assert jobs.info([jid], ["created", "memory.max_usage"])[jid] == {
        "created": datetime.fromtimestamp(1, UTC), "memory.max_usage": None}  # fmt: skip
    assert jobs.info(jid, "status") == {jid: {"status": "done"}}
    assert jobs.info([]) == {}
    assert len(jobs.info(jid, "all")[jid]) > 20
    with pytest.raises(ValueError, match="did you mean status"):
        jobs.info(jid, "statu")
    with pytest.raises(TypeError):
        jobs.info(jid, [1])
    with pytest.raises(NotFound):
        jobs.info(99)


def test_kill_and_delete(jobs: Verbs, fake: Fake) -> None:
    fake.held.clear()
    jids = jobs.map(abs, range(3))
    jobs.kill([])
    assert jobs.status(jids[0]) == "queued"
    jobs.kill(jids[1])
    assert jobs.status(jids) == ["queued", "killed", "queued"]
    jobs.kill()
    assert jobs.status(jids) == ["killed"] * 3
    jobs.delete(jids)
    with pytest.raises(NotFound):
        jobs.status(jids)


def test_jobs(jobs: Verbs, fake: Fake) -> None:
    jids = jobs.map(abs, range(3))
    rows = jobs.jobs(state="done", since=datetime.now(UTC), label="a", func="abs")
    assert [row["jid"] for row in rows] == [*jids][::-1]
    assert rows[0]["created"] == datetime.fromtimestamp(1, UTC)
    assert "state=done&label=a&func=abs&since=" in fake.log[-1][1]
    for wrong in ({"state": "finished"}, {"limit": 0}):
        with pytest.raises(ValueError):
            jobs.jobs(**wrong)
    for wrong in ({"label": 1}, {"limit": "1"}, {"since": "today"}):
        with pytest.raises(TypeError):
            jobs.jobs(**wrong)


def test_info_of_very_many_jobs_is_asked_in_batches(jobs: Verbs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_info, "BATCH", 3)
    jids = jobs.map(abs, range(7))
    jobs.join(jids)
    assert jobs.info(jids, "status") == {jid: {"status": "done"} for jid in jids}


def test_a_label_that_no_job_can_have(jobs: Verbs) -> None:
    with pytest.raises(ValueError, match="label has 1000000 characters"):
        jobs.jobs(label="x" * 1_000_000)
