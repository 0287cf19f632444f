"""Every route of the server, walked by those who should get nothing: no key, a wrong key, another account's key."""

import base64
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

import cloud
from picloud.server.__main__ import _owner_name
from picloud.server.route import Access, Route
from picloud.server.routes import ROUTES
from picloud.wire.message import Watch
from picloud.wire.queue import Body, Exchange, Push

FOREIGN = {"POST /v1/login/ticket": [], "GET /v1/job": [], "GET /v1/status": [], "GET /v1/server": [], "GET /v1/environment": [],
           "GET /v1/environment/base": [], "GET /v1/volume": [], "GET /v1/key": [], "GET /v1/key/own": [],
           "GET /v1/key/ssh": [], "GET /v1/member": [],
           "GET /v1/audit": [], "GET /v1/usage": [], "GET /v1/credit": [], "GET /v1/estimate": [],
           "GET /v1/cron": [], "GET /v1/rest": [], "GET /v1/grant/call": [], "GET /v1/grant/application": [],
           "GET /v1/secret": [], "GET /v1/webhook": [], "GET /v1/webhook/delivery": [], "GET /v1/realtime": [],
           "GET /v1/cluster": [], "GET /v1/job/count": [], "GET /v1/job/choice": [], "GET /v1/usage/day": [],
           "GET /v1/session": [], "GET /v1/submission": [], "GET /v1/throughput": []}  # fmt: skip
"""Routes that answer 200 to anybody with a key, and show nothing of other accounts."""


PUBLIC = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()


def request(url: str, method: str, path: str, body: bytes = b"", auth: str = "", host: str = "") -> tuple[int, bytes]:
    at = urlsplit(url)
    link = http.client.HTTPConnection(at.hostname or "", at.port or 80, timeout=10)
    headers = {"Content-Length": str(len(body))} | ({"Authorization": auth} if auth else {}) | ({"Host": host} if host else {})
    try:
        link.request(method, path, body, headers)
        answer = link.getresponse()
        return answer.status, answer.read()
    finally:
        link.close()


def basic(key: Any, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()


QUERIES = {
    "/v1/job/{jid}/payload": "?part=args",
    "/v1/job/{jid}/log": "?stream=stdout",
    "/v1/job/{jid}/wait": "?port=80",
    "/v1/environment/output": f"?token={'00' * 16}",
    "/v1/queue/dead": "?name=walked",
    "/r/{account}/{label}/result": "?jid=1",
    "/v1/cron/run": "?label=walked",
    "/v1/rest/key": "?label=walked",
    **dict.fromkeys((f"/v1/environment/{what}" for what in ("wait", "version", "package")), "?name=walked"),
}


def path_of(route: Route, jid: int) -> str:
    path = route.path.replace("{account}", "1").replace("{label}", "walked").replace("{end}", "").replace("{queue}", "walked")
    for part in ("name", "token", "page", "asset", "file"):
        path = path.replace(f"{{{part}}}", "walked.txt" if part == "file" else "walked")
    path = path.replace("{key}", "hers.txt" if route.method in ("PUT", "POST") else "walked")
    return path.replace("{jid}", str(jid)).replace("{digest}", "0" * 64) + QUERIES.get(route.path, "")


PLAIN = {"/v1/volume/delete": {"name": "hers"}, "/v1/blob/get": {"ids": ["f" * 32]}, "/v1/admin/account": {"name": "mallory2"},
         "/v1/queue/change": {"name": "hers"}}  # fmt: skip
PLAIN |= {path: {"account": _owner_name()} for path in ("/v1/key", "/v1/invitation")}
PLAIN |= {f"/v1/key/{what}": {"api_key": 1, "account": _owner_name()} for what in ("change", "rotate")}
PLAIN["/v1/member"] = {"user": _owner_name(), "role": "member"}
PLAIN["/v1/admin/user"] = {"email": "mallory@example.org"}
PLAIN["/v1/admin/user/password"] = {"user": _owner_name(), "password": "mallory's now, she thinks"}
PLAIN["/v1/password"] = {"old": "", "new": "mallory's now, she thinks"}
PLAIN |= {f"/v1/queue/{what}": {"name": "walked"} for what in ("delete", "purge", "replay", "bury", "detach")}
PLAIN["/v1/rest/remove"] = PLAIN["/v1/rest/key"] = {"label": "walked"}
PLAIN |= {f"/v1/rest/key/{what}": {"api_key": 1} for what in ("rotate", "remove")}
PLAIN |= {"/v1/queue/{queue}/message": {"messages": [1]}, "/v1/queue/{queue}/ack": {"tickets": ["1-1"]}}
PLAIN |= {f"/v1/cron/{what}": {"label": "walked", "token": "00" * 16} for what in ("run", "remove")}
PLAIN |= {f"/v1/file/{what}": {"key": "walked", "to": "mine"} for what in ("rename", "copy", "publish", "link")}
PLAIN |= {"/v1/file/folder": {"key": "hers-too"}, "/v1/file/remove": {"keys": ["walked"]}}
PLAIN["/v1/edge/file"] = {"account": 1, "volume": "", "key": "walked"}
PLAIN["/v1/secret"] = {"name": "../hers", "values": {"A": "b"}}
PLAIN["/v1/secret/remove"] = {"name": "walked"}
PLAIN["/v1/webhook"] = {"url": "nowhere"}
PLAIN["/v1/webhook/remove"] = {"label": "walked"}
PLAIN |= {f"/v1/realtime/{what}": {"request_id": 1} for what in ("release", "change")}
PLAIN["/v1/job/clone"] = {"jid": 1}
PLAIN["/v1/queue/resize"] = {"name": "walked", "max_jobs": 5}
PLAIN |= {f"/v1/admin/application/{what}": {"application": 1, "name": "walked"} for what in ("award", "decline", "attachment")}
PLAIN["/v1/admin/call"] = {"name": "hers", "deadline": 1 << 50}
PLAIN["/v1/admin/account/change"] = {"name": _owner_name(), "active": False}
PLAIN["/v1/admin/account/remove"] = {"name": _owner_name()}
FORBIDDEN = ("POST /v1/admin/account/change", "POST /v1/admin/account/remove", "GET /v1/admin/call",
             "POST /v1/admin/call", "POST /v1/admin/call/close",
             "GET /v1/admin/application", "POST /v1/admin/application/award", "POST /v1/admin/application/decline",
             "POST /v1/admin/application/attachment", "POST /v1/admin/grant", "POST /v1/admin/limit",
             "GET /v1/admin/account", "POST /v1/admin/account", "POST /v1/admin/user", "POST /v1/admin/user/password",
             "POST /v1/environment/base", "POST /v1/password")  # fmt: skip
"""Routes for the owner of the installation alone, or for who is logged in by a password."""
KNOWN = {path: json.dumps(body).encode() for path, body in PLAIN.items()} | {
    "/v1/queue/push": msgspec.msgpack.encode(Push(bytes(16), "hers", [Body(0, b"1")])),
    **{
        path: msgspec.msgpack.encode(Exchange(token * 16, "walked", take=10, deadline_ms=3000))
        for path, token in (("/v1/queue/exchange", b"1"), ("/v1/queue/wait", b"2"))
    },
}


def body_of(route: Route, jid: int) -> bytes:
    if route.path in ("/v1/result", "/v1/job/status"):
        return msgspec.msgpack.encode(Watch([(jid, 1)]))
    if route.path.endswith(("/link", "/terminal")):
        return b'{"port": 80}'
    if route.path.startswith("/v1/key/ssh"):
        return json.dumps({"api_key": 1, "public": PUBLIC}).encode()
    if route.path.startswith("/v1/job/") and route.path not in KNOWN:
        return json.dumps({"jids": [[jid, 1]], "failed": False, "token": "00" * 16}).encode()
    if route.path.startswith("/v1/object/"):
        key = "hers" if route.path == "/v1/object/folder" else "walked"
        return msgspec.msgpack.encode({"keys": ["walked"], "key": key, "to": "mine", "id": 1, "headers": {}})
    if route.path in KNOWN:
        return KNOWN[route.path]
    if route.path.startswith("/v1/environment/"):
        named = {"name": "walked", "token": "00" * 16, "script": "dHJ1ZQ==", "source": "science", "new_name": "mine"}
        return json.dumps(named).encode()
    return b"{}"


KEYED = [route for route in ROUTES if route.access not in (Access.anyone, Access.page)]


@pytest.fixture(scope="module")
def jid(server: Any) -> int:
    made = cloud.call(lambda: 42)
    assert cloud.result(made) == 42
    cloud.environment.create("walked")
    cloud.bucket.putf(b"walked through", "walked")
    cloud.volume.create("hers", "walked")
    queue = cloud.queue.get("walked")
    queue.push(["through", "through"])
    (ticket,) = queue.pop_tickets(1)
    queue.exchange([cloud.queue.Done(ticket, end="dead")], 0)
    queue.attach(print, max_parallel_jobs=0)
    cloud.cron.register(print, "walked", "@yearly")
    cloud.rest.publish(print, "walked")
    cloud.secret.set("walked", {"WALKED": "through"})
    cloud.webhook.set("walked", "https://example.org/walked")
    cloud.realtime.release(cloud.realtime.request("c1", 1)["request_id"])
    return int(made)


@pytest.fixture(scope="module")
def foreign(server: Any) -> str:
    status, answer = request(server.url, "POST", "/v1/admin/account", b'{"name": "mallory"}', basic(server.key, server.secret))
    assert status == 200
    made = json.loads(answer)
    return basic(made["api_key"], made["api_secretkey"])


@pytest.mark.parametrize("route", KEYED, ids=lambda r: f"{r.method} {r.path}")
@pytest.mark.parametrize("auth", ["", "Basic", "Basic !!", basic(1, "x"), "Worker a:b", "Bearer x"])
def test_nobody_enters_without_a_key(server: Any, jid: int, route: Route, auth: str) -> None:
    status, answer = request(server.url, route.method, path_of(route, jid), body_of(route, jid), auth)
    assert status == 401, answer


@pytest.mark.parametrize("route", KEYED, ids=lambda r: f"{r.method} {r.path}")
def test_a_foreign_key_finds_nothing(server: Any, jid: int, foreign: str, route: Route) -> None:
    status, answer = request(server.url, route.method, path_of(route, jid), body_of(route, jid), foreign)
    if route.path.startswith(("/v1/object", "/v1/bucket", "/v1/file")):
        assert status in (200, 400, 404) and b"through" not in answer and (status != 200 or b"walked" not in answer)
    elif route.path.startswith("/v1/queue"):
        assert status in ((400,) if route.path.endswith("/attach") else (200, 404)) and b"through" not in answer
        mine = cloud.queue.get("walked").info()
        assert (mine["count"], mine["in_hand"], mine["dead"], mine["paused"]) == (1, 0, 1, False)
        assert mine["handler"]["max_parallel_jobs"] == 0
    elif f"{route.method} {route.path}" in FOREIGN:
        assert status == 200
        assert b"walked" not in answer and json.loads(answer).get("jobs") in (
            None,
            [],
            {},
            {"queued": 0, "processing": 0, "waiting": 0},
        )
    elif route.path in ("/v1/logout", "/v1/submission", "/v1/chunk", "/v1/blob", "/v1/environment", "/v1/volume", "/v1/cron",
                        "/v1/rest", "/v1/job", "/v1/view", "/v1/secret", "/v1/webhook", "/v1/realtime",
                        "/v1/session/end"):  # fmt: skip
        assert status == 400, answer
    elif f"{route.method} {route.path}" in FORBIDDEN or "/operator/" in route.path:
        assert status == 403, answer
    else:
        assert status in (404, 401), answer


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")
@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"null", b"[]", b"\x81", b'{"jids": [["a", 1]]}', b'{"jids": [[-1, 1]]}', b"\x81\xa4jids\x91\x92\x01"]
)
def test_malformed_bodies_never_break_the_server(server: Any, route: Route, body: bytes) -> None:
    path = path_of(route, 10**18 - 1).partition("?")[0] + "?limit=x&state=y&part=z"
    status, answer = request(server.url, route.method, path, body, basic(server.key, server.secret))
    assert status < 500, answer


def test_a_foreign_host_name_is_refused(server: Any) -> None:
    assert request(server.url, "GET", "/v1/health", host="evil.example")[0] == 403
    assert request(server.url, "GET", "/v1/health", host="localhost:1")[0] == 200


def test_unknown_routes_are_404(server: Any) -> None:
    assert request(server.url, "GET", "/v1/nothing")[0] == 404
    assert request(server.url, "PATCH", "/v1/job")[0] == 404
