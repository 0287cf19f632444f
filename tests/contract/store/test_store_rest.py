"""Calls with an address: kept, replaced, called with arguments of anybody."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete

from picloud.store import account as accounts
from picloud.store.call import cron, rest
from picloud.store.call import key as keys
from picloud.store.call.rest import Published
from picloud.store.db import Database
from picloud.store.schema import account
from picloud.wire.call import Clock, Endpoint, Parameter, Register
from picloud.wire.error import Conflict, NotAuthorized, NotFound
from picloud.wire.message import Arguments, Code, Submitted
from picloud.wire.scope import Scope
from tests.contract.store.storekeeper import CODE, Keeper, submission

SIGNATURE = Endpoint([Parameter("x", kind="integer"), Parameter("y", False, default="1")], encoding="raw")


class Addresses(Keeper):
    """A keeper with addresses."""

    def publish(self, label: str = "area", brought: tuple[Code, ...] = (CODE,), **options: Any) -> list[str]:
        submit = msgspec.structs.replace(submission(1, **options), code=list(brought))
        asked = Register(label, submit, "What it does.\0", "her-machine", endpoint=SIGNATURE)
        missing: list[str] = self.write(rest.publish, self.account, asked, "", None, self.tick())
        return missing

    def find(self, label: str = "area") -> Published:
        found: Published = self.read(rest.find, self.account, label)
        return found

    def invoke(self, found: Published, *data: bytes, token: bytes = b"") -> Submitted:
        ends = [sum(map(len, data[: at + 1])) for at in range(len(data))]
        arguments = Arguments(ends, b"".join(data), ["" for _ in data])
        made: Submitted = self.write(rest.invoke, found.call, arguments, token or os.urandom(16), self.tick())[0]
        return made


@pytest.fixture
def ann(db: Database) -> Addresses:
    return Addresses(db)


def test_code_that_is_missing_is_asked_for_and_nothing_is_stored(ann: Addresses) -> None:
    assert ann.publish(brought=()) == [CODE.digest]
    assert ann.read(rest.every, ann.account) == []
    assert ann.publish() == []
    found = ann.find()
    assert found.endpoint == SIGNATURE
    assert (found.call.label, found.call.description, found.call.machine) == ("area", "What it does.\ufffd", "her-machine")


def test_an_address_is_called_with_arguments(ann: Addresses) -> None:
    ann.publish(label="area", priority=3)
    made = ann.invoke(ann.find(), b"one", b"three")
    leases = ann.take(ann.worker())
    assert [(lease.jid, lease.data) for lease in leases] == [(made.first, b"one"), (made.first + 1, b"three")]


def test_a_repeat_is_the_same_jobs(ann: Addresses) -> None:
    ann.publish()
    token = os.urandom(16)
    assert ann.invoke(ann.find(), b"1", token=token) == ann.invoke(ann.find(), b"1", token=token)
    with pytest.raises(Conflict):
        ann.invoke(ann.find(), b"2", token=token)


def test_an_address_that_was_replaced_or_removed_takes_no_calls_of_before(ann: Addresses) -> None:
    ann.publish()
    before = ann.find()
    ann.publish()
    with pytest.raises(NotFound, match="just replaced"):
        ann.invoke(before, b"1")
    assert ann.find().call.id == before.call.id and len(ann.read(rest.every, ann.account)) == 1
    now = ann.find()
    ann.write(rest.remove, ann.account, "area")
    with pytest.raises(NotFound, match="no rest 'area'"):
        ann.invoke(now, b"1")
    with pytest.raises(NotFound):
        ann.write(rest.remove, ann.account, "area")


def test_a_cron_and_an_address_may_have_the_same_label(ann: Addresses) -> None:
    ann.publish()
    submit = msgspec.structs.replace(submission(1), code=[CODE])
    ann.write(cron.register, ann.account, Register("area", submit, clock=Clock("@daily")), "", None, ann.now)
    ann.write(rest.remove, ann.account, "area")
    assert ann.read(cron.find, ann.account, "area").call.label == "area"


def test_another_account_sees_nothing(ann: Addresses) -> None:
    bob = ann.write(accounts.create, "bob", 5)
    ann.publish()
    assert ann.read(rest.every, bob) == []
    for act in (lambda tx: rest.remove(tx, bob, "area"), lambda tx: rest.find(tx, bob, "area")):
        with pytest.raises(NotFound):
            ann.write(act)
    assert ann.find()


def test_keys_of_an_address_open_its_call_alone_and_end_with_it(ann: Addresses) -> None:
    ann.publish()
    call = ann.find().call
    key, secret = ann.write(keys.create, call, ann.tick(), "for Ada", 0)
    shown = ann.read(accounts.key_check, key, secret, ann.tick())
    assert (shown.id, shown.scopes, shown.call) == (ann.account, Scope.address, call.id)
    assert [one.key for one in ann.read(keys.every, call)] == [key]
    assert ann.read(keys.check, ann.account, key) == call.id
    with pytest.raises(NotFound):
        ann.read(keys.check, ann.account + 1, key)
    ann.publish()
    assert ann.read(accounts.key_check, key, secret, ann.tick()).call == ann.find().call.id, "a new function, the same address"
    assert ann.write(rest.remove, ann.account, "area") == [key]
    with pytest.raises(NotAuthorized):
        ann.read(accounts.key_check, key, secret, ann.tick())
    with pytest.raises(NotFound):
        ann.write(keys.remove, ann.account, key)


def test_jobs_of_an_address_are_told_from_others(ann: Addresses) -> None:
    ann.publish(label="area")
    call = ann.find().call
    ours = ann.invoke(ann.find(), b"one").first
    assert ann.read(rest.is_of, call, ours)
    assert not ann.read(rest.is_of, call, ann.map(1, label="mine").first)


def test_an_address_of_an_account_that_is_off_or_gone_takes_no_calls(ann: Addresses) -> None:
    ann.publish()
    found = ann.find()
    ann.write(accounts.switch, ann.account, False)
    with pytest.raises(NotFound, match="switched off, or gone"):
        ann.invoke(found, b"one")
    ann.write(accounts.switch, ann.account, True)
    assert ann.invoke(found, b"one").first == 1, "what was refused has made no job"
    ann.write(lambda tx: tx.execute(delete(account).where(account.c.id == ann.account)))
    with pytest.raises(NotFound, match="switched off, or gone"):
        ann.invoke(found, b"one")
