"""Users, logins, keys and the audit log, against a real server: by Python, by the command line, by the pages' requests."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import cloud
from cloud import account
from picloud.wire.error import BadRequest, CloudException, Conflict, Forbidden, NotAuthorized, NotFound, TooMany
from picloud.wire.link import Link
from picloud.wire.queue import Body, Kind, Push
from tests.conftest import PICLOUD, Server, server_home, start_server, stop_server

Linked = Callable[..., Link]
PASSWORD = "a horse that battles staples"


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of its own: these tests use up tries of passwords."""
    before = os.environ.get("PICLOUD_HOME")
    home = server_home()
    (home / "settings.toml").write_text(f"interpreters = {[tempfile.gettempdir(), sys.prefix, sys.base_prefix]}\n")
    started = start_server(home)
    started.use()
    try:
        yield started
    finally:
        cloud.close()
        os.environ.pop("PICLOUD_HOME", None) if before is None else os.environ.update(PICLOUD_HOME=before)
        stop_server(started)


@pytest.fixture(scope="module")
def linked(server: Server) -> Iterator[Callable[..., Link]]:
    """Makes links to the server."""
    with ExitStack() as stack:

        def make(key: dict[str, Any] | None = None, **more: Any) -> Link:
            shown = {"key": str(key["api_key"]), "secret": key["api_secretkey"]} if key else {}
            made = Link(server.url, **shown, **more)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture(scope="module")
def owner(server: Server, linked: Linked) -> Link:
    return linked({"api_key": server.key, "api_secretkey": server.secret})


@pytest.fixture(scope="module")
def nobody(linked: Linked) -> Link:
    return linked()


def post(link: Link, path: str, **body: Any) -> Any:
    return link.json("POST", path, body)


def joined(owner: Link, nobody: Link, name: str, **wish: Any) -> dict[str, Any]:
    """Somebody who came by an invitation."""
    link = post(owner, "/v1/invitation", **wish)["invitation"]
    made: dict[str, Any] = post(nobody, "/v1/signup", email=f"{name}@example.org", password=PASSWORD, invitation=link)
    return made


def run(home: Path, *words: str, said: str = "", code: int = 0) -> str:
    done = subprocess.run([*PICLOUD, *words], input=said, env={**os.environ, "PICLOUD_HOME": str(home)}, capture_output=True,
                          text=True, timeout=60, check=False)  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_owner_sets_a_password_and_manages_keys_by_it(server: Server, owner: Link) -> None:
    name = server.account()
    with pytest.raises(NotAuthorized):
        account.list_keys(name, "")
    assert name in run(server.home, "admin", "user", "passwd", name, said=f"{PASSWORD}\n")
    assert account.list_keys(name, PASSWORD) == [int(server.key)]
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    made = account.create_key(name, PASSWORD, note="laptop", scopes=["queue", "read"], expires=until)
    assert made["active"] and (made["note"], made["scopes"], made["expires"]) == ("laptop", ["queue", "read"], until)
    assert "OPENSSH PRIVATE KEY" in made["private_key"]
    key, secret = made["api_key"], made["api_secretkey"]
    assert account.get_key_by_key(key, secret)["note"] == "laptop"
    again = account.get_key(name, PASSWORD, key)
    assert again["api_secretkey"] is again["private_key"] is None and again["note"] == "laptop"
    assert account.deactivate_key(name, PASSWORD, key) is True
    assert account.list_keys(name, PASSWORD, active_only=True) == [int(server.key)]
    with pytest.raises(NotAuthorized):
        account.get_key_by_key(key, secret)
    assert account.activate_key(name, PASSWORD, key) is True
    assert account.get_key_by_key(key, secret)["active"]
    for wrong in (lambda: account.get_key(name, PASSWORD, 1), lambda: account.deactivate_key(name, PASSWORD, 1)):
        with pytest.raises(NotFound):
            wrong()
    with pytest.raises(BadRequest):
        account.create_key(name, PASSWORD, scopes=["everything"])
    with pytest.raises(BadRequest):
        account.create_key(name, PASSWORD, expires=datetime(2020, 1, 1, tzinfo=UTC))


def test_a_line_ends_with_its_key(server: Server, owner: Link) -> None:
    made = post(owner, "/v1/key")
    cloud.setkey(made["api_key"], made["api_secretkey"], server.url)
    for _ in range(6):  # by then it is a line
        assert cloud.result(cloud.call(abs, -1)) == 1
    post(owner, "/v1/key/change", api_key=made["api_key"], active=False)
    with pytest.raises(NotAuthorized):
        cloud.call(abs, -1)
    post(owner, "/v1/key/change", api_key=made["api_key"], active=True)
    assert cloud.result(cloud.call(abs, -2)) == 2
    post(owner, "/v1/key/change", api_key=made["api_key"], scopes=["jobs", "read"])
    with pytest.raises(Forbidden, match="code"):
        cloud.call(abs, -1)
    server.use()


def test_a_stream_ends_with_its_key(server: Server, linked: Linked, owner: Link) -> None:
    made = post(owner, "/v1/key")
    jid = cloud.call(lambda: time.sleep(600), _label="stream")
    mine = linked(made, patience=1)
    assert mine.json("GET", "/v1/server")
    with mine.stream(f"/v1/job/{jid}/samples?follow=1&framed=1", method="GET") as stream:
        frames = stream.frames()
        stream.patience(30)
        next(frames)
        post(owner, "/v1/key/change", api_key=made["api_key"], active=False)
        with pytest.raises((OSError, HTTPException, StopIteration)) as ended:  # noqa: PT012 - what was sent before comes before it
            while True:
                next(frames)
        assert not isinstance(ended.value, TimeoutError)
    cloud.kill(jid)


def test_a_key_without_code_pushes_json_and_brings_nothing_else(server: Server, linked: Linked, owner: Link) -> None:
    import msgspec

    made = post(owner, "/v1/key", scopes=["queue"])
    mine = linked(made)
    push = [Push(os.urandom(16), "scoped", [Body(kind, data)]) for kind, data in ((Kind.json, b"1"), (Kind.pickle, b"\x80"))]
    assert mine.request("POST", "/v1/queue/push", msgspec.msgpack.encode(push[0]))
    with pytest.raises(Forbidden, match="JSON"):
        mine.request("POST", "/v1/queue/push", msgspec.msgpack.encode(push[1]))
    assert cloud.queue.get("scoped").pop() == [1]


def test_an_invitation_makes_a_member_who_manages_her_own_keys_only(
    server: Server, linked: Linked, owner: Link, nobody: Link
) -> None:
    made = joined(owner, nobody, "bob", role="member")
    assert (made["user"], made["account"], made["role"]) == ("bob", server.account(), "member")
    assert account.get_key_by_key(made["api_key"], made["api_secretkey"])["scopes"] == ["jobs", "code", "bucket", "queue", "read"]
    assert account.list_keys("bob", PASSWORD) == [made["api_key"]]
    hers = account.create_key("bob@example.org", PASSWORD)
    assert account.list_keys("BOB", PASSWORD) == [made["api_key"], hers["api_key"]]
    with pytest.raises(Forbidden):
        account.create_key("bob", PASSWORD, scopes=["admin"])
    with pytest.raises(NotFound):
        account.deactivate_key("bob", PASSWORD, server.key)
    token = post(nobody, "/v1/login/password", user="bob", password=PASSWORD)["token"]
    bob = linked(authorization=f"Bearer {token}")
    for path, body in (("/v1/member", {"user": "bob", "role": "owner"}), ("/v1/invitation", {}), ("/v1/key/rotate", None)):
        with pytest.raises((Forbidden, NotFound)):
            post(bob, path, **(body if body is not None else {"api_key": int(server.key)}))
    with pytest.raises(Forbidden):
        bob.json("GET", "/v1/audit")
    post(owner, "/v1/member", user="bob", role="none")
    for act in (lambda: account.get_key_by_key(hers["api_key"], hers["api_secretkey"]), lambda: bob.json("GET", "/v1/server")):
        with pytest.raises(NotAuthorized):
            act()
    with pytest.raises(NotFound):
        account.list_keys("bob", PASSWORD)


def test_an_admin_is_no_owner(server: Server, linked: Linked, owner: Link, nobody: Link) -> None:
    made = joined(owner, nobody, "carol", role="admin")
    carol = linked(made)
    assert {one["user"] for one in carol.json("GET", "/v1/member")["members"]} >= {"carol", server.account()}
    assert carol.json("GET", "/v1/audit")["acts"]
    for path, body in (
        ("/v1/member", {"user": "carol", "role": "owner"}),
        ("/v1/member", {"user": server.account(), "role": "member"}),
        ("/v1/invitation", {"role": "owner"}),
        ("/v1/invitation", {"new": True}),
        ("/v1/key/rotate", {"api_key": int(server.key)}),
        ("/v1/key/change", {"api_key": int(server.key), "active": False}),
        ("/v1/admin/user/password", {"user": "carol", "password": PASSWORD}),
        ("/v1/admin/account", {"name": "carols"}),
    ):
        with pytest.raises(Forbidden):
            post(carol, path, **body)
    assert post(carol, "/v1/invitation", role="member", email="d@example.org")["link"].startswith(f"{server.url}/sign-up#")


def test_who_signs_up_by_a_link_for_a_new_account_owns_it(server: Server, owner: Link, nobody: Link, tmp_path: Path) -> None:
    link = server.picloud("admin", "user", "invite", "dora@example.org", "--new", "--hours", "1")["link"]
    assert "invites" not in run(tmp_path, "sign-up", link, "-e", "eve@example.org", said=f"{PASSWORD}\n", code=3)
    assert "too short" not in run(tmp_path, "sign-up", link, "-e", "dora@example.org", said="short\n", code=3)
    assert "owner of account dora" in run(tmp_path, "sign-up", link, "-e", "dora@example.org", said=f"{PASSWORD}\n")
    assert "used" in run(tmp_path, "sign-up", link, "-e", "dora@example.org", said=f"{PASSWORD}\n", code=3)
    listed = json.loads(run(tmp_path, "keys", "list", "--json"))
    assert [(one["user"], "admin" in one["scopes"]) for one in listed] == [("dora", True)]
    run(tmp_path, "keys", "create", "--scope", "read", "-n", "for the wall", "--expires", "30d")
    assert "for the wall" in run(tmp_path, "keys", "list")
    assert "only the owner" in run(tmp_path, "admin", "account", "list", code=3)
    with pytest.raises(Conflict):
        post(owner, "/v1/member", user="dora", account="dora", role="member")
    # she joins one more account by the same password
    again = post(owner, "/v1/invitation", role="member")["invitation"]
    with pytest.raises(NotAuthorized):
        post(nobody, "/v1/signup", email="dora@example.org", password="not her password", invitation=again)
    post(nobody, "/v1/signup", email="dora@example.org", password=PASSWORD, invitation=again)
    assert (
        len(account.list_keys("dora", PASSWORD)) == 2 and len(account.list_keys("dora", PASSWORD, account=server.account())) == 1
    )
    with pytest.raises(Forbidden, match="invitation"):
        post(nobody, "/v1/signup", email="eve@example.org", password=PASSWORD)


def test_links_and_the_former_password_set_a_new_one(server: Server, owner: Link, nobody: Link, tmp_path: Path) -> None:
    link = server.picloud("admin", "user", "add", "fay@example.org", "--account", server.account())["link"]
    with pytest.raises(NotAuthorized):
        account.list_keys("fay", PASSWORD)
    assert "fay" in run(tmp_path, "password", link, said=f"{PASSWORD}\n")
    assert account.list_keys("fay", PASSWORD) == []
    assert "used" in run(tmp_path, "password", link, said=f"{PASSWORD}\n", code=3)
    run(server.home, "password", "-u", "fay", said=f"{PASSWORD}\nanother horse altogether\n")
    with pytest.raises(NotAuthorized):
        account.list_keys("fay", PASSWORD)
    assert account.list_keys("fay", "another horse altogether") == []
    with pytest.raises(BadRequest, match="characters"):
        post(owner, "/v1/admin/user/password", user="fay", password="short")
    run(tmp_path, "setup", server.url, "-e", "fay", "-p", "another horse altogether")
    assert len(account.list_keys("fay", "another horse altogether")) == 1
    assert json.loads(run(tmp_path, "status", "--json"))["address"] == server.url


def test_a_rotated_key_is_stored_anew_where_it_is_in_use(server: Server, owner: Link, tmp_path: Path) -> None:
    made = post(owner, "/v1/key", scopes=["read", "admin"], note="to rotate")
    run(tmp_path, "setup", server.url, "-a", str(made["api_key"]), "-k", made["api_secretkey"])
    told = json.loads(run(tmp_path, "keys", "rotate", str(made["api_key"]), "--overlap", "1h", "--json"))
    assert told["api_secretkey"] != made["api_secretkey"] and told["former_until"] > time.time() * 1000
    for secret in (made["api_secretkey"], told["api_secretkey"]):
        assert account.get_key_by_key(made["api_key"], secret)["note"] == "to rotate"
    run(tmp_path, "keys", "rotate", str(made["api_key"]))
    for secret in (made["api_secretkey"], told["api_secretkey"]):
        with pytest.raises(NotAuthorized):
            account.get_key_by_key(made["api_key"], secret)
    run(tmp_path, "keys", "note", str(made["api_key"]), "rotated")
    run(tmp_path, "keys", "limit", str(made["api_key"]), "--scope", "read")
    assert "lacks the scope admin" in run(tmp_path, "keys", "note", str(made["api_key"]), "again", code=3)
    assert account.get_key(server.account(), PASSWORD, made["api_key"])["note"] == "rotated"


def test_nobody_gives_more_than_she_has(server: Server, linked: Linked, owner: Link) -> None:
    made = post(owner, "/v1/key", scopes=["read", "admin"])
    small = linked(made)
    assert post(small, "/v1/key")["scopes"] == ["read"]
    for path, body in (
        ("/v1/key", {"scopes": ["code"]}),
        ("/v1/key/change", {"api_key": made["api_key"], "scopes": ["jobs"]}),
        ("/v1/key/rotate", {"api_key": int(server.key)}),
    ):
        with pytest.raises(Forbidden):
            post(small, path, **body)


def pipelined(url: str, path: str, bodies: Iterable[str]) -> Counter[int]:
    """Post all of these over one connection, fifty under way at once; how often each status was answered."""
    at, found = urlsplit(url), Counter[int]()
    head = f"POST {path} HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: "
    with socket.create_connection((at.hostname, at.port), 30) as line, line.makefile("rb") as answers:
        while some := list(islice(bodies := iter(bodies), 50)):
            line.sendall("".join(f"{head}{len(body)}\r\n\r\n{body}" for body in some).encode())
            for _ in some:
                found[int(answers.readline().split()[1])] += 1
                answers.read(int(http.client.parse_headers(answers)["content-length"]))
    return found


def test_ten_thousand_wrong_logins_stay_cheap(server: Server, linked: Linked, owner: Link) -> None:
    """Only a few reach argon2: all others are turned away before, and the owner's own key works on."""

    def tries(number: int) -> Counter[int]:
        bodies = (json.dumps({"user": f"user{(number * 2_500 + at) % 50}", "password": str(at)}) for at in range(2_500))
        return pipelined(server.url, "/v1/login/password", bodies)

    with ThreadPoolExecutor(4) as pool:
        counts = sum(pool.map(tries, range(4)), Counter[int]())
    wrong = counts[NotAuthorized.http_status]
    assert counts == {NotAuthorized.http_status: wrong, TooMany.http_status: 10_000 - wrong}
    assert wrong <= 40, counts
    rows = [one for one in owner.json("GET", "/v1/audit?limit=1000")["acts"] if one["act"] == "login.wrong"]
    assert wrong <= len(rows) <= wrong + 20, "the log does not grow with those that were turned away"


def test_the_log_tells_all_of_it(server: Server) -> None:
    acts = server.picloud("admin", "audit", "--limit", "1000")
    assert {one["act"] for one in acts} >= {
        "key.create", "key.change", "key.rotate", "login", "login.wrong", "invitation", "sign_up", "member.role", "user.add",
        "password.set", "password.reset", "password.change",
    }  # fmt: skip
    (rotated, *_) = [one for one in acts if one["act"] == "key.rotate" and one["facts"]["overlap"] == 3600]
    assert rotated["account"] == server.account() and rotated["api_key"] and rotated["subject"] == str(rotated["api_key"])
    text = json.dumps(acts)
    assert PASSWORD not in text and server.secret not in text
    assert "login.wrong" in run(server.home, "admin", "audit", "-n", "1000")


def test_the_pages_of_links_are_shown_to_anybody(nobody: Link) -> None:
    for path in ("/sign-up", "/password"):
        assert b'<div id="root">' in nobody.get(path)  # what lies behind: tests/browser/test_account.py


def test_outside_a_server_there_are_no_keys(server: Server) -> None:
    cloud.start_simulator()
    try:
        with pytest.raises(CloudException, match="simulator"):
            account.list_keys("ann", PASSWORD)
    finally:
        server.use()


def test_whoever_starts_the_server_is_never_locked_out(server: Server, owner: Link, linked: Linked) -> None:
    other = linked(post(owner, "/v1/key", scopes=["admin"]))
    with pytest.raises(Forbidden):  # it lacks what that key has, and changes no scopes of it
        post(other, "/v1/key/change", api_key=int(server.key), scopes=["jobs"])
    post(other, "/v1/key/change", api_key=int(server.key), active=False)
    run(server.home, "keys", "list", code=3)
    server.picloud("restart")
    listed = {one["api_key"]: one["active"] for one in json.loads(run(server.home, "keys", "list", "--json"))}
    assert listed[int(server.key)] is False and list(listed.values()).count(True) >= 1
