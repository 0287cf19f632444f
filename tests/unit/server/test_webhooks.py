"""The outbox is delivered: signed, again and again with growing pauses, and nobody's slow receiver holds up others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import cloud
from picloud.server.control import Control
from picloud.server.storage import Storage
from picloud.server.vault import Vault
from picloud.server.webhooks import EACH, WAITS, Webhooks, place
from picloud.settings import Settings
from picloud.store.act import kill
from picloud.store.db import Database
from picloud.store.webhook import delivery, webhook
from picloud.store.webhook.delivery import Delivery
from tests.contract.store.storekeeper import Keeper
from tests.unit.server.receiver import Receiver, receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_800_000_000_000


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
def ann(tmp_path: Path) -> Iterator[Keeper]:
    db = Database.open(f"sqlite:///{tmp_path}/picloud.sqlite")
    yield signing(Keeper(db), tmp_path)
    db.close()


def signing(keeper: Keeper, folder: Path) -> Keeper:
    sealed = Vault(folder / "secrets.key").seal(keeper.account, place(""), {"secret": SECRET})
    keeper.write(webhook.put, keeper.account, "", "", sealed.key, sealed.data, 1)
    return keeper


def ended(keeper: Keeper, url: str, count: int = 1) -> None:
    """So many jobs have ended that tell this address."""
    keeper.map(count, webhook=url)
    keeper.write(kill.kill, keeper.account, None, keeper.tick())


def outbox(keeper: Keeper) -> list[Delivery]:
    found: list[Delivery] = keeper.read(delivery.listing, keeper.account)
    return found[::-1]


def run(ann: Keeper, folder: Path, program: Callable[[Webhooks], Coroutine[Any, Any, None]], held: bool = False,
        networks: tuple[str, ...] = ("127.0.0.0/8", "::1")) -> None:  # fmt: skip
    """Run a program with a new server's webhooks."""

    async def running() -> None:
        settings = Settings(home=str(folder), webhook_networks=[*networks])
        parts = SimpleNamespace(settings=settings, storage=Storage(ann.db, settings), vault=Vault(folder / "secrets.key"),
                                dispatcher=SimpleNamespace(held=held))  # fmt: skip
        async with asyncio.timeout(30):
            await program(Webhooks(cast(Control, parts)))

    asyncio.run(running())


def look(ann: Keeper, folder: Path, now: int, **more: Any) -> None:
    """One look of a new server, at this time."""

    async def program(webhooks: Webhooks) -> None:
        await webhooks.look(now)
        await webhooks.settled()

    run(ann, folder, program, **more)


def test_two_errors_and_then_it_is_delivered(ann: Keeper, tmp_path: Path, receiver: Receiver) -> None:
    receiver.answers = [500, 500]
    ended(ann, f"{receiver.url}/hook")
    now = NOW
    for wait in (0, WAITS[0] * 1000, WAITS[1] * 1000):
        look(ann, tmp_path, now + wait - 1 if wait else 0)
        now += wait
        look(ann, tmp_path, now)
        look(ann, tmp_path, now)
    assert len(receiver.got) == 3
    (one,) = outbox(ann)
    assert (one.state, one.tries, one.answer, one.trouble, one.ended) == (1, 3, 204, "", now)
    assert {got.headers["webhook-id"] for got in receiver.got} == {one.event}
    assert len({got.body for got in receiver.got}) == 1
    told = cloud.webhook.verify(SECRET, receiver.got[-1].headers, receiver.got[-1].body, tolerance=1e12)
    assert (told["type"], told["id"], told["data"]["jid"]) == ("job.killed", one.event, 1)


def test_it_is_given_up_after_the_last_try(ann: Keeper, tmp_path: Path, receiver: Receiver) -> None:
    receiver.answers = [503] * 20
    ended(ann, receiver.url)
    now = NOW
    for wait in (0, *WAITS):
        now += wait * 1000
        look(ann, tmp_path, now)
    (one,) = outbox(ann)
    assert (one.state, one.tries, one.answer, one.due, one.trouble) == (2, len(WAITS) + 1, 503, None, "answered 503")
    look(ann, tmp_path, now + 10**9)
    assert len(receiver.got) == len(WAITS) + 1


@pytest.mark.parametrize(("status", "state"), [(410, 2), (302, 0), (200, 1)])
def test_what_an_answer_means(ann: Keeper, tmp_path: Path, receiver: Receiver, status: int, state: int) -> None:
    receiver.answers, receiver.headers = [status], {"Location": f"{receiver.url}/else", "Content-Length": "0"}
    ended(ann, receiver.url)
    look(ann, tmp_path, NOW)
    (one,) = outbox(ann)
    assert (one.state, one.answer, len(receiver.got)) == (state, status, 1)


def test_a_private_address_is_tried_again_and_never_connected_to(ann: Keeper, tmp_path: Path, receiver: Receiver) -> None:
    ended(ann, receiver.url)
    look(ann, tmp_path, NOW, networks=())
    (one,) = outbox(ann)
    assert one.state == 0 and "not public" in one.trouble and receiver.got == []


def test_a_slow_receiver_holds_up_its_own_account_alone(ann: Keeper, tmp_path: Path, receiver: Receiver) -> None:
    bob = signing(Keeper(ann.db, "bob"), tmp_path)
    ended(ann, f"{receiver.url}/slow", 100)
    ended(bob, f"{receiver.url}/quick", 2 * EACH)

    async def program(webhooks: Webhooks) -> None:
        while len([one for one in outbox(bob) if one.state == 1]) < 2 * EACH:
            await webhooks.look(NOW)
            await asyncio.sleep(0.01)
        receiver.hold.set()
        await webhooks.settled()

    run(ann, tmp_path, program)
    paths = [got.path for got in receiver.got]
    assert (paths.count("/slow"), paths.count("/quick")) == (EACH, 2 * EACH)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 3 * EACH, "none twice"


def test_a_server_that_died_before_it_wrote_down_sends_again_with_the_same_id(
    ann: Keeper, tmp_path: Path, receiver: Receiver
) -> None:
    ended(ann, f"{receiver.url}/slow")

    async def dies(webhooks: Webhooks) -> None:
        await webhooks.look(NOW)
        await asyncio.to_thread(receiver.wait, 1)

    run(ann, tmp_path, dies)
    receiver.hold.set()
    look(ann, tmp_path, NOW)
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"] and first.body == second.body
    assert outbox(ann)[0].state == 1


def test_nobody_is_told_anything_by_a_server_that_is_held(ann: Keeper, tmp_path: Path, receiver: Receiver) -> None:
    ended(ann, receiver.url)
    look(ann, tmp_path, NOW, held=True)
    assert receiver.got == [] and outbox(ann)[0].tries == 0


def test_who_cannot_sign_sends_nothing(ann: Keeper, tmp_path: Path, receiver: Receiver) -> None:
    ended(ann, receiver.url, 2)
    (tmp_path / "secrets.key").rename(tmp_path / "away")
    look(ann, tmp_path, NOW)
    assert {(one.state, one.trouble) for one in outbox(ann)} == {
        (0, "its signing secret cannot be opened: make a new one")
    }  # fmt: skip
    ann.write(webhook.remove, ann.account, "")
    look(ann, tmp_path, NOW + 10**7)
    assert {(one.state, one.trouble) for one in outbox(ann)} == {(2, "its webhook was removed")}
    assert receiver.got == []
