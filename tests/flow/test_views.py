"""What an open page watches, on a real server: it sees what happens, of its own account, as long as it may."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

import cloud
from tests.conftest import Server, serving
from tests.flow.watching import DEADLINE, watching
from tests.house.test_routes import basic, request

JOBS = "/v1/job?limit=50"


def owner(server: Server) -> str:
    return basic(server.key, server.secret)


def ask(server: Server, method: str, path: str, auth: str, **body: Any) -> Any:
    status, answer = request(server.url, method, path, json.dumps(body).encode() if body else b"", auth)
    assert status == 200, answer
    return json.loads(answer)


def login(server: Server) -> str:
    """A session of the owner."""
    ticket = ask(server, "POST", "/v1/login/ticket", owner(server))["ticket"]
    return "Bearer " + str(ask(server, "POST", "/v1/login", "", ticket=ticket)["token"])


def state_of(line: dict[str, Any], jid: int) -> str | None:
    return next((one["status"] for one in line["body"]["jobs"] if one["jid"] == jid), None)


def test_a_page_sees_what_get_answers_and_the_end_of_a_job(server: Server) -> None:
    auth = login(server)
    with watching(server.url, auth, JOBS, "/v1/status", "/v1/queue", "/v1/usage?by=day") as page:
        assert page.status == 200 and page.headers["content-type"] == "application/x-ndjson"
        assert page.line() == {}, "the line lives"
        jobs = page.of(JOBS, "/v1/status", "/v1/queue", "/v1/usage?by=day")[JOBS]
        assert jobs["body"] == ask(server, "GET", JOBS, auth)
        jid = int(cloud.call(lambda: "seen"))
        page.until(JOBS, lambda line: state_of(line, jid) == "done")
        page.until("/v1/status", lambda line: line["body"] == ask(server, "GET", "/v1/status", auth))


def test_pages_ask_together_and_nobody_asks_when_none_is_open(server: Server) -> None:
    auth = owner(server)

    def open_pages() -> tuple[int, int]:
        found = ask(server, "GET", "/v1/status", auth)["pages"]
        return found["open"], found["watched"]

    def until(wanted: tuple[int, int]) -> None:
        limit = time.monotonic() + DEADLINE
        while (found := open_pages()) != wanted:
            assert time.monotonic() < limit, found
            time.sleep(0.02)

    until((0, 0))
    with watching(server.url, auth, JOBS) as one, watching(server.url, auth, JOBS, "/v1/cron") as two:
        assert one.until(JOBS) == two.until(JOBS)
        until((2, 2))
    until((0, 0))


def test_another_account_sees_nothing_of_it(server: Server) -> None:
    made = ask(server, "POST", "/v1/admin/account", owner(server), name="watcher")
    hers = basic(made["api_key"], made["api_secretkey"])
    mine, there = int(cloud.call(lambda: "mine")), ("/v1/usage?account=" + server.account(), "/v1/admin/account", "/v1/audit")
    cloud.result(mine)
    paths = [JOBS, f"/v1/job/{mine}/status", "/v1/status", *there]
    with watching(server.url, owner(server), JOBS) as page, watching(server.url, hers, *paths) as foreign:
        assert state_of(page.until(JOBS), mine) == "done"
        found = foreign.of(*paths)
        assert found[JOBS]["body"]["jobs"] == [] and found["/v1/status"]["body"]["jobs"].get("done", 0) == 0
        assert found[f"/v1/job/{mine}/status"]["error"]["code"] == "not_found"
        assert found[there[0]]["error"]["code"] in ("forbidden", "not_found")
        assert found[there[1]]["error"]["code"] == "forbidden"
        assert all(act["account"] != server.account() for act in found[there[2]].get("body", {}).get("acts", []))


def test_a_scope_that_lacks_is_told_for_the_path_that_needs_it(server: Server) -> None:
    made = ask(server, "POST", "/v1/key", owner(server), scopes=["bucket"])
    with watching(server.url, basic(made["api_key"], made["api_secretkey"]), JOBS, "/v1/volume") as page:
        assert "lacks the scope" in page.until(JOBS)["error"]["message"]
        assert "volumes" in page.until("/v1/volume")["body"]


def test_each_session_sees_which_one_it_is(server: Server) -> None:
    first, second = login(server), login(server)
    with watching(server.url, first, "/v1/session") as one, watching(server.url, second, "/v1/session") as two:
        told = [page.until("/v1/session")["body"]["sessions"] for page in (one, two)]
        (here,), (there,) = ([each["session"] for each in sessions if each["current"]] for sessions in told)
        assert here != there
        ask(server, "POST", "/v1/session/end", first, sessions=[there])
        assert two.to_the_end() == "broken"
        one.until("/v1/session", lambda line: there not in [each["session"] for each in line["body"]["sessions"]])


@pytest.mark.parametrize("how", ["logout", "key", "expiry"])
def test_a_page_ends_when_nobody_may_look_any_more(server: Server, how: str) -> None:
    made = ask(server, "POST", "/v1/key", owner(server), expires=int(time.time() * 1000) + 3000 if how == "expiry" else 0)
    auth = login(server) if how == "logout" else basic(made["api_key"], made["api_secretkey"])
    with watching(server.url, auth, JOBS) as page, watching(server.url, owner(server), JOBS) as other:
        page.until(JOBS)
        if how == "logout":
            ask(server, "POST", "/v1/logout", auth)
        elif how == "key":
            ask(server, "POST", "/v1/key/change", owner(server), api_key=made["api_key"], active=False)
        assert page.to_the_end() == "broken"
        assert request(server.url, "POST", "/v1/view", b'{"watch": []}', auth)[0] == 401
        other.until(JOBS)
        jid = int(cloud.call(lambda: "seen by who may"))
        other.until(JOBS, lambda line: state_of(line, jid) == "done")


def test_a_page_that_comes_back_hears_of_what_it_missed_alone(server: Server) -> None:
    auth, quiet = owner(server), "/v1/environment/base"
    with watching(server.url, auth, JOBS, quiet) as page:
        page.until(JOBS)
        page.until(quiet)
        marks = page.marks
    jid = int(cloud.call(lambda: "missed"))
    cloud.result(jid)
    with watching(server.url, auth, quiet, JOBS, "/v1/volume", marks=marks) as page:
        assert state_of(page.of(JOBS, "/v1/volume")[JOBS], jid) == "done"
        later = int(cloud.call(lambda: "heard"))
        page.until(JOBS, lambda line: state_of(line, later) == "done")
        assert quiet not in page.newest


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"watch": 1}', b'{"watch": ["/v1/job"]}', b'{"watch": [{"path": 1}]}', b"\xff\xfe",
     json.dumps({"watch": [{"path": f"/v1/job?limit={n}"} for n in range(33)]}).encode(),
     json.dumps({"watch": [{"path": "/v1/job?label=" + "x" * 2000}]}).encode(),
     json.dumps({"watch": [{"path": "/v1/job", "mark": "x" * 65}]}).encode()],
)  # fmt: skip
def test_what_no_page_would_ask_is_refused(server: Server, body: bytes) -> None:
    status, answer = request(server.url, "POST", "/v1/view", body, owner(server))
    assert status == 400 and json.loads(answer)["error"]["message"]


def test_paths_that_cannot_be_watched_are_told_and_the_others_live(server: Server) -> None:
    wrong = {"/v1/nothing": "not_found", "/v1/job/1/log": "bad_request", "/v1/health": "bad_request", "/": "bad_request",
             "/v1/job?limit=x": "bad_request", "/v1/job/999999/status": "not_found", "/v1/worker/edge": "bad_request",
             "/v1/environment/wait?name=x": "bad_request", "../../etc/passwd": "bad_request",
             "/v1/job/%2e%2e/status": "not_found", "/v1/bucket/secret.txt": "bad_request",
             "/v1/job?state=nonsense": "bad_request"}  # fmt: skip
    with watching(server.url, owner(server), *wrong, "/v1/cron") as page:
        found = page.of(*wrong, "/v1/cron")
    assert {path: found[path]["error"]["code"] for path in wrong} == wrong
    assert "crons" in found["/v1/cron"]["body"]


def test_a_page_ends_with_the_server_and_goes_on_with_the_next() -> None:
    with serving() as own:
        auth, status = owner(own), "/v1/credit"
        with watching(own.url, auth, JOBS, status) as page:
            page.until(JOBS)
            page.until(status)
            stopping = threading.Thread(target=own.picloud, args=("restart",))
            stopping.start()
            assert page.to_the_end() == "well"
            stopping.join(DEADLINE)
        with watching(own.url, auth, JOBS, status, marks=page.marks) as again:
            jid = int(cloud.call(lambda: "after"))
            line = again.until(JOBS, lambda line: state_of(line, jid) == "done")
            assert line["mark"] != page.marks[JOBS]


def test_a_page_that_reads_nothing_holds_up_nobody(server: Server) -> None:
    """Its socket is full at once; the others see each change, and it sees the newest when it reads again."""
    auth, at = owner(server), urlsplit(server.url)
    queue = cloud.queue.get("slowly-read")
    queue.push(["letter"])
    body = json.dumps({"watch": [{"path": f"/v1/queue?minutes={n}"} for n in range(1, 33)]}).encode()
    head = f"POST /v1/view HTTP/1.1\r\nHost: {at.netloc}\r\nAuthorization: {auth}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(DEADLINE)
        slow.connect((at.hostname, at.port))
        slow.sendall(head.encode() + body)
        with watching(server.url, auth, JOBS) as page:
            for _ in range(5):
                jid = int(cloud.call(lambda: "seen"))
                page.until(JOBS, lambda line, jid=jid: state_of(line, jid) == "done")
        queue.push(["another"] * 77)
        read = b""
        while b'"count": 78' not in read:
            part = slow.recv(1 << 16)
            assert part, "it was not dropped that soon"
            read = read[-1000:] + part
    queue.delete()
