"""What work costs, who may spend what, and what happens to whoever has nothing left."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cloud
from picloud.wire.error import BadRequest, CloudException, Forbidden, NotFound, SetupError
from picloud.wire.money import DOLLAR
from tests.conftest import Server, serving


def until(condition: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """The first true value; fails when the time is up."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def square(x: int) -> int:
    return x * x


# -- an ordinary server -----------------------------------------------------------------------------------------------


def test_a_job_s_cost_is_in_its_info_and_in_the_usage(server: Server) -> None:
    server.use()
    jids = cloud.map(square, range(5), _label="money", _type="c1")
    cloud.result(jids)
    info = cloud.info(jids, ["cost", "attempts"])
    lines = [one["attempts"][0] for one in info.values()]
    assert all(one["price"] == 50_000 and one["amount"] == round(one["billed"] * 1000) * 50_000 > 0 for one in lines)
    assert all(not one["cost"]["estimate"] and one["cost"]["dollars"] > 0 for one in info.values())
    (row,) = [one for one in cloud.usage("label") if one["label"] == "money"]
    assert (row["attempts"], row["amount"]) == (5, sum(one["amount"] for one in lines))
    found = {one["job"]: one for one in cloud.usage("job", limit=10)}
    assert found[jids[0]]["function"] == "square"
    assert cloud.credit()["spent"] >= row["amount"]


def test_a_running_job_shows_an_estimate(server: Server) -> None:
    server.use()
    jid = cloud.call(time.sleep, 60, _type="c1")
    try:
        until(lambda: (cloud.info(jid, "cost")[jid]["cost"] or {}).get("estimate"), "no estimate")
        assert cloud.info(jid, "cost")[jid]["cost"]["amount"] >= 0
    finally:
        cloud.kill(jid)


def test_a_wait_for_another_job_costs_nothing(server: Server) -> None:
    server.use()

    def waits() -> None:
        import time

        import cloud

        cloud.join(cloud.call(time.sleep, 1.2, _type="c1"))

    jid = cloud.call(waits, _type="c1")
    cloud.join(jid)
    (line,) = cloud.info(jid, "attempts")[jid]["attempts"]
    assert line["runtime"] - line["billed"] > 1


def test_estimates(server: Server) -> None:
    server.use()

    def never_ran(x: int) -> int:
        return x

    assert cloud.estimate(never_ran, 10)["measured"] is None
    cloud.result(cloud.map(square, range(20), _type="c1"))
    found = cloud.estimate(square, 1_000_000, _type="c1")
    assert found["measured"]["runs"] >= 20 and found["low"] <= found["amount"]
    assert found["amount"] % (1_000_000 * 50_000) == 0 and found["dollars"] == found["amount"] / DOLLAR
    assert cloud.estimate("square", 0, _type="c1")["amount"] == 0
    with pytest.raises(BadRequest):
        cloud.estimate(square, 1, _type="c9")
    with pytest.raises(BadRequest):
        cloud.estimate(square, 1, _type="c1", _cores=3)
    for wrong, kind in ((-1, ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(kind):
            cloud.estimate(square, wrong)  # type: ignore[arg-type]


def test_mapexec_tells_what_it_would_cost(server: Server) -> None:
    server.use()
    (jid,) = server.picloud("mapexec", "-t", "c1", "-k", "1", "seq", "3")["jids"]
    cloud.join(jid)
    found = server.picloud("mapexec", "--estimate", "-t", "c1", "-n", "x=1,2,3", "-k", "2", "seq", "{x}")
    assert found["count"] == 6 and found["function"] == "seq" and found["dollars"] > 0
    assert found["measured"]["runs"] >= 1


def test_usage_on_the_command_line(server: Server) -> None:
    server.use()
    cloud.result(cloud.call(square, 3, _label="=cmd()", _type="c1"))
    found = server.picloud("usage", "--by", "label")
    assert found["total"]["amount"] == sum(row["amount"] for row in found["rows"])
    today = found["rows"] and server.picloud("usage")["rows"][0]["day"]
    assert server.picloud("usage", "--since", today, "--until", today)["rows"]
    assert not server.picloud("usage", "--until", "2001-01-01")["rows"]
    for wrong in ("yesterday", "2026-02-30", "0000-00-00", "2026-1-1"):
        with pytest.raises((BadRequest, CloudException)):
            cloud.usage(since=wrong)
    with pytest.raises(ValueError, match="by must be"):
        cloud.usage("colour")


def test_csv_holds_exact_amounts_and_no_formula(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    from picloud.cli import main

    server.use()
    cloud.result(cloud.call(square, 3, _label="=cmd()", _type="c1"))
    capfd.readouterr()
    assert main.run(["usage", "--by", "label", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    assert {row["label"]: int(row["amount"]) for row in rows}["'=cmd()"] > 0
    assert main.run(["usage", "--by", "function", "--limit", "100000"]) == 0  # of a server that other tests used too
    out = capfd.readouterr().out
    assert "square" in out and "█" in out and "total: $" in out


def test_grants_limits_and_the_report(server: Server, tmp_path: Path) -> None:
    server.use()
    name = server.account()
    before = cloud.credit()
    server.picloud("admin", "grant", name, "12.50", "--reason", "<b>thesis</b>", "--expires", "1y")
    after = cloud.credit()
    assert after["left"] - before["left"] == 12.5 * DOLLAR and after["grants"][-1]["reason"] == "<b>thesis</b>"
    found = server.picloud("admin", "limit", name, "--soft", "0", "--hard", "0")
    assert found["warns"] and found["would_stop"] and not found["stops"]
    assert cloud.result(cloud.call(square, 3)) == 9  # on a machine of one's own money stops nothing
    assert server.picloud("admin", "limit", name, "--soft", "none", "--hard", "none")["hard"] is None
    for words in (["credit", "--report"], ["admin", "report", name]):
        file = tmp_path / "report.html"
        server.picloud(*words, str(file))
        page = file.read_text()
        assert "&lt;b&gt;thesis" in page and "<b>thesis" not in page and f"Grant report: {name}" in page and "$12.50" in page
        file.unlink()


def test_only_the_owner_gives_and_sees_the_money_of_others(server: Server) -> None:
    server.use()
    name = server.account()
    made = server.picloud("admin", "account", "add", "pauper")
    with pytest.raises(NotFound):
        cloud._session.session().link.json("POST", "/v1/admin/grant", {"account": "nobody", "amount": 1})
    cloud.setkey(made["api_key"], made["api_secretkey"], server.url)
    try:
        link = cloud._session.session().link
        for path, body in (("grant", {"account": "pauper", "amount": 1}), ("limit", {"account": "pauper", "hard": None})):
            with pytest.raises(Forbidden):
                link.json("POST", f"/v1/admin/{path}", body)
        for path in ("credit", "usage"):
            with pytest.raises(Forbidden):
                link.json("GET", f"/v1/{path}?account={name}")
            assert link.json("GET", f"/v1/{path}?account=pauper")
        assert cloud.usage() == [] and cloud.credit()["spent"] == 0
    finally:
        server.use()


@pytest.mark.parametrize("amount", ["-1", "x", "nan", "inf", "1e9", "2000000", ""])
def test_amounts_that_cannot_be(server: Server, amount: str, capfd: pytest.CaptureFixture[str]) -> None:
    from picloud.cli import main

    server.use()
    assert main.run(["admin", "grant", "--", server.account(), amount]) == 2


def test_simulated_jobs_cost_nothing(server: Server) -> None:
    cloud.start_simulator()
    try:
        for ask in (cloud.usage, cloud.credit, lambda: cloud.estimate(square)):
            with pytest.raises(SetupError):
                ask()
    finally:
        server.use()


# -- ones on which money counts ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    """A server whose accounts get nothing for free, and on which work ends where money does."""
    with serving("free_hours = 0\nspending_stops = true\nspending_ends = true\nhandler_idle = 5\n") as started:
        yield started


@pytest.fixture
def lenient() -> Iterator[Server]:
    """A server on which money stops new work, and lets what runs go on."""
    with serving("free_hours = 0\nspending_stops = true\n") as started:
        yield started


def test_credit_that_runs_out_in_mid_map_lets_the_rest_wait_until_a_grant_comes(lenient: Server) -> None:
    def naps(x: int) -> int:
        time.sleep(0.2)
        return x

    lenient.picloud("admin", "grant", lenient.account(), "0.00002", "--reason", "1.44 s of a c1 core")
    until(lambda: not lenient.picloud("status")["money"]["stopped"], "the grant was not seen")
    jids = cloud.map(naps, range(60), _type="c1")
    until(lambda: lenient.picloud("status")["money"]["stopped"] == "no credit is left", "nothing stops it")

    def settled() -> Any:
        """All of them, once none is in a worker's hands."""
        found = cloud.info(jids, ["status", "cause", "waits_for", "attempts"]).values()
        return [] if any(one["status"] != "done" and one["attempts"] for one in found) else found

    found = until(settled, "what runs does not come to its end")
    ended = [one for one in found if one["status"] == "done"]
    waiting = [one for one in found if one["cause"] == "spending_limit" and one["waits_for"] and one["status"] == "queued"]
    assert len(ended) >= 7 and waiting and len(ended) + len(waiting) == 60, "what ran has ended well, and all the rest waits"
    assert all(len(one["attempts"]) == 1 and one["cause"] is None for one in ended)
    standing = cloud.credit()
    amounts = sum(line["amount"] for one in ended for line in one["attempts"])
    assert standing["spent"] == amounts and standing["left"] == 0 and standing["beyond"] == amounts - DOLLAR // 50_000
    lenient.picloud("admin", "grant", lenient.account(), "1")
    assert cloud.result(jids) == list(range(60))
    assert cloud.credit()["spent"] > amounts


def waits_for_money(jid: int) -> bool:
    found = cloud.info(jid, ["status", "cause", "waits_for"])[jid]
    return bool(found["status"] == "queued" and found["cause"] == "spending_limit" and found["waits_for"])


def test_without_credit_work_waits_until_a_grant_comes(strict: Server) -> None:
    strict.use()
    jid = cloud.call(square, 4)
    assert until(lambda: waits_for_money(jid), "nobody told why it waits")
    assert cloud.jobs(limit=1)[0]["cause"] == "spending_limit"
    assert strict.picloud("status")["money"]["stopped"] == "no credit is left"
    strict.picloud("admin", "grant", strict.account(), "1", "--reason", "to begin with")
    assert cloud.result(jid) == 16
    assert cloud.info(jid, "cause")[jid]["cause"] is None


def test_a_new_account_without_credit_begins_nothing(strict: Server) -> None:
    made = strict.picloud("admin", "account", "add", "penniless")
    try:
        cloud.setkey(made["api_key"], made["api_secretkey"], strict.url)
        jid = cloud.call(square, 4)
        until(lambda: waits_for_money(jid), "nobody told why it waits")
        cloud.kill(jid)
    finally:
        strict.use()


def test_at_the_hard_limit_what_runs_is_ended_and_the_rest_waits(strict: Server) -> None:
    strict.use()
    strict.picloud("admin", "grant", strict.account(), "1")
    running = cloud.call(time.sleep, 300)
    queue = cloud.queue.get("strict")
    queue.attach(square)
    queue.push([1])
    until(lambda: cloud.status(running) == "processing" and not queue.info()["count"], "nothing ran")
    strict.picloud("admin", "limit", strict.account(), "--hard", "0")
    cloud.join(running, ignore_errors=True)
    assert cloud.info(running, ["status", "cause"])[running] == {"status": "killed", "cause": "spending_limit"}
    queue.push([2, 3])
    waiting = cloud.call(square, 5)
    until(lambda: waits_for_money(waiting), "nobody told why it waits")
    assert queue.info()["count"] == 2
    strict.picloud("admin", "limit", strict.account(), "--hard", "none")
    assert cloud.result(waiting) == 25
    until(lambda: not queue.info()["count"], "the handler did not come back")
    queue.delete()
