"""Every route of the server, walked by keys of every single scope, a read-only one, an expired and a switched-off one.

What each route needs stands here a second time, in other words than in the list of routes: a route that is missing fails.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from picloud.server.route import Access, Route
from picloud.server.routes import ROUTES
from picloud.wire.scope import EVERYTHING, NAMES, Scope, spelled
from tests.house.test_routes import basic, path_of, request

NEEDS = {
    "/v1/login/ticket": "", "/v1/logout": "", "/v1/password": "", "/v1/server": "", "/v1/key/own": "", "/v1/view": "",
    "/v1/key": "admin", "/v1/key/ssh": "code", "/v1/member": "admin", "/v1/invitation": "admin", "/v1/audit": "admin",
    "/v1/admin": "admin", "/v1/status": "jobs", "/v1/submission": "jobs code", "/v1/chunk": "jobs code", "/v1/result": "jobs",
    "/v1/job": "jobs", "/v1/blob": "jobs|bucket|queue", "/v1/environment": "code", "/v1/object": "bucket",
    "/v1/volume": "bucket", "/v1/queue": "queue", "/v1/queue/attach": "queue code",
    "/v1/cron": "jobs code", "/v1/cron/run": "jobs", "/v1/cron/remove": "jobs",
    "/v1/rest": "jobs code", "/v1/rest/remove": "jobs",
    "/v1/rest/key": "jobs code", "GET /v1/rest/key": "jobs", "/v1/bucket": "bucket", "/v1/file": "bucket",
    "POST /v1/job": "jobs code", "POST /v1/job/{jid}/terminal": "code", "/r": "jobs|address", "GET /v1/cron": "jobs",
    "GET /v1/rest": "jobs", "/v1/operator": "admin", "/v1/usage": "jobs",
    "/v1/credit": "jobs", "/v1/grant": "jobs", "/v1/estimate": "jobs", "/v1/secret": "admin", "GET /v1/secret": "code",
    "/v1/webhook": "admin", "GET /v1/webhook": "jobs", "GET /v1/webhook/delivery": "jobs", "/v1/realtime": "jobs",
    "/v1/session": "", "/v1/cluster": "jobs", "/v1/job/clone": "jobs code", "GET /v1/submission": "jobs",
    "/v1/throughput": "jobs",
}  # fmt: skip
"""By the beginning of the path, the longest that fits: scopes of which a key needs all; | stands between alternatives."""

ASKS = """
    /v1/result /v1/job/status /v1/job/info /v1/blob/get
    /v1/file/link /v1/object/find /v1/object/get /v1/object/list /v1/object/sync /v1/object/watch /v1/object/md5
""".split()
"""POST routes that only ask: open to ``read`` as all GET routes are, but for those of administration."""

WALKED = [route for route in ROUTES if route.access is Access.account]
SINGLE = [*NAMES]


def needs(route: Route) -> list[set[str]]:
    """The alternatives."""
    best = max((start for start in NEEDS if f"{route.path}/".startswith(f"{start}/")), key=len)
    said = NEEDS.get(f"{route.method} {route.path}", NEEDS[best])
    made = [set(one.split()) for one in said.split("|")]
    asks = bool(NEEDS[best]) and route.method == "GET" and not route.path.startswith(("/v1/admin", "/v1/audit", "/v1/operator"))
    return [*made, {"read"}] if asks or route.path in ASKS else made


def asked(server: Any, route: Route, auth: str) -> tuple[int, dict[str, Any]]:
    """The answer to a request that no handler can act on."""
    path = path_of(route, int("9" * 18)).partition("?")[0] + "?limit=x&state=y&part=z&stream=z&name=none"
    status, answer = request(server.url, route.method, path, b"\xff", auth)
    try:
        return status, dict(json.loads(answer))
    except ValueError:
        return status, {}


@pytest.fixture(scope="module")
def owner(server: Any) -> str:
    return basic(server.key, server.secret)


def make(server: Any, owner: str, **wish: Any) -> tuple[int, str]:
    status, answer = request(server.url, "POST", "/v1/key", json.dumps(wish).encode(), owner)
    assert status == 200, answer
    made = json.loads(answer)
    return made["api_key"], basic(made["api_key"], made["api_secretkey"])


def change(server: Any, owner: str, key: int, **wish: Any) -> None:
    status, answer = request(server.url, "POST", "/v1/key/change", json.dumps({"api_key": key, **wish}).encode(), owner)
    assert status == 200, answer


@pytest.fixture(scope="module")
def keys(server: Any, owner: str) -> dict[str, str]:
    """A key of each single scope."""
    return {name: make(server, owner, scopes=[name], note=f"only {name}")[1] for name in SINGLE}


def test_every_route_names_what_it_needs() -> None:
    for route in WALKED:
        assert {frozenset(spelled(one)) for one in route.scope} == {frozenset(one) for one in needs(route)}, route.path


@pytest.mark.parametrize("route", WALKED, ids=lambda r: f"{r.method} {r.path}")
@pytest.mark.parametrize("name", SINGLE)
def test_a_key_opens_what_its_scope_says(server: Any, keys: dict[str, str], route: Route, name: str) -> None:
    status, answer = asked(server, route, keys[name])
    if any(one <= {name} for one in needs(route)):
        assert status in (200, 400, 403, 404) and "lacks the scope" not in json.dumps(answer), answer
        return
    assert status == 403, answer
    error = answer["error"]
    for one in needs(route):
        assert " and ".join(spelled(sum((Scope[each] for each in one), Scope(0)))) in error["hint"]
    assert error["facts"]["scopes"] == [name]


@pytest.mark.parametrize("route", WALKED, ids=lambda r: f"{r.method} {r.path}")
def test_an_expired_or_inactive_key_opens_nothing(server: Any, ended: dict[str, str], route: Route) -> None:
    for why, auth in ended.items():
        status, answer = asked(server, route, auth)
        assert status == 401 and why in answer["error"]["message"], answer


@pytest.fixture(scope="module")
def ended(server: Any, owner: str) -> dict[str, str]:
    """Keys that have been used, and are remembered, before they ended."""
    until = int(time.time() * 1000) + 400
    _, expiring = make(server, owner, scopes=spelled(EVERYTHING), expires=until)
    key, off = make(server, owner, scopes=spelled(EVERYTHING))
    assert request(server.url, "GET", "/v1/server", auth=off)[0] == 200
    change(server, owner, key, active=False)
    assert request(server.url, "GET", "/v1/server", auth=off)[0] == 401, "at once"
    while request(server.url, "GET", "/v1/server", auth=expiring)[0] == 200:
        assert time.time() * 1000 < until + 200, "a key is used after its time"
    assert time.time() * 1000 >= until, "a key has ended before its time"
    return {"expired": expiring, "off": off}


def test_a_running_job_may_do_all_but_administer(server: Any) -> None:
    import cloud

    def refused() -> list[str]:
        from cloud import _session
        from picloud.wire.error import Forbidden

        said = []
        for method, path in (("GET", "/v1/key"), ("POST", "/v1/key"), ("POST", "/v1/invitation"), ("GET", "/v1/audit")):
            try:
                _session.session().link.json(method, path, {} if method == "POST" else None)
            except Forbidden as error:
                said.append(error.parameter)
        return said

    said = cloud.result(cloud.call(refused))
    assert said == ["a job lacks the scope admin"] * 3, "what only asks is open to it"
