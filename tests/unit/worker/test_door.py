"""A job's calls reach control under the job's name, and only while it runs."""

from __future__ import annotations

import http.client
import json
import os
import pickle
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
from fake_control import FakeControl, Handler, Worker

from picloud.wire import message as wire

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def ask(method: str, path: str, body: bytes = b"", times: int = 1, **headers: str) -> list[tuple[int, bytes]]:
    """What a job does: requests over one connection to its door."""
    link = http.client.HTTPConnection("localhost")
    link.sock = socket.socket(socket.AF_UNIX)
    link.sock.connect(os.environ["PICLOUD_SOCKET"])
    found = []
    for _ in range(times):
        link.request(method, path, body, headers)
        answer = link.getresponse()
        found.append((answer.status, answer.read()))
    return found


def test_requests_carry_the_attempt(control: FakeControl, worker: Worker) -> None:
    control.answers["/v1/hello"] = lambda handler, body: handler.reply(body[::-1])
    key = control.give(ask, "POST", "/v1/hello", b"abc" * 50_000, 3)
    outcome = control.outcome(key)
    assert outcome.failure is None, outcome.failure
    assert [status for status, _ in pickle_of(control, outcome)] == [200] * 3
    _, _, headers, body = next(request for request in control.requests if request[1] == "/v1/hello")
    assert headers["x-picloud-attempt"] == f"{key[0]}.{key[1]}.{outcome.lease.hex()}"
    assert headers["authorization"] == f"Worker {'ab' * 8}:secret" and body == b"abc" * 50_000


def pickle_of(control: FakeControl, outcome: wire.Outcome) -> Any:
    return pickle.loads(control.blobs[outcome.blob] if outcome.blob else outcome.data)


def test_nobody_in_hand_is_refused(control: FakeControl, worker: Worker, tmp_path: Path) -> None:
    control.outcome(control.give(lambda: 1))
    door = str(next(tmp_path.rglob("door.sock")))
    with socket.socket(socket.AF_UNIX) as guest:
        guest.connect(door)
        guest.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = http.client.HTTPResponse(guest)
        answer.begin()
        assert answer.status == 401
        assert json.loads(answer.read())["error"]["code"] == "not_authorized"


def test_waiting_lends_the_slot_and_streams(control: FakeControl, start: Callable[..., Worker]) -> None:
    start(slots=1)
    go_on = threading.Event()

    def stream(handler: Handler, _: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"3\r\none\r\n")
        go_on.wait(20)
        handler.wfile.write(b"3\r\ntwo\r\n0\r\n\r\n")

    control.answers["/v1/result"] = stream
    spec = control.spec(ask)
    leases = [control.lease(spec, "POST", "/v1/result", b"x") for _ in range(20)]
    control.send(wire.Leases([spec], leases))
    control.wait(lambda: [c for c in control.said(wire.Credit) if c.lent == 1])
    back = control.wait(lambda: control.said(wire.Returned))[0].jobs
    assert len(back) >= 10
    child = control.lease(control_spec := control.spec(lambda: 7), awaited=True)
    control.send(wire.Slots(2))
    control.send(wire.Leases([control_spec], [child]))
    assert pickle.loads(control.outcome((child.jid, 1)).data) == 7
    go_on.set()
    parent = control.outcome((leases[0].jid, 1))
    assert pickle_of(control, parent) == [(200, b"onetwo")]
    control.wait(lambda: control.said(wire.Credit)[-1].lent == 0)


def test_control_that_is_away_is_said(control: FakeControl, worker: Worker) -> None:
    control.answers["/v1/status"] = lambda handler, body: handler.drop()
    outcome = control.outcome(control.give(ask, "GET", "/v1/status"))
    assert outcome.failure is None, outcome.failure
    (answer,) = pickle_of(control, outcome)
    assert answer[0] == 503 and json.loads(answer[1])["error"]["retry"]
