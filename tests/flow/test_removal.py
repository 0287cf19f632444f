"""An account is removed while it works: all of it is gone, whatever happens to the server meanwhile."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import cloud
from bench.ledger import faults
from picloud.store.removal import KEPT, SWEPT
from picloud.store.tables import metadata
from picloud.wire.error import NotAuthorized
from tests.conftest import PICLOUD, Server, serving

RARELY = "0 0 1 1 *"


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of each test's own, which it kills."""
    with serving() as started:
        yield started


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """The first true value; fails when the time is up."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def made(server: Server, name: str) -> tuple[str, str]:
    """A new account: its key and secret. This process is its client from then on."""
    server.use()
    found = server.picloud("admin", "account", "add", name)
    key = str(found["api_key"]), str(found["api_secretkey"])
    cloud.setkey(*key, server.url)
    return key


def status(url: str, data: bytes | None = None, key: tuple[str, str] | None = None) -> int:
    """What a URL answers."""
    asked = urllib.request.Request(url, data)
    if key:
        manager = urllib.request.HTTPPasswordMgrWithPriorAuth()
        manager.add_password(None, url, *key, is_authenticated=True)
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
    else:
        opener = urllib.request.build_opener()
    try:
        with opener.open(asked, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)


def area(width: float, height: float) -> float:
    return width * height


def linger(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def fill() -> dict[str, str]:
    """Something of everything, at work; the URLs of what has one."""
    assert cloud.result(cloud.call(area, 2, 3)) == 6
    cloud.environment.create("sci")  # first: it waits for its setup job
    jids = list(cloud.map(linger, [600.0] * 8, _label="long"))
    until(lambda: "processing" in cloud.status(jids), "no job began")
    cloud.bucket.putf(b"x" * 100_000, "page.txt")
    cloud.bucket.putf(b"small", "a/small")
    cloud.volume.create("tools", "tools")
    cloud.secret.set("db", {"DB_PASSWORD": "horse"})
    cloud.webhook.secret()
    cloud.cron.register(os.getpid, "tick", "* * * * *")
    tasks = cloud.queue.get("tasks")
    tasks.push(600.0 for _ in range(5))
    tasks.attach(linger, cloud.queue.get("sums"))
    return {"public": cloud.bucket.make_public("page.txt"), "rest": cloud.rest.publish(area, "area")}


def sees_nothing() -> None:
    assert cloud.bucket.list() == [] and cloud.volume.get_list() == [] and cloud.environment.list_envs() == []
    assert cloud.cron.list() == [] and cloud.rest.list() == [] and cloud.secret.list() == [] and cloud.queue.list() == []


def names(server: Server) -> list[str]:
    """The accounts, with those that are going."""
    return [one["name"] for one in server.picloud("admin", "account", "list")]


def going(server: Server) -> list[bool]:
    """Of each account, whether it is going."""
    return [one["going"] for one in server.picloud("admin", "account", "list")]


def left(home: Path, number: int) -> dict[str, int]:
    """Rows of an account by table, but of those that keep them."""
    tables = [one.name for one in metadata.sorted_tables if "account" in one.c and one.name not in KEPT | SWEPT]
    with closing(sqlite3.connect(f"file:{home / 'picloud.sqlite'}?mode=ro", uri=True)) as database:
        told = {"submission": " AND function <> ''"}  # the newest one of all keeps its number, and tells nothing
        counted = {one: database.execute(f'SELECT count(*) FROM "{one}" WHERE account = ?{told.get(one, "")}', [number])
                   for one in tables}  # fmt: skip
        return {name: rows.fetchone()[0] for name, rows in counted.items()}


def test_an_account_is_removed_while_it_works_and_the_server_dies(server: Server) -> None:
    key = made(server, "anna")
    urls = fill()
    body = b"width=2&height=3"
    assert status(urls["public"]) == status(urls["rest"], body, key) == 200
    server.picloud("admin", "account", "deactivate", "anna")
    assert (status(urls["public"]), status(urls["rest"], body, key)) == (404, 401)
    server.picloud("admin", "account", "activate", "anna")
    assert status(urls["public"]) == 200
    server.picloud("admin", "account", "deactivate", "anna")
    assert server.picloud("admin", "account", "remove", "anna", "--yes") == {"name": "anna", "going": True}
    os.kill(server.pid, signal.SIGKILL)
    server.pid = server.picloud("up")["pid"]
    again = made(server, "anna")
    sees_nothing()
    until(lambda: True not in going(server), "it is not gone")
    assert status(urls["public"]) == 404 and status(urls["rest"], body, key) == 401 and status(urls["rest"], body, again) == 404
    cloud.setkey(*key, server.url)
    with pytest.raises(NotAuthorized):
        cloud.bucket.list()
    cloud.setkey(*again, server.url)
    sees_nothing()
    assert cloud.result(cloud.call(area, 2, 4)) == 8
    until(lambda: not workers(server, "anna~"), "a worker of it is left")
    cloud.close()
    server.picloud("down")
    assert not faults(server.home)
    assert not {name: count for name, count in left(server.home, 2).items() if count}


def workers(server: Server, name: str) -> list[Any]:
    """The living workers of accounts whose names begin so."""
    with closing(sqlite3.connect(f"file:{server.home / 'picloud.sqlite'}?mode=ro", uri=True)) as database:
        query = ("SELECT worker.id FROM worker JOIN kind ON kind.id = worker.kind JOIN account ON account.id = kind.account "
                 "WHERE worker.closed IS NULL AND account.name LIKE ? || '%'")  # fmt: skip
        return database.execute(query, [name]).fetchall()


def said(server: Server, *words: str, typed: str = "") -> tuple[int, str]:
    """What the command line answers to a person."""
    done = subprocess.run([*PICLOUD, "admin", "account", *words], input=typed, capture_output=True, text=True, timeout=60,
                          check=False, env={**os.environ, "PICLOUD_HOME": str(server.home)})  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_who_may_be_removed(server: Server) -> None:
    made(server, "carl")
    server.use()
    owner = server.account()
    for name, told in ((owner, "owns the installation"), ("nobody", "no account 'nobody'"), ("carl", "is in use")):
        code, text = said(server, "remove", name, "--yes")
        assert code and told in text
    said(server, "deactivate", "carl")
    code, text = said(server, "remove", "carl", typed="karl\n")
    assert code and "nothing was removed" in text and "carl" in names(server)
    code, text = said(server, "remove", "carl", typed="carl\n")
    assert not code and "Account carl is removed" in text
    until(lambda: "carl" not in names(server), "it is not gone")
    assert [one["act"] for one in server.picloud("admin", "audit")][0] == "account.remove"
