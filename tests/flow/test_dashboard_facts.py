"""What the dashboard's pages ask for, of a real server with real jobs."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

import cloud
from cloud import _session
from picloud.wire.error import BadRequest, Conflict, NotFound
from tests.conftest import serving

PATIENCE = 60.0
"""Seconds for a condition to come true on a loaded machine."""


def get(path: str, **query: Any) -> Any:
    """The answer of a GET route."""
    words = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
    return _session.session().link.json("GET", f"{path}?{words}" if words else path)


def post(path: str, **body: Any) -> Any:
    """The answer of a POST route."""
    return _session.session().link.json("POST", path, body)


def until(condition: Any) -> Any:
    """What a condition answers when it is true at last."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)
    return found


def bare(server: Any, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    """A request as a browser sends it: without a key, or with a session's token."""
    at = urlsplit(server.url)
    link = http.client.HTTPConnection(at.hostname or "", at.port or 80, timeout=PATIENCE)
    try:
        link.request(method, path, body, headers)
        answer = link.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        link.close()


def area(width: int, height: int = 2) -> dict[str, int]:
    print("measured")
    return {"area": width * height}


def test_a_job_that_ended_is_told_whole(server: Any) -> None:
    jid = cloud.call(area, 3, height=4, _label="facts")
    assert cloud.result(jid) == {"area": 12}
    found = get(f"/v1/job/{jid}")
    assert (found["jid"], found["status"], found["label"], found["args"]) == (jid, "done", "facts", "3, height=4")
    assert found["result"] == {"kind": "json", "size": found["result"]["size"], "preview": '={"area": 12}',
                               "json": {"area": 12}, "exact": True}  # fmt: skip
    assert "def area" in found["function"]["source"] and len(found["digests"]["function"]) == 64
    assert [one["stage"] for one in found["stages"]] == ["queued", "environment", "import", "run"]
    edges = [(one["begins"], one["ends"]) for one in found["stages"]]
    assert all(begins <= ends for begins, ends in edges) and [b for b, _ in edges[1:]] == [e for _, e in edges[:-1]]
    assert edges[0][0] == found["created"] and edges[-1][1] == found["attempts"][0]["ended"]
    assert found["cost"]["amount"] >= 0 and found["memory"]["limit"] > 0 and found["origin"]["kind"] == ""
    until(lambda: get(f"/v1/job/{jid}")["logs"].get("stdout") == len("measured\n"))


def test_what_is_no_json_is_told_as_what_it_is(server: Any) -> None:
    jids = [cloud.call(lambda: {1, 2}), cloud.call(lambda: b"\x00\x01" * 500)]
    cloud.join(jids)
    told = [get(f"/v1/job/{jid}")["result"] for jid in jids]
    assert [(one["kind"], one["json"], one["exact"]) for one in told] == [("pickle", None, False), ("bytes", None, False)]
    assert told[0]["preview"] == "set {1, 2}" and told[1]["size"] >= 1000


def test_a_failure_shows_its_certificate(server: Any) -> None:
    def broken() -> None:
        raise ValueError("no such width")

    jid = cloud.call(broken)
    until(lambda: cloud.status(jid) == "error")
    found = get(f"/v1/job/{jid}")
    assert (found["cause"], found["failure"]["cause"], found["result"]) == ("exception", "exception", None)
    assert "no such width" in found["exception"]
    assert not found["failure"].get("exception"), "the pickle is for clients alone"


def test_a_job_that_runs_has_an_open_stage_and_its_children_are_told(server: Any) -> None:
    gate = cloud.queue.get("facts-gate")

    def parent() -> int:
        total = sum(cloud.result(cloud.map(abs, range(5))))
        cloud.queue.get("facts-gate").pop(1, timeout=20)
        return total

    jid = cloud.call(parent)
    until(lambda: (one := get(f"/v1/job/{jid}"))["children_count"] == 5 and one["children"][0]["over"])
    found = until(lambda: (one := get(f"/v1/job/{jid}"))["status"] == "processing" and one)  # told a moment after it began
    assert (found["stages"][-1]["stage"], found["stages"][-1]["ends"]) == ("run", None)
    (child,) = found["children"]
    assert (child["count"], child["done"], child["function"], child["parent_jid"]) == (5, 5, "abs", jid)
    assert get(f"/v1/job/{child['jid_first'] + 2}")["parent_jid"] == jid
    assert get(f"/v1/job/{child['jid_first'] + 2}")["position"] == 2
    waiting = cloud.call(abs, -1, _depends_on=jid)
    assert get(f"/v1/job/{jid}")["holds"] == [waiting]
    other = get(f"/v1/job/{waiting}")
    assert (other["status"], other["stages"][-1]["stage"], other["depends_on"]) == ("waiting", "waiting", [[jid, 1]])
    gate.push([1])
    assert cloud.result(waiting) == 1


def test_the_origin_of_a_job_is_told(server: Any) -> None:
    cloud.cron.register(lambda: 1, "facts-cron", "@yearly")
    jid = cloud.cron.manual_run("facts-cron")
    assert get(f"/v1/job/{jid}")["origin"] == {"kind": "cron", "name": "facts-cron", "attachment": 0, "version": 0}
    cloud.cron.deregister("facts-cron")


def test_a_map_is_one_row_and_filters_choose(server: Any) -> None:
    def some(number: int) -> int:
        if number == 3:
            raise KeyError(number)
        return number

    jids = cloud.map(some, range(8), _label="Facts-Fold")
    until(lambda: get("/v1/submission", label="Facts-Fold")["submissions"][0]["over"])
    (row,) = get("/v1/submission", label="Facts-Fold")["submissions"]
    assert (row["jid_first"], row["jid_last"], row["count"], row["done"], row["failed"]) == (jids[0], jids[-1], 8, 7, 1)
    for chosen in ({"text": "acts-fold"}, {"label": "Facts-Fold", "cause": "exception"},
                   {"label": "Facts-Fold", "state": "error"},
                   {"label": "Facts-Fold", "env": "base/host", "type": row["core_type"]}, {"text": str(jids[0])}):  # fmt: skip
        assert row in get("/v1/submission", **chosen)["submissions"], chosen
        wanted = jids[0] if chosen.get("text") == str(jids[0]) else jids[3]
        assert wanted in [one["jid"] for one in get("/v1/job", **chosen)["jobs"]], chosen
    for none in ({"cause": "timeout"}, {"state": "killed"}, {"env": "nothing"}, {"type": "none"}, {"until": 1},
                 {"attachment": 1 << 40}, {"text": "neither"}):  # fmt: skip
        assert get("/v1/job", label="Facts-Fold", **none)["jobs"] == []
        assert get("/v1/submission", label="Facts-Fold", **none)["submissions"] == []


def doubled(number: int) -> int:
    return number * 2


def test_a_queue_is_told_whole_and_its_messages_stay(server: Any) -> None:
    queue, other = cloud.queue.get("facts-in"), cloud.queue.get("facts-out")
    queue.push([{"n": 1}, "x" * 5000, {1, 2}])
    (ticket,) = queue.pop_tickets(1)
    before = get("/v1/queue/facts-in/peek")
    ready = [one for one in before["messages"] if one["state"] == "ready"]
    assert [(one["kind"], one["json"], one["given"]) for one in ready] == [("json", None, 0), ("pickle", None, 0)]
    assert ready[0]["text"].startswith('"xxx') and ready[0]["size"] == 5002
    (held,) = [one for one in before["messages"] if one["state"] == "in_hand"]
    assert held["json"] == {"n": 1} and held["due"] > held["pushed"]
    assert get("/v1/queue/facts-in/peek", limit=1)["messages"] == before["messages"][:1]
    found = get("/v1/queue/facts-in")
    assert (found["count"], found["in_hand"], found["inputs"], found["jobs"], found["handler"]) == (2, 1, [], [], None)
    series = found["series"]
    assert (sum(series["came"]), len(series["came"]), series["step_ms"]) == (3, 60, 10_000)
    other.attach(doubled, [queue], max_parallel_jobs=0)
    assert get("/v1/queue/facts-in")["inputs"] == [{"queue": "facts-out", "on_error": False}]
    other.attach(len, [queue], max_parallel_jobs=0)
    new, old = get("/v1/queue/facts-out")["versions"]
    assert [(one["version"], one["name"]) for one in (new, old)] == [(2, "len"), (1, "doubled")]
    assert new["ended"] is None and new["created"] == old["ended"] >= old["created"]
    with pytest.raises(NotFound):
        get("/v1/queue/facts-nowhere")
    with pytest.raises(NotFound):
        get("/v1/queue/facts-nowhere/peek")


def test_a_handlers_jobs_are_those_of_its_queue(server: Any) -> None:
    queue = cloud.queue.get("facts-handled")
    queue.attach(doubled, max_parallel_jobs=1)
    queue.push([1])
    (one,) = until(lambda: get("/v1/queue/facts-handled")["jobs"])
    handler = get("/v1/queue/facts-handled")["handler"]
    assert (one["attachment"], one["version"]) == (handler["attachment"], 1)
    assert one["jid"] in [job["jid"] for job in get("/v1/job", attachment=one["attachment"])["jobs"]]
    assert get(f"/v1/job/{one['jid']}")["origin"]["name"] == "facts-handled"
    queue.detach()


def test_throughput_counts_what_comes_and_ends_each_once() -> None:
    def wrong(number: int) -> int:
        return 1 // (number % 2)

    with serving():  # where nothing else ends meanwhile
        jids = cloud.map(wrong, range(40))
        until(lambda: all(state in ("done", "error") for state in cloud.status(jids)))
        until(lambda: sum(get("/v1/throughput")["done"]) >= 20)
        found = get("/v1/throughput")
        assert (len(found["done"]), found["step_ms"], found["start_ms"] % 10_000) == (360, 10_000, 0)
        assert {name: sum(found[name]) for name in ("submitted", "done", "failed")} == {"submitted": 40, "done": 20, "failed": 20}
        assert len(get("/v1/throughput", minutes=1)["done"]) == 6


def test_ways_in_need_no_key(server: Any) -> None:
    status, found = bare(server, "GET", "/v1/login")
    assert (status, found["password"], found["oidc"], found["sign_up"]) == (200, True, None, "invited")


def test_sessions_are_listed_and_ended(server: Any) -> None:
    def log_in(agent: str) -> str:
        ticket = json.dumps({"ticket": post("/v1/login/ticket")["ticket"]}).encode()
        status, found = bare(server, "POST", "/v1/login", ticket, **{"User-Agent": agent})
        assert status == 200
        return f"Bearer {found['token']}"

    mine, lost = log_in("Firefox"), log_in("A lost telephone" + "x" * 500)
    status, found = bare(server, "GET", "/v1/session", Authorization=mine)
    assert (status, found["by"], found["owner"], found["account"]) == (200, "session", True, server.account())
    (current,) = [one for one in found["sessions"] if one["current"]]
    assert (current["agent"], current["expires"], current["created"] > 0) == ("Firefox", found["expires"], True)
    (other,) = [one for one in found["sessions"] if one["agent"].startswith("A lost telephone")]
    assert len(other["agent"]) == 200 and other["session"] not in lost
    assert bare(server, "GET", "/v1/session", Authorization=lost)[1]["by"] == "session"
    body = json.dumps({"sessions": [other["session"]]}).encode()
    assert bare(server, "POST", "/v1/session/end", body, Authorization=mine) == (200, {"ended": 1})
    assert bare(server, "GET", "/v1/session", Authorization=lost)[0] == 401
    assert bare(server, "POST", "/v1/session/end", body, Authorization=mine)[0] == 404
    third = log_in("Third")
    status, found = bare(server, "POST", "/v1/session/end", b'{"others": true}', Authorization=mine)
    assert status == 200 and found["ended"] >= 1
    assert bare(server, "GET", "/v1/session", Authorization=third)[0] == 401
    assert bare(server, "GET", "/v1/session", Authorization=mine)[0] == 200


def test_a_key_and_a_job_are_told_what_they_are(server: Any) -> None:
    def asking() -> tuple[dict[str, Any], bool]:
        from cloud import _session
        from picloud.wire.error import Forbidden

        link = _session.session().link
        try:
            link.json("POST", "/v1/session/end", {"others": True})
        except Forbidden:
            return link.json("GET", "/v1/session"), True
        return link.json("GET", "/v1/session"), False

    found = get("/v1/session")
    assert (found["by"], found["api_key"], found["expires"], found["jid"]) == ("key", int(server.key), None, None)
    jid = cloud.call(asking)
    inside, refused = cloud.result(jid)
    assert (inside["by"], inside["jid"], inside["sessions"], inside["owner"], refused) == ("job", jid, [], False, True)


def test_a_clone_runs_the_same_with_other_settings(server: Any) -> None:
    def told(word: str) -> tuple[str, str, str]:
        import os

        return word * 2, os.environ["FACTS_A"], os.environ["FACTS_B"]

    jid = cloud.call(told, "ha", _label="first", _os_env_vars={"FACTS_A": "1", "FACTS_B": "2"}, _priority=4)
    assert cloud.result(jid) == ("haha", "1", "2")
    wish = {"jid": jid, "label": "second", "variables": {"FACTS_B": "3"}, "priority": 6, "max_runtime": 50, "key": "once"}
    again = post("/v1/job/clone", **wish)["jid"]
    assert again != jid and post("/v1/job/clone", **wish)["jid"] == again
    assert cloud.result(again) == ("haha", "1", "3")
    found = get(f"/v1/job/{again}")
    assert (found["label"], found["priority"], found["attributes"]["max_runtime_ms"]) == ("second", 6, 50_000)
    assert found["digests"] == get(f"/v1/job/{jid}")["digests"]
    large = cloud.call(len, b"x" * 300_000)
    assert cloud.result(post("/v1/job/clone", jid=large)["jid"]) == 300_000
    with pytest.raises(Conflict):
        post("/v1/job/clone", **{**wish, "label": "third"})
    for wrong, error in (({"type": "none"}, BadRequest), ({"cores": 77}, BadRequest), ({"env": "nowhere"}, NotFound),
                         ({"vol": ["nowhere"]}, NotFound), ({"jid": 10**17}, NotFound)):  # fmt: skip
        with pytest.raises(error):
            post("/v1/job/clone", **{"jid": jid, **wrong})


def test_the_cluster_tells_who_works_and_what_waits_and_why(server: Any) -> None:
    gate = cloud.queue.get("facts-cluster")

    def holding() -> int:
        return len(cloud.queue.get("facts-cluster").pop(1, timeout=20))

    running = cloud.call(holding)
    until(lambda: cloud.status(running) == "processing")
    found = get("/v1/cluster")
    mine = [one for one in found["accounts"] if one["account"] == server.account()]
    assert found["machine"]["rung"] in "ABCD" and found["machine"]["capacity"]["cores"] >= 1
    assert mine[0]["busy"] >= 1 and found["totals"]["cores_busy"] >= mine[0]["cores_busy"] >= 1
    assert any(one["held"] and one["account"] == server.account() for one in found["workers"])
    waits = until(lambda: [one for one in _flooded()["waits"] if one["account"] == server.account()])
    assert waits[0]["count"] >= 1 and waits[0]["reason"] in ("capacity", "starting") and waits[0]["why"]
    gate.push([1])
    cloud.kill(running)


def _flooded() -> Any:
    """The cluster with more work than it has slots, killed at once."""
    jids = cloud.map(lambda _: time.sleep(60), range(400))
    try:
        return get("/v1/cluster")
    finally:
        cloud.kill(jids)


def test_usage_of_days_is_told_apart(server: Any) -> None:
    cloud.result(cloud.call(area, 2, _label="facts-usage"))
    cloud.result(cloud.call(abs, -2))
    found = get("/v1/usage/day", days=3, most=50)
    (line,) = [one for one in found["lines"] if one["name"] == "facts-usage"]
    assert len(found["days"]) == 3 and sum(line["attempts"]) == 1 and len(line["dollars"]) == len(line["core_hours"]) == 3
    everything = get("/v1/usage", by="day")["total"]["attempts"]
    folded = get("/v1/usage/day", days=400, by="function", most=1)["lines"]
    assert sum(sum(one["attempts"]) for one in folded) == everything and [one["rest"] for one in folded] == [False, True]
    with pytest.raises(BadRequest):
        get("/v1/usage/day", by="job")


def test_what_cannot_be_asked_for_is_refused(server: Any) -> None:
    with pytest.raises(NotFound):
        get(f"/v1/job/{10**17}")
    for wrong in ({"cause": "lost"}, {"state": "lost"}, {"text": "x" * 300}, {"limit": "x"}):
        with pytest.raises(BadRequest):
            get("/v1/submission", **wrong)
