"""What pages watch: asked once for all that ask it, told when it changes, and by nobody's key but the page's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from picloud.server import inner, pace, views
from picloud.server.auth import Principal
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.route import Route, Table
from picloud.server.scopes import ADMIN, ANY, ASK_JOBS
from picloud.server.views import Page, Views
from picloud.wire.error import NotFound, TooMany, Unavailable
from picloud.wire.scope import USUAL, Role, Scope

DEADLINE = 60.0


class World:
    """What the routes answer, and who asked."""

    def __init__(self) -> None:
        self.value: Any = 0
        self.asked: list[Principal] = []
        self.gone = False


@operation()
async def number(control: Any, request: Request) -> None:
    """GET /v1/number"""
    control.world.asked.append(request.principal)
    if control.world.gone:
        raise NotFound("the number is gone", hint="wait")
    await request.json({"value": control.world.value, "account": request.principal.account, "q": request.query()})


@operation()
async def broken(control: Any, request: Request) -> None:
    """GET /v1/broken"""
    raise RuntimeError("a mistake of ours")


@operation()
async def text(control: Any, request: Request) -> None:
    """GET /v1/text"""
    await request.answer(b"text")


ROUTES = [
    Route("GET", "/v1/number", number, scope=ASK_JOBS, view=True),
    Route("GET", "/v1/own", number, scope=ANY, view=True, personal=True),
    Route("GET", "/v1/job/{jid}", number, scope=ANY, view=True),
    Route("GET", "/v1/admin", number, scope=ADMIN, view=True),
    Route("GET", "/v1/broken", broken, scope=ANY, view=True),
    Route("GET", "/v1/text", text, scope=ANY, view=True),
    Route("GET", "/v1/unwatched", number, scope=ANY),
]


class Wire:
    """The way to a page."""

    def __init__(self) -> None:
        self.sent = b""
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, data: bytes) -> None:
        if not self.open.is_set():
            await self.open.wait()
        self.sent += data

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.sent.splitlines()]


class Stage:
    """Views of a small world."""

    def __init__(self) -> None:
        self.world = World()
        self.find = Table([*ROUTES]).find
        control: Any = self
        self.views = Views(control)

    def page(self, *paths: str, mark: str = "", who: Principal | None = None) -> tuple[Page, Wire]:
        who = who or Principal(1, "ann")
        wire = Wire()
        page = self.views.open(who.account, wire.send)
        request: Any = SimpleNamespace(principal=who, scope={"scheme": "http"}, headers={b"host": b"here:1"})
        for path in paths:
            self.views.watch(page, request, path, mark)
        return page, wire


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "INTERVAL", 0.01)


def run(act: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE):
            stage = Stage()
            await act(stage)
            stage.views.close()

    asyncio.run(bounded())


async def until(true: Callable[[], Any]) -> None:
    while not true():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.001)


async def turns(stage: Stage, count: int = 3) -> None:
    """Wait until questions were asked so often again."""
    goal = stage.views.asked + count
    await until(lambda: stage.views.asked >= goal)


def test_a_page_is_told_once_and_again_when_it_changes() -> None:
    async def act(stage: Stage) -> None:
        _, wire = stage.page("/v1/number?a=b%20c")
        await until(lambda: wire.told)
        assert wire.told[0]["path"] == "/v1/number?a=b%20c"
        assert wire.told[0]["body"] == {"value": 0, "account": 1, "q": {"a": "b c"}}
        await turns(stage)
        assert len(wire.told) == 1
        stage.world.value = 7
        await until(lambda: len(wire.told) == 2)
        assert wire.told[1]["body"]["value"] == 7 and wire.told[1]["mark"] != wire.told[0]["mark"]

    run(act)


def test_pages_that_ask_the_same_are_answered_by_one_question() -> None:
    async def act(stage: Stage) -> None:
        many = [stage.page("/v1/number")[1] for _ in range(50)]
        await until(lambda: all(wire.told for wire in many))
        assert stage.views.asked == 1
        late = stage.page("/v1/number")[1]
        assert late.told == many[0].told, "at once, from what is known"

    run(act)


def test_users_of_an_account_share_what_does_not_depend_on_them() -> None:
    async def act(stage: Stage) -> None:
        ann, bob = (Principal(1, "lab", person=n, key=n + 10, token=f"t{n}") for n in (1, 2))
        wires = [stage.page("/v1/number", "/v1/own", who=who)[1] for who in (ann, bob)]
        await until(lambda: all(len(wire.told) == 2 for wire in wires))
        assert stage.views.asked == 3
        seen = {(who.person, who.key, who.token) for who in stage.world.asked}
        assert seen == {(0, 0, ""), (1, 11, "t1"), (2, 12, "t2")}, "a shared answer cannot depend on a user, for none is told"

    run(act)


def test_accounts_roles_and_scopes_share_nothing() -> None:
    async def act(stage: Stage) -> None:
        whos = [Principal(1, "a"), Principal(2, "b"), Principal(1, "a", scopes=Scope.read), Principal(1, "a", role=Role.owner),
                Principal(1, "a", owner=True)]  # fmt: skip
        wires = [stage.page("/v1/number", who=who)[1] for who in whos]
        await until(lambda: all(wire.told for wire in wires))
        assert stage.views.asked == 5
        assert [wire.told[0]["body"]["account"] for wire in wires] == [1, 2, 1, 1, 1]

    run(act)


def test_a_page_that_comes_back_is_told_only_what_it_does_not_know() -> None:
    async def act(stage: Stage) -> None:
        page, wire = stage.page("/v1/number", "/v1/unwatched")
        await until(lambda: len(wire.told) == 2)
        stage.views.leave(page)
        marks = {one["path"]: one["mark"] for one in wire.told}
        for path, mark in marks.items():
            again, news = stage.page(path, mark=mark)
            await asyncio.sleep(0)
            if path == "/v1/number":
                await turns(stage)
                assert not news.told
                stage.world.value = 1
                await until(lambda news=news: news.told)
            assert [one.get("body", {}).get("value") for one in news.told] == ([1] if path == "/v1/number" else [])
            stage.views.leave(again)

    run(act)


def test_nothing_is_asked_when_nobody_watches() -> None:
    async def act(stage: Stage) -> None:
        assert stage.views.idle
        one, wire = stage.page("/v1/number")
        two, _ = stage.page("/v1/number", "/v1/own")
        await until(lambda: wire.told)
        stage.views.leave(one)
        assert not stage.views.idle
        stage.views.leave(two)
        await until(lambda: stage.views.idle)
        assert not stage.views._watched and not stage.views._open

    run(act)


@pytest.mark.parametrize(
    ("path", "code"),
    [("/v1/nothing", "not_found"), ("/v1/unwatched", "bad_request"), ("http://evil.example/v1/number", "bad_request"),
     ("", "bad_request"), ("//evil.example/v1/number", "not_found"), ("/v1/number#x", "bad_request"),
     ("/v1/num\nber", "bad_request"), ("/v1/%6Eothing", "not_found"), ("/v1/job/abc", "not_found"),
     ("/v1/admin", "forbidden"), ("/\ud800", "bad_request")],
)  # fmt: skip
def test_what_cannot_be_watched_is_told_as_an_error_once(path: str, code: str) -> None:
    async def act(stage: Stage) -> None:
        _, wire = stage.page(path, "/v1/number", who=Principal(1, "a", scopes=USUAL))
        await until(lambda: len(wire.told) == 2)
        assert wire.told[0]["path"] == path and wire.told[0]["error"]["code"] == code and wire.told[0]["error"]["message"]
        assert len(stage.views._watched) == 1

    run(act)


def test_errors_of_handlers_are_told_and_go_again() -> None:
    async def act(stage: Stage) -> None:
        stage.world.gone = True
        _, wire = stage.page("/v1/number", "/v1/broken", "/v1/text")
        await until(lambda: len(wire.told) == 3)
        found = {one["path"]: one["error"]["code"] for one in wire.told}
        assert found == {"/v1/number": "not_found", "/v1/broken": "unavailable", "/v1/text": "bad_request"}
        assert b"mistake" not in wire.sent, "what went wrong within is for the log"
        stage.world.gone = False
        await until(lambda: len(wire.told) == 4)
        assert wire.told[3]["body"]["value"] == 0

    run(act)


def test_an_answer_that_is_too_large_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inner, "LARGEST", 1000)

    async def act(stage: Stage) -> None:
        stage.world.value = "x" * 1000
        page, wire = stage.page("/v1/number")
        await until(lambda: wire.told)
        assert wire.told[0]["error"]["code"] == "too_large" and not page.closed

    run(act)


def test_a_handler_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inner, "PATIENCE", 0.01)

    async def stuck(control: Any, request: Request) -> None:
        await asyncio.Event().wait()

    async def act(stage: Stage) -> None:
        stage.find = Table([Route("GET", "/v1/stuck", operation()(stuck), scope=ANY, view=True)]).find
        _, wire = stage.page("/v1/stuck")
        await until(lambda: wire.told)
        assert wire.told[0]["error"]["code"] == "unavailable"

    run(act)


def test_a_page_that_is_behind_gets_the_newest_when_it_reads_again() -> None:
    async def act(stage: Stage) -> None:
        page, wire = stage.page("/v1/number")
        await until(lambda: wire.told)
        wire.open.clear()
        for value in range(1, 30):
            stage.world.value = value
            await turns(stage, 1)
        assert page.behind
        wire.open.set()
        await until(lambda: wire.told[-1]["body"]["value"] == 29)
        assert len(wire.told) < 10, "what came between is of no interest any more"

    run(act)


def test_a_page_that_never_reads_is_dropped() -> None:
    async def act(stage: Stage) -> None:
        page, wire = stage.page("/v1/number")
        await until(lambda: wire.told)
        wire.open.clear()
        stage.world.value = 1
        await until(lambda: page.behind)
        for _ in range(views.STUCK):
            assert not page.closed
            page.beat(b"{}\n")
        assert page.closed
        stage.views.leave(page)

    run(act)


def test_a_sign_of_life_comes_where_nothing_else_did() -> None:
    async def act(stage: Stage) -> None:
        page, wire = stage.page()
        page.beat(b"{}\n")
        page.beat(b"{}\n")
        assert wire.told == [{}, {}]
        page.offer(b'{"x": 1}\n')
        page.beat(b"{}\n")
        assert wire.told == [{}, {}, {"x": 1}]
        page.beat(b"{}\n")
        assert len(wire.told) == 4

    run(act)


def test_an_account_has_so_many_pages_and_others_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MOST", 2)

    async def act(stage: Stage) -> None:
        first = stage.page()[0]
        stage.page()
        with pytest.raises(TooMany):
            stage.page()
        stage.page(who=Principal(2, "b"))
        stage.views.leave(first)
        stage.page()

    run(act)


def test_a_server_that_stops_ends_all_pages() -> None:
    async def act(stage: Stage) -> None:
        page, wire = stage.page("/v1/number")
        await until(lambda: wire.told)
        stage.views.close()
        assert page.closed
        stage.views.leave(page)
        await until(lambda: stage.views.idle)
        with pytest.raises(Unavailable):
            stage.page()

    run(act)
