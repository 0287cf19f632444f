"""Webhooks of a real server: every end of a job, restarts, commands."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

import cloud
from cloud import _session
from picloud.wire.error import BadRequest, Forbidden, NotFound
from tests.conftest import PICLOUD, Server, serving
from tests.flow.test_crons import until
from tests.unit.server.receiver import Receiver, receiving

pytestmark = [pytest.mark.slow, pytest.mark.live]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One that may tell this machine something, and that this module may kill."""
    with serving('webhook_networks = ["127.0.0.0/8", "::1"]\n') as started:
        yield started


@pytest.fixture(scope="module")
def secret(server: Server) -> str:
    """What signs for ``_webhook``."""
    with pytest.raises(NotFound, match="nothing signs for _webhook yet"):
        cloud.call(abs, -1, _webhook="https://example.org/")
    return cloud.webhook.secret()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def told(receiver: Receiver, secret: str, count: int) -> dict[int, dict[str, Any]]:
    """What came, by jid; each is signed."""
    found = [cloud.webhook.verify(secret, got.headers, got.body) for got in receiver.wait(count)]
    assert len({one["id"] for one in found}) == len(found) == count
    return {one["data"]["jid"]: one for one in found}


def test_each_end_of_a_job_is_told(server: Server, secret: str, receiver: Receiver) -> None:
    url = f"{receiver.url}/jobs?of=mine"
    good, bad = cloud.call(abs, -1, _webhook=url, _label="here"), cloud.call(lambda: 1 / 0, _webhook=url)
    waits = cloud.call(abs, -1, _webhook=url, _depends_on=bad)
    sleeps = cloud.call(time.sleep, 600, _webhook=url)
    until(lambda: cloud.status(sleeps) == "processing")
    cloud.kill(sleeps)
    quiet = cloud.call(abs, -2)
    many = cloud.map(lambda x: x, range(20), _webhook=url)
    assert cloud.result(quiet) == 2
    found = told(receiver, secret, 24)
    assert {jid: found[jid]["type"] for jid in (good, bad, waits, sleeps)} == {
        good: "job.done", bad: "job.error", waits: "job.stalled", sleeps: "job.killed",
    }  # fmt: skip
    assert set(found) == {good, bad, waits, sleeps, *many}
    assert found[good]["data"] | {"runtime": 0} == {
        "jid": good, "status": "done", "cause": None, "label": "here", "function": "abs", "runtime": 0,
    }  # fmt: skip
    assert found[bad]["data"]["cause"] == "exception"
    assert {got.path for got in receiver.got} == {"/jobs?of=mine"}
    rows = until(lambda: all(one["state"] == "delivered" for one in cloud.webhook.deliveries()) and cloud.webhook.deliveries())
    assert len(rows) == 24 and {row["answer"] for row in rows} == {204}
    assert [row["id"] for row in cloud.webhook.deliveries(2, before=rows[1]["id"])] == [rows[2]["id"], rows[3]["id"]]


def test_a_label_and_a_cron(server: Server, secret: str, receiver: Receiver) -> None:
    own = cloud.webhook.set("nightly", f"{receiver.url}/label")
    cloud.cron.register(dict, "nightly", "@yearly")
    cloud.cron.register(dict, "other", "@yearly", _webhook=f"{receiver.url}/job")
    first, second = cloud.cron.manual_run("nightly"), cloud.cron.manual_run("other")
    receiver.wait(2)
    by_path = {got.path: got for got in receiver.got}
    assert cloud.webhook.verify(own, by_path["/label"].headers, by_path["/label"].body)["data"]["jid"] == first
    assert cloud.webhook.verify(secret, by_path["/job"].headers, by_path["/job"].body)["data"]["jid"] == second
    assert [(one["label"], one["url"]) for one in cloud.webhook.list()] == [("", ""), ("nightly", f"{receiver.url}/label")]
    cloud.webhook.remove("nightly")
    for label in ("nightly", "other"):
        cloud.cron.deregister(label)
    with pytest.raises(NotFound):
        cloud.webhook.remove("nightly")


def test_what_was_not_delivered_survives_a_killed_server(server: Server, secret: str, receiver: Receiver) -> None:
    receiver.answers = [500]
    jid = cloud.call(abs, -1, _webhook=receiver.url)
    (row,) = until(lambda: [one for one in cloud.webhook.deliveries(1) if one["jid"] == jid and one["tries"]])
    assert (row["tries"], row["state"], row["answer"], row["trouble"]) == (1, "waiting", 500, "answered 500")
    assert 4 < (row["due"] - row["created"]).total_seconds() < 10
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not os.path.exists(f"/proc/{server.pid}/fd/0"))
    with sqlite3.connect(server.home / "picloud.sqlite", timeout=20) as tx:
        tx.execute("UPDATE delivery SET due = 1 WHERE due IS NOT NULL")
    tx.close()
    server.pid = server.picloud("up")["pid"]
    first, second = receiver.wait(2)
    assert first.body == second.body and first.headers["webhook-id"] == second.headers["webhook-id"] == row["event"]
    until(lambda: cloud.webhook.deliveries(1)[0]["state"] == "delivered")


def test_where_it_may_not_go(server: Server, secret: str) -> None:
    for url, why in [("http://10.0.0.1/", "not public"), ("http://169.254.169.254/x", "not public"), ("ftp://x.org", "no URL"),
                     ("https://me:pw@example.org", "no name and password")]:  # fmt: skip
        with pytest.raises(BadRequest, match=why):
            cloud.call(abs, -1, _webhook=url)
        with pytest.raises(BadRequest, match=why):
            cloud.webhook.set("label", url)
    with pytest.raises(TypeError):
        cloud.call(abs, -1, _webhook=5)
    assert [one["label"] for one in cloud.webhook.list()] == [""]


def test_a_job_may_name_an_address_and_set_none(server: Server, secret: str, receiver: Receiver) -> None:
    def inside(url: str) -> str:
        cloud.call(abs, -1, _webhook=url)
        try:
            cloud.webhook.set("mine", url)
        except Forbidden as error:
            return error.parameter
        return ""

    assert "admin" in cloud.result(cloud.call(inside, receiver.url))
    receiver.wait(1)


def test_commands(server: Server, secret: str, receiver: Receiver) -> None:
    def picloud(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PICLOUD_HOME": str(server.home)}
        return subprocess.run([*PICLOUD, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)

    own = picloud("webhook", "set", "shell", f"{receiver.url}/label").stdout.strip()
    jid = int(picloud("exec", "-l", "shell", "true").stdout)
    assert set(told(receiver, own, 1)) == {jid}
    made = server.picloud("webhook", "secret")["secret"]
    jid = int(picloud("exec", "--webhook", f"{receiver.url}/job", "true").stdout)
    last = receiver.wait(2)[-1]
    assert cloud.webhook.verify(made, last.headers, last.body)["data"]["jid"] == jid
    with pytest.raises(ValueError, match="not signed"):
        cloud.webhook.verify(secret, last.headers, last.body)
    assert f"{receiver.url}/label" in picloud("webhook", "list").stdout
    until(lambda: "waiting" not in picloud("webhook", "deliveries").stdout)
    assert server.picloud("webhook", "deliveries")[0]["jid"] == jid
    assert picloud("webhook", "rm", "shell").returncode == 0
    assert picloud("webhook", "rm", "shell").returncode == 3
    assert picloud("exec", "--webhook", "nothing", "true").returncode in (2, 3)


@pytest.mark.parametrize("body", [{"label": "x" * 300, "url": "https://example.org"}, {"label": "é", "url": "https://example.org"},
                                  {"url": "https://example.org"}, {"label": "a"}, {"label": 5}, []], ids=range(6))  # fmt: skip
def test_the_server_checks_for_itself(server: Server, secret: str, body: Any) -> None:
    with pytest.raises(BadRequest):
        _session.session().link.json("POST", "/v1/webhook", body)
    for query in ("limit=0", "limit=1001", "limit=x", "before=-1", f"before={'9' * 40}"):
        with pytest.raises(BadRequest):
            _session.session().link.json("GET", f"/v1/webhook/delivery?{query}")
