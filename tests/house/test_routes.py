"""Every route of the server, walked by those who should get nothing: no key, a wrong key, another account's key."""

import base64
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

import cloud
from picloud.server.app import ROUTES, Access, Route
from picloud.wire.message import Watch

FOREIGN = {"POST /v1/login/ticket": [], "GET /v1/job": [], "GET /v1/status": [], "GET /v1/server": [], "GET /v1/environment": [],
           "GET /v1/environment/base": [], "GET /v1/volume": []}  # fmt: skip
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
    **dict.fromkeys((f"/v1/environment/{what}" for what in ("wait", "version", "package")), "?name=walked"),
}


def path_of(route: Route, jid: int) -> str:
    return route.path.replace("{jid}", str(jid)).replace("{digest}", "0" * 64) + QUERIES.get(route.path, "")


PLAIN = {"/v1/volume/delete": {"name": "hers"}, "/v1/blob/get": {"ids": ["f" * 32]}, "/v1/admin/account": {"name": "mallory2"}}


def body_of(route: Route, jid: int) -> bytes:
    if route.path in ("/v1/result", "/v1/job/status"):
        return msgspec.msgpack.encode(Watch([(jid, 1)]))
    if route.path.endswith("/link"):
        return b'{"port": 80}'
    if route.path == "/v1/key/ssh":
        return json.dumps({"api_key": 1, "public": PUBLIC}).encode()
    if route.path.startswith("/v1/job/"):
        return json.dumps({"jids": [[jid, 1]], "failed": False, "token": "00" * 16}).encode()
    if route.path.startswith("/v1/object/"):
        own = route.path == "/v1/object/folder"
        return msgspec.msgpack.encode({"keys": ["walked"], "key": "hers" if own else "walked", "to": "mine"})
    if route.path in PLAIN:
        return json.dumps(PLAIN[route.path]).encode()
    if route.path.startswith("/v1/environment/"):
        named = {"name": "walked", "token": "00" * 16, "script": "dHJ1ZQ==", "source": "science", "new_name": "mine"}
        return json.dumps(named).encode()
    return b"{}"


KEYED = [route for route in ROUTES if route.access is not Access.anyone]


@pytest.fixture(scope="module")
def jid(server: Any) -> int:
    made = cloud.call(lambda: 42)
    assert cloud.result(made) == 42
    cloud.environment.create("walked")
    cloud.bucket.putf(b"walked through", "walked")
    cloud.volume.create("hers", "walked")
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
    if route.path.startswith("/v1/object"):
        assert status in (200, 400, 404) and b"through" not in answer and (status != 200 or b"walked" not in answer)
    elif f"{route.method} {route.path}" in FOREIGN:
        assert status == 200
        assert b"walked" not in answer and json.loads(answer).get("jobs") in (
            None,
            [],
            {},
            {"queued": 0, "processing": 0, "waiting": 0},
        )
    elif route.path in ("/v1/submission", "/v1/chunk", "/v1/blob", "/v1/environment", "/v1/volume"):
        assert status == 400, answer
    elif f"{route.method} {route.path}" in ("POST /v1/admin/account", "POST /v1/environment/base"):
        assert status == 403, answer
    else:
        assert status in (404, 401), answer


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")
@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"null", b"[]", b"\x81", b'{"jids": [["a", 1]]}', b'{"jids": [[-1, 1]]}', b"\x81\xa4jids\x91\x92\x01"]
)
def test_malformed_bodies_never_break_the_server(server: Any, route: Route, body: bytes) -> None:
    path = route.path.replace("{jid}", "9" * 18).replace("{digest}", "0" * 64) + "?limit=x&state=y&part=z"
    status, answer = request(server.url, route.method, path, body, basic(server.key, server.secret))
    assert status < 500, answer


def test_a_foreign_host_name_is_refused(server: Any) -> None:
    assert request(server.url, "GET", "/v1/health", host="evil.example")[0] == 403
    assert request(server.url, "GET", "/v1/health", host="localhost:1")[0] == 200


def test_unknown_routes_are_404(server: Any) -> None:
    assert request(server.url, "GET", "/v1/nothing")[0] == 404
    assert request(server.url, "PATCH", "/v1/job")[0] == 404
