"""API keys: switched on and off, expired, given a new secret; what they open; and the logins that end with them."""

from __future__ import annotations

import pytest

from picloud.store import account, sshkey
from picloud.store.account import Change, user
from picloud.store.account.secret import digest
from picloud.store.db import Database
from picloud.wire.error import NotAuthorized, NotFound
from picloud.wire.scope import EVERYTHING, USUAL, Role, Scope
from tests.contract.store.storekeeper import Keeper


@pytest.fixture
def ann(db: Database) -> Keeper:
    return Keeper(db)


def refused(ann: Keeper, key: int, secret: str, now: int = 5) -> str:
    with pytest.raises(NotAuthorized) as told:
        ann.read(account.key_check, key, secret, now)
    return told.value.parameter


def test_a_new_key_may_do_all_but_administer(ann: Keeper) -> None:
    key, secret = ann.write(account.key_create, ann.account, 1)
    found = ann.read(account.key_check, key, secret, 2)
    assert (found.id, found.name, found.key, found.person, found.until) == (ann.account, "ann", key, 0, 0)
    assert found.scopes == USUAL and Scope.admin not in found.scopes and found.role is Role.owner
    admin, its = ann.write(account.key_create, ann.account, 1, "admin", EVERYTHING)
    assert ann.read(account.key_check, admin, its, 2).scopes == EVERYTHING


def test_a_key_works_while_it_is_active_and_has_not_expired(ann: Keeper) -> None:
    key, secret = ann.write(lambda tx: account.key_create(tx, ann.account, 1, "lab", expires=10))
    assert ann.read(account.key_check, key, secret, 9).until == 10
    assert "expired" in refused(ann, key, secret, 10)
    ann.write(account.key_change, ann.account, key, Change(expires=0, note="mine", scopes=int(Scope.read)))
    found = ann.read(account.key_check, key, secret, 10)
    assert (found.until, found.scopes) == (0, Scope.read)
    ann.write(account.key_change, ann.account, key, Change(active=False))
    assert "off" in refused(ann, key, secret)
    assert "wrong" in refused(ann, key, secret[:-1]), "who does not know the secret is told nothing else"
    ann.write(account.key_change, ann.account, key, Change(active=True))
    assert ann.read(account.key_get, ann.account, key).note == "mine"
    assert ann.read(account.key_check, key, secret, 10).key == key


def test_only_the_accounts_own_keys_change(ann: Keeper) -> None:
    key, secret = ann.write(account.key_create, ann.account, 1)
    bob = ann.write(account.create, "bob", 1)
    for act in (
        lambda tx: account.key_change(tx, bob, key, Change(active=False)),
        lambda tx: account.key_rotate(tx, bob, key, 2),
        lambda tx: account.key_revoke(tx, bob, key, 2),
        lambda tx: account.key_get(tx, bob, key),
        lambda tx: account.key_get(tx, ann.account, 1 << 70),
    ):
        with pytest.raises(NotFound):
            ann.write(act)
    assert ann.read(account.key_check, key, secret, 2).key == key
    ann.write(account.key_revoke, ann.account, key, 3)
    with pytest.raises(NotFound):
        ann.write(account.key_change, ann.account, key, Change(active=True))
    assert not ann.read(account.key_get, ann.account, key).is_live(4)


def test_a_rotated_key_has_a_new_secret_and_the_former_for_a_while(ann: Keeper) -> None:
    key, former = ann.write(account.key_create, ann.account, 1)
    secret = ann.write(account.key_rotate, ann.account, key, 100, 50)
    assert secret != former
    assert ann.read(account.key_check, key, former, 149).until == 150
    assert ann.read(account.key_check, key, secret, 149).until == 0
    assert ann.read(sshkey.by_digest, digest(former), 149) == ann.read(sshkey.by_digest, digest(secret), 149) == [key]
    assert "wrong" in refused(ann, key, former, 150)
    assert ann.read(sshkey.by_digest, digest(former), 150) == []
    newest = ann.write(account.key_rotate, ann.account, key, 200)
    assert "wrong" in refused(ann, key, secret, 200), "without an overlap it ends at once"
    assert ann.read(account.key_check, key, newest, 200).key == key


def test_sessions_over_ssh_need_a_live_key_that_may_run_code(ann: Keeper) -> None:
    for scopes, expires, active, opens in (
        (USUAL, 0, True, True), (Scope.code, 9, True, True), (USUAL & ~Scope.code, 0, True, False), (USUAL, 4, True, False),
        (USUAL, 0, False, False),
    ):  # fmt: skip
        key, secret = ann.write(account.key_create, ann.account, 1, "", scopes)
        ann.write(account.key_change, ann.account, key, Change(expires=expires, active=active))
        assert ann.read(sshkey.by_digest, digest(secret), 5) == [key] * opens
        if not opens:
            with pytest.raises(NotAuthorized):
                ann.read(sshkey.account_of, key, 5)


def test_logins_end_with_the_key_they_were_made_by(ann: Keeper) -> None:
    key, _ = ann.write(account.key_create, ann.account, 1)
    for number, end in enumerate([
        lambda tx: account.key_change(tx, ann.account, key, Change(note="still the same")),
        lambda tx: account.key_change(tx, ann.account, key, Change(active=False)),
        lambda tx: account.key_rotate(tx, ann.account, key, 5),
        lambda tx: account.key_change(tx, ann.account, key, Change(expires=6)),
    ]):  # fmt: skip
        ticket = ann.write(lambda tx: account.ticket_create(tx, ann.account, 1, 9, Scope.read, key=key))
        token = ann.write(account.ticket_redeem, ticket, 2, 100)
        found = ann.read(account.token_check, token, 5)
        assert (found.scopes, found.key) == (Scope.read, key), "who logs in by a key may do what that may"
        ann.write(end)
        if number:
            with pytest.raises(NotAuthorized):
                ann.read(account.token_check, token, 5)
        else:
            assert ann.read(account.token_check, token, 5).key == key
    ticket = ann.write(lambda tx: account.ticket_create(tx, ann.account, 1, 9, key=key))
    token = ann.write(account.ticket_redeem, ticket, 2, 100)
    assert ann.read(account.token_check, token, 5).key == key
    with pytest.raises(NotAuthorized):
        ann.read(account.token_check, token, 6)


def test_a_members_key_is_worth_what_she_is(ann: Keeper) -> None:
    bob = ann.write(user.create, "bob", "bob@example.org", 1)
    ann.write(user.set_role, ann.account, bob, Role.admin, 1)
    key, secret = ann.write(lambda tx: account.key_create(tx, ann.account, 1, "", EVERYTHING, person=bob))
    found = ann.read(account.key_check, key, secret, 2)
    assert (found.person, found.role, found.scopes) == (bob, Role.admin, EVERYTHING)
    assert ann.write(user.set_role, ann.account, bob, Role.member, 3) == [key]
    found = ann.read(account.key_check, key, secret, 4)
    assert (found.role, found.scopes) == (Role.member, USUAL)
    assert [one.key for one in ann.read(account.keys, ann.account, bob)] == [key]
    ann.write(user.set_role, ann.account, bob, None, 5)
    assert "off" in refused(ann, key, secret)
    ann.write(account.key_change, ann.account, key, Change(active=True))
    assert "off" in refused(ann, key, secret), "a key of nobody opens nothing"


def test_an_account_that_is_off_opens_nothing(ann: Keeper) -> None:
    key, secret = ann.write(account.key_create, ann.account, 1)
    ticket = ann.write(account.ticket_create, ann.account, 1, 1000)
    token = ann.write(account.ticket_redeem, ticket, 1, 1000)
    ann.write(account.switch, ann.account, False)
    assert ann.read(account.get, ann.account).active is False
    for act in (lambda tx: account.key_check(tx, key, secret, 2), lambda tx: account.token_check(tx, token, 2),
                lambda tx: sshkey.account_of(tx, key, 2)):  # fmt: skip
        with pytest.raises(NotAuthorized):
            ann.read(act)
    assert ann.read(sshkey.by_digest, digest(secret), 2) == []
    ann.write(account.switch, ann.account, True)
    assert ann.read(account.key_check, key, secret, 2).id == ann.read(account.token_check, token, 2).id == ann.account
    assert ann.read(sshkey.by_digest, digest(secret), 2) == [key]
    with pytest.raises(NotFound):
        ann.write(account.switch, 99, False)
