"""Reserved cores as their users meet them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cloud
from cloud._stored import link
from picloud.wire.error import BadRequest, CloudException, NotFound, SetupError
from tests.conftest import Server, serving

C2 = 130_000


def until(condition: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """The first true value; fails when the time is up."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def square(x: int) -> int:
    return x * x


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """A server of these tests' own: what they reserve, others do not get."""
    with serving() as started:
        yield started


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> Iterator[None]:
    if "own" in request.fixturenames:
        request.getfixturevalue("own").use()
    yield
    if "own" in request.fixturenames:
        for one in cloud.realtime.list():
            cloud.realtime.release(one["request_id"])


def one(number: int) -> dict[str, Any]:
    (found,) = cloud.realtime.list(number)
    return found


def reserve(cores: int = 1, core_type: str = "c2", hours: int | None = None) -> int:
    """Cores that are ready."""
    made = cloud.realtime.request(core_type, cores, hours)
    number = int(made["request_id"])
    until(lambda: one(number)["start_time"], "they were never ready")
    return number


def ended(number: int) -> dict[str, Any]:
    """A released reservation that is over."""
    cloud.realtime.release(number)
    until(lambda: one(number)["state"] == "ended", "it does not end")
    return one(number)


def paid() -> int:
    """What all reservations together have cost."""
    return sum(int(row["amount"]) for row in cloud.usage("function") if row["function"] == "cloud.realtime")


def milliseconds(told: dict[str, Any]) -> int:
    return round((told["end_time"] - told["start_time"]).total_seconds() * 1000)


def reserved_workers(server: Server) -> list[dict[str, Any]]:
    return [each for each in server.picloud("status")["workers"] if each["reserved"]]


def test_cores_are_ready_paid_to_the_unit_and_jobs_on_them_cost_nothing(own: Server) -> None:
    before = paid()
    made = cloud.realtime.request("c2", 2, max_duration=3)
    assert made["start_time"] is None and (made["type"], made["cores"], made["max_duration"]) == ("c2", 2, 3)
    number = made["request_id"]
    until(lambda: one(number)["start_time"], "they were never ready")
    assert one(number)["state"] == "ready" and [each["slots"] for each in reserved_workers(own)] == [2]
    for x in range(10):  # two at a time: what is more than is reserved may run elsewhere, at its price
        jids = cloud.map(square, (x, -x), _type="c2")
        assert cloud.result(jids) == [x * x, x * x]
        assert all(not each["cost"]["amount"] for each in cloud.info(jids, "cost").values())
    jid = cloud.call(square, 3, _type="c1")
    cloud.result(jid)
    assert cloud.info(jid, "cost")[jid]["cost"]["amount"] > 0
    told = ended(number)
    assert paid() - before == told["cost"] == milliseconds(told) * 2 * C2 and told["why"] == "released by hand"
    over = link("reservations").json("GET", "/v1/realtime?ended=5")["reservations"]
    assert [(each["request_id"], each["cost"]) for each in over if each["state"] == "ended"][:1] == [(number, told["cost"])]
    until(lambda: not reserved_workers(own), "its worker stays")
    total = own.picloud("usage")["total"]["amount"]
    assert total == sum(row["amount"] for row in cloud.usage("type"))


def test_jobs_begin_while_thousands_wait_and_all_cores_are_busy(own: Server) -> None:
    number = reserve()
    waiting = cloud.map(spin, [30] * 10_000, _type="c1")
    try:
        until(lambda: cloud.status(waiting[:2]) == ["processing"] * 2, "nothing is busy")
        for x in range(5):
            assert cloud.result(cloud.call(square, x, _type="c2"), timeout=20) == x * x
        assert "done" not in cloud.status(waiting)
    finally:
        cloud.kill(waiting)
    ended(number)


def test_released_cores_are_paid_until_their_job_has_ended(own: Server) -> None:
    before, number = paid(), reserve(2)
    jid = cloud.call(time.sleep, 1.5, _type="c2")
    until(lambda: cloud.status(jid) == "processing", "it does not run")
    assert cloud.realtime.release(number)["state"] == "releasing"
    with pytest.raises(BadRequest, match="released by hand"):
        cloud.realtime.change_max_duration(number, 5)
    cloud.join(jid)
    told = until(lambda: one(number)["state"] == "ended" and one(number), "it does not end")
    assert milliseconds(told) >= 1300, "the job ran for longer than that"
    assert milliseconds(told) * C2 < paid() - before < milliseconds(told) * 2 * C2, "one of the two cores was free at once"


def test_what_cannot_be_is_refused(own: Server, capfd: pytest.CaptureFixture[str]) -> None:
    from picloud.cli import main

    with pytest.raises(BadRequest) as refused:
        cloud.realtime.request("c1", 10_000)
    assert refused.value.facts["asked"] > refused.value.facts["reservable"] and refused.value.facts["reserved"] == 0
    assert main.run(["realtime", "request", "c1", "10000"]) == 3
    assert "10000 compute units" in capfd.readouterr().err
    with pytest.raises(BadRequest, match="core types"):
        cloud.realtime.request("c9", 1)
    wrong: list[tuple[Any, ...]] = [
        (1, 1),
        ("c1", 0),
        ("c1", -1),
        ("c1", 1.5),
        ("c1", True),
        ("c1", "1"),
        ("c1", 1, 0),
        ("c1", 1, 1.5),
    ]
    for words in wrong:
        with pytest.raises(TypeError):
            cloud.realtime.request(*words)
    for nothing in (0, -1, 1.5, "x", True):
        with pytest.raises(TypeError):
            cloud.realtime.release(nothing)  # type: ignore[arg-type]
    for act in (cloud.realtime.release, cloud.realtime.list, cloud.realtime.change_max_duration):
        with pytest.raises(NotFound):
            act(123_456)
    assert cloud.realtime.list() == []
    cloud.start_simulator()
    with pytest.raises(SetupError):
        cloud.realtime.list()
    own.use()


def test_nobody_else_s_but_the_owner_may_release_everybody_s(own: Server) -> None:
    made = own.picloud("admin", "account", "add", "neighbour")
    number = reserve()
    cloud.setkey(made["api_key"], made["api_secretkey"], own.url)
    for act in (cloud.realtime.release, cloud.realtime.list, cloud.realtime.change_max_duration):
        with pytest.raises(NotFound):
            act(number)
    assert cloud.realtime.list() == []
    theirs = cloud.realtime.request("c1", 1)["request_id"]
    own.use()
    assert own.picloud("realtime", "release", str(theirs))[0]["state"] == "ended"
    with pytest.raises(NotFound):
        one(theirs)
    ended(number)


def test_the_command_line(own: Server) -> None:
    (made,) = own.picloud("realtime", "request", "c2", "1", "-m", "2")
    number = str(made["request_id"])
    assert [each["request_id"] for each in own.picloud("realtime", "list")] == [made["request_id"]]
    until(lambda: own.picloud("realtime", "list", number)[0]["start_time"], "never ready")
    (shown,) = own.picloud("status")["reserved"]
    assert (shown["type"], shown["cores"], shown["account"]) == ("c2", 1, own.account())
    (changed,) = own.picloud("realtime", "change-max-duration", number, "5")
    assert changed["max_duration"] == 5 and changed["end_time"]
    assert own.picloud("realtime", "change-max-duration", number)[0]["end_time"] is None
    assert own.picloud("realtime", "release", number)[0]["state"] in ("releasing", "ended")
    assert own.picloud("realtime", "list") == []


def test_a_killed_worker_comes_back(own: Server) -> None:
    number = reserve()
    (before,) = reserved_workers(own)
    os.kill(before["pid"], signal.SIGKILL)
    until(
        lambda: [each["pid"] for each in reserved_workers(own) if each["slots"] and each["pid"] != before["pid"]], "no other came"
    )
    jid = cloud.call(square, 4, _type="c2")
    assert cloud.result(jid) == 16 and not cloud.info(jid, "cost")[jid]["cost"]["amount"]
    ended(number)


def test_another_environment_uses_the_reservation_too(own: Server) -> None:
    number = reserve()
    cloud.volume.create("reserved", "reserved")

    def is_free(more: dict[str, str]) -> bool:
        jid = cloud.call(square, 4, _type="c2", **more)
        assert cloud.result(jid) == 16
        return not cloud.info(jid, "cost")[jid]["cost"]["amount"]

    for more in ({}, {"_vol": "reserved"}, {}):  # while the core changes, an idle one outside may take a job, at its price
        until(lambda more=more: is_free(more), "the reserved core never took it")
    ended(number)


def test_they_outlive_a_restart_and_are_warm_again_after_a_stop() -> None:
    with serving() as server:
        number = reserve()
        begin = one(number)["start_time"]
        (before,) = reserved_workers(server)
        server.picloud("restart")
        (after,) = until(lambda: [each for each in reserved_workers(server) if each["connected"]], "its worker is lost")
        assert after["pid"] == before["pid"], "workers live on"
        assert cloud.result(cloud.call(square, 3, _type="c2")) == 9
        log = Path(server.home) / "server.log"
        server.picloud("down")
        stopped = time.time()
        assert log.exists()
        time.sleep(1.0)  # what is not paid
        server.picloud("up", "--port", server.url.rsplit(":", 1)[1])
        until(lambda: [each for each in reserved_workers(server) if each["slots"]], "not warm again")
        assert one(number)["start_time"] == begin and time.time() - stopped >= 1
        cloud.result(cloud.call(square, 3, _type="c2"))
        told = ended(number)
        assert 0 < paid() <= (milliseconds(told) - 1000) * C2


def test_without_credit_they_end_and_say_why() -> None:
    with serving("free_hours = 0\nspending_stops = true\n") as server:
        until(lambda: server.picloud("status")["money"]["stopped"], "nothing is stopped")
        with pytest.raises(BadRequest, match="no credit is left"):
            cloud.realtime.request("c2", 1)
        server.picloud("admin", "grant", server.account(), "0.0001", "--reason", "three seconds of a c2 core")
        until(lambda: not server.picloud("status")["money"]["stopped"], "the grant was not seen")
        number = reserve()
        told = until(lambda: one(number)["state"] == "ended" and one(number), "it goes on without credit", 40)
        assert told["why"] == "no credit is left"
        assert paid() == milliseconds(told) * C2
        with pytest.raises(CloudException, match="no credit is left"):
            cloud.realtime.request("c2", 1)
