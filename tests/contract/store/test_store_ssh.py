"""Public keys for ssh: whose they are, until their API key is revoked."""

from __future__ import annotations

import base64

import pytest

from picloud.store import account, sshkey
from picloud.store.account.secret import digest
from picloud.store.db import Database
from picloud.wire.error import BadRequest, NotAuthorized, NotFound
from tests.contract.store.storekeeper import Keeper

PUBLIC = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()


@pytest.fixture
def ann(db: Database) -> Keeper:
    return Keeper(db)


def test_a_public_key_is_an_accounts_until_its_api_key_is_revoked(ann: Keeper) -> None:
    key, secret = ann.write(account.key_create, ann.account, 1)
    for _ in range(2):
        ann.write(sshkey.add, ann.account, key, f"{PUBLIC} ann@laptop", 2)
    assert ann.read(sshkey.by_public, PUBLIC, 9) == ann.read(sshkey.by_digest, digest(secret), 9) == [key]
    assert ann.read(sshkey.account_of, key, 9) == ann.account
    bob = ann.write(account.create, "bob", 1)
    theirs, _ = ann.write(account.key_create, bob, 3)
    ann.write(sshkey.add, bob, theirs, PUBLIC, 3)
    assert ann.read(sshkey.by_public, PUBLIC, 9) == [key, theirs], "who registers another's key gets nothing by it"
    ann.write(account.key_revoke, ann.account, key, 4)
    assert ann.read(sshkey.by_public, PUBLIC, 9) == [theirs]
    assert ann.read(sshkey.by_digest, digest(secret), 9) == []
    with pytest.raises(NotAuthorized):
        ann.read(sshkey.account_of, key, 9)
    with pytest.raises(NotFound):
        ann.write(sshkey.add, ann.account, key, PUBLIC, 5)


def test_what_is_no_public_key_or_no_key_of_ours(ann: Keeper) -> None:
    key, secret = ann.write(account.key_create, ann.account, 1)
    for wrong in ("", "ssh-ed25519", "ssh-ed25519 AAAA", PUBLIC.replace("ed25519", "dss"), "x" * 5000, PUBLIC[:-9], "ssh-rsa !!"):
        with pytest.raises(BadRequest):
            ann.write(sshkey.add, ann.account, key, wrong, 1)
    with pytest.raises(NotFound):
        ann.write(sshkey.add, ann.account + 1, key, PUBLIC, 1)
    assert ann.read(sshkey.by_digest, digest(secret[:-1]), 9) == ann.read(sshkey.by_digest, digest("\\udc80"), 9) == []
    assert ann.read(sshkey.by_public, "", 9) == []


def test_key_pairs_are_listed_and_removed(ann: Keeper) -> None:
    key, _ = ann.write(account.key_create, ann.account, 1)
    other, _ = ann.write(account.key_create, ann.account, 1)
    bob = ann.write(account.create, "bob", 1)
    theirs, _ = ann.write(account.key_create, bob, 1)
    for at, (owner, one) in enumerate(((ann.account, key), (ann.account, other), (bob, theirs))):
        ann.write(sshkey.add, owner, one, f"{PUBLIC} somebody", at)
    assert ann.read(sshkey.listing, ann.account) == [
        {"api_key": other, "public": PUBLIC, "created": 1},
        {"api_key": key, "public": PUBLIC, "created": 0},
    ]
    assert [one["api_key"] for one in ann.read(sshkey.listing, ann.account, 0, key)] == [key]
    assert ann.read(sshkey.listing, ann.account, 12345) == []
    with pytest.raises(NotFound):
        ann.write(sshkey.remove, ann.account, theirs, PUBLIC)
    ann.write(sshkey.remove, ann.account, key, PUBLIC)
    with pytest.raises(NotFound):
        ann.write(sshkey.remove, ann.account, key, PUBLIC)
    assert sorted(ann.read(sshkey.by_public, PUBLIC, 9)) == sorted([other, theirs])
