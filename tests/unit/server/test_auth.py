"""Who asks, as the server remembers it: what ends, ends at once, with all that is open by it."""

from __future__ import annotations

import asyncio
import base64
import gc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from picloud.server import auth
from picloud.server.app import App
from picloud.server.auth import Authority, Headers, Principal
from picloud.server.fleet import Fleet
from picloud.server.http import Request
from picloud.server.metrics import Metrics
from picloud.server.route import Route, Table
from picloud.server.scopes import ANY
from picloud.server.storage import Storage
from picloud.settings import Settings
from picloud.store import account
from picloud.store.account import Change
from picloud.store.account import user as users
from picloud.store.account.session import session_name
from picloud.store.db import Database
from picloud.wire.error import Forbidden, NotAuthorized
from picloud.wire.scope import EVERYTHING, USUAL, Role, Scope

NOW = 1_000_000


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/p.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    now = [NOW]
    monkeypatch.setattr(auth, "now_ms", lambda: now[0])
    return now


def headers(key: int, secret: str) -> Headers:
    return {b"authorization": b"Basic " + base64.b64encode(f"{key}:{secret}".encode())}


def made(db: Database, **wish: int) -> tuple[int, Headers]:
    def act(tx: object) -> tuple[int, str]:
        owner = account.every(tx) or [account.get(tx, account.create(tx, "ann", 1))]  # type: ignore[arg-type]
        return account.key_create(tx, owner[0].id, 1, **wish)  # type: ignore[arg-type]

    key, secret = db.write(act).result(10)
    return key, headers(key, secret)


def authority(db: Database) -> Authority:
    found = Authority(Storage(db, Settings()), Fleet())
    found.owner = 1
    return found


def test_a_key_is_looked_up_once_until_it_changes(db: Database, clock: list[int]) -> None:
    async def program() -> None:
        ours = authority(db)
        key, shown = made(db)
        assert ours.remembered(shown) is None
        who = await ours.principal(shown)
        held = ours.remembered(shown)
        assert held is not None and held.principal == who and (who.key, who.scopes, who.owner) == (key, USUAL, False)
        stopped: list[str] = []
        held.users.add(lambda: stopped.append("a line"))
        db.write(account.key_change, who.account, key, Change(active=False)).result(10)
        ours.forget(key + 1)
        assert not stopped and ours.remembered(shown) is held
        ours.forget(key)
        assert stopped == ["a line"] and held.ended and ours.remembered(shown) is None
        with pytest.raises(NotAuthorized):
            await ours.principal(shown)

    asyncio.run(program())


def test_a_key_that_is_remembered_expires_to_the_millisecond(db: Database, clock: list[int]) -> None:
    async def program() -> None:
        ours = authority(db)
        _, shown = made(db, expires=NOW + 5)
        await ours.principal(shown)
        held = ours.remembered(shown)
        clock[0] = NOW + 4
        assert held is not None and ours.remembered(shown) is held
        clock[0] = NOW + 5
        assert ours.remembered(shown) is None and held.ended
        with pytest.raises(NotAuthorized, match="expired"):
            await ours.principal(shown)

    asyncio.run(program())


def test_what_is_open_ends_when_the_key_expires_though_nobody_asks(db: Database, clock: list[int]) -> None:
    async def program() -> None:
        ours, over = authority(db), asyncio.Event()
        _, shown = made(db, expires=NOW + 20)
        await ours.principal(shown)
        held = ours.remembered(shown)
        assert held is not None
        held.users.add(over.set)
        clock[0] = NOW + 20
        async with asyncio.timeout(10):
            await over.wait()

    asyncio.run(program())


def test_what_was_read_before_a_change_is_not_remembered_after_it(db: Database, clock: list[int]) -> None:
    async def program() -> None:
        ours = authority(db)
        key, shown = made(db)
        asked = asyncio.ensure_future(ours.principal(shown))
        await asyncio.sleep(0)  # the question is on its way to the store
        ours.forget(key)
        await asked
        assert ours.remembered(shown) is None

    asyncio.run(program())


@pytest.mark.parametrize("begun", [False, True])
def test_an_answer_that_takes_longer_ends_with_its_key(db: Database, clock: list[int], begun: bool) -> None:
    """Whether its key ends while it is under way, or between the question and its beginning."""

    async def program() -> None:
        ours, there, go = authority(db), asyncio.Event(), asyncio.Event()
        key, shown = made(db)
        sent: list[Any] = []

        async def stream(_: object, request: Request) -> None:
            there.set()
            await go.wait()
            await request.send({"type": "http.response.start", "status": 200, "headers": []})
            there.set()
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        app: Any = App(SimpleNamespace(authority=ours, settings=Settings(), hosts={""}, metrics=Metrics()))  # type: ignore[arg-type]
        app._table = Table([Route("GET", "/stream", stream, scope=ANY)])
        scope = {"type": "http", "method": "GET", "path": "/stream", "headers": [*shown.items()]}
        asked = asyncio.ensure_future(app(scope, None, send))
        await there.wait()
        if begun:
            there.clear()
            go.set()
            await there.wait()
        ours.forget(key)
        go.set()
        async with asyncio.timeout(10):
            await asked
        assert [one["type"] for one in sent] == ["http.response.start"]

    asyncio.run(program())


def session(db: Database, until: int = NOW + 1_000_000, person: int = 0, key: int = 0) -> tuple[str, Headers]:
    def act(tx: object) -> str:
        (owner,) = account.every(tx) or [account.get(tx, account.create(tx, "ann", 1))]  # type: ignore[arg-type]
        ticket = account.ticket_create(tx, owner.id, NOW, 1000, person=person, key=key)  # type: ignore[arg-type]
        return account.ticket_redeem(tx, ticket, NOW, until - NOW)  # type: ignore[arg-type]

    token = db.write(act).result(10)
    return token, {b"authorization": b"Bearer " + token.encode()}


def end(db: Database, token: str) -> None:
    db.write(account.session_end, token).result(10)


def test_a_session_is_looked_up_each_time_and_what_is_open_shares_a_pass(db: Database, clock: list[int]) -> None:
    async def program() -> None:
        ours = authority(db)
        token, shown = session(db)
        who, held = await ours.enter(shown)
        assert held is not None and held.principal == who and who.token == token and ours.remembered(shown) is None
        assert (await ours.enter(shown))[1] is held
        other = (await ours.enter(session(db)[1]))[1]
        assert other is not held
        end(db, token)
        with pytest.raises(NotAuthorized):
            await ours.enter(shown)
        del held, other
        gc.collect()
        assert not ours._sessions, "nothing is kept of sessions that have nothing open"

    asyncio.run(program())


@pytest.mark.parametrize("how", ["session", "sessions", "person", "account", "key"])
def test_what_a_session_has_open_ends_with_it(db: Database, clock: list[int], how: str) -> None:
    async def program() -> None:
        ours = authority(db)
        key, _ = made(db)
        person = db.write(users.create, "bob", "bob@example.org", 1).result(10)
        db.write(users.set_role, 1, person, Role.member, 1).result(10)
        (token, shown), (_, alone) = session(db, person=person, key=key), session(db)
        held, other = (await ours.enter(shown))[1], (await ours.enter(alone))[1]
        assert held is not None and other is not None
        stopped: list[str] = []
        held.users.add(lambda: stopped.append("hers"))
        {"session": lambda: ours.forget_named([session_name(token)]), "sessions": lambda: ours.forget_sessions(person),
         "person": lambda: ours.forget_person(person), "account": lambda: ours.forget_account(1),
         "key": lambda: ours.forget(key)}[how]()  # fmt: skip
        assert stopped == ["hers"] and held.ended and other.ended is (how == "account")

    asyncio.run(program())


@pytest.mark.parametrize("how", ["expired", "ended behind our back", "another role"])
def test_what_is_open_is_looked_after(db: Database, clock: list[int], monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(auth, "LOOK", 0.01)

    async def program() -> None:
        ours, over = authority(db), asyncio.Event()
        person = db.write(users.create, "bob", "bob@example.org", 1).result(10)
        db.write(users.set_role, 1, person, Role.member, 1).result(10)
        token, shown = session(db, NOW + 5, person)
        held = (await ours.enter(shown))[1]
        assert held is not None
        held.users.add(over.set)
        if how == "expired":
            clock[0] = NOW + 5
        elif how == "another role":
            db.write(users.set_role, 1, person, Role.admin, 1).result(10)
        else:
            end(db, token)
        async with asyncio.timeout(60):
            await over.wait()

    made(db)  # and with it the account
    asyncio.run(program())


def test_a_session_that_ends_while_it_is_read_opens_nothing(db: Database, clock: list[int]) -> None:
    async def program() -> None:
        ours = authority(db)
        token, shown = session(db)
        asked = asyncio.ensure_future(ours.enter(shown))
        await asyncio.sleep(0)  # the question is on its way to the store
        end(db, token)
        ours.forget_named([session_name(token)])
        with pytest.raises(NotAuthorized):
            await asked

    asyncio.run(program())


def test_a_session_made_by_a_key_ends_with_it(db: Database, clock: list[int]) -> None:
    async def program() -> None:
        ours = authority(db)
        key, _ = made(db, expires=NOW + 50)
        held = (await ours.enter(session(db, key=key)[1]))[1]
        assert held is not None and held.until == NOW + 50

    asyncio.run(program())


def test_the_owner_of_the_installation_needs_the_scope_admin(db: Database, clock: list[int]) -> None:
    async def program() -> None:
        ours = authority(db)
        for scopes, owner in ((EVERYTHING, True), (USUAL, False), (Scope.admin, True)):
            assert (await ours.principal(made(db, scopes=scopes)[1])).owner is owner

    asyncio.run(program())


def test_keys_without_anything_open_are_forgotten_first(db: Database, clock: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    async def program() -> None:
        monkeypatch.setattr(auth, "REMEMBERED", 2)
        ours = authority(db)
        shown = [made(db)[1] for _ in range(4)]
        await ours.principal(shown[0])
        first = ours.remembered(shown[0])
        assert first is not None
        first.users.add(lambda: None)
        for each in shown[1:]:
            await ours.principal(each)
        assert [ours.remembered(each) is not None for each in shown] == [True, False, False, True]

    asyncio.run(program())


def test_a_refusal_names_what_lacks() -> None:
    who = Principal(1, "ann", scopes=Scope.read | Scope.jobs, key=7)
    who.check([Scope.jobs])
    who.check([Scope.code, Scope.read])
    who.check([Scope(0)])
    for needed, words in (([Scope.jobs | Scope.code], "jobs and code"), ([Scope.bucket, Scope.queue], "bucket or queue")):
        with pytest.raises(Forbidden) as told:
            who.check(needed)
        assert words in told.value.parameter and words in (told.value.hint or "")
        assert told.value.facts == {"scopes": ["jobs", "read"]}
