"""Users, what they are in accounts, links that let somebody in, and the log of what was done."""

from __future__ import annotations

import pytest

from picloud.store import account, audit
from picloud.store.account import invitation, session, user
from picloud.store.account.invitation import Wish
from picloud.store.audit import Act, Wanted
from picloud.store.db import Database
from picloud.wire.error import BadRequest, Conflict, NotAuthorized, NotFound
from picloud.wire.scope import EVERYTHING, USUAL, Role
from tests.contract.store.storekeeper import Keeper, overlapped


@pytest.fixture
def ann(db: Database) -> Keeper:
    return Keeper(db)


def wish(name: str, email: str = "") -> Wish:
    return Wish(name, email or f"{name}@example.org", "argon2 of it")


def roles(ann: Keeper, number: int = 0) -> dict[str, Role]:
    return {one.name: one.role for one in ann.read(user.listing, number or ann.account)}


def test_names_and_addresses_are_taken_once(ann: Keeper) -> None:
    made = ann.write(user.create, "bob", " Bob@Example.org ", 1)
    for known in ("bob", "BOB", "bob@example.org", " BOB@EXAMPLE.ORG"):
        assert ann.read(user.find, known).id == made
    for name, email in (("bob", "b@example.org"), ("eve", "bob@EXAMPLE.org")):
        with pytest.raises(Conflict):
            ann.write(user.create, name, email, 1)
    for name, email in (
        ("Bob", "b@x"),
        ("root", "b@x"),
        ("", "b@x"),
        ("eve", "eve"),
        ("eve", "a b@x"),
        ("eve", "@"),
        ("eve", "a@\n"),
    ):
        with pytest.raises(BadRequest):
            ann.write(user.create, name, email, 1)
    for nobody in ("", "eve", "bob\0", "%"):
        with pytest.raises(NotFound):
            ann.read(user.find, nobody)
    for name in ("eve", "mallory"):  # without an address there may be several
        ann.write(user.create, name, "", 1)


def test_the_owner_is_there_before_she_has_a_password(ann: Keeper) -> None:
    for _ in range(2):
        ann.write(user.owner, ann.account, "ann", 1)
    (one,) = ann.read(user.listing, ann.account)
    assert (one.name, one.role, one.password, one.email) == ("ann", Role.owner, False, "")
    ann.write(user.set_password, one.person, "argon2", 2)
    assert ann.read(user.listing, 0)[0].password


def test_an_account_is_never_without_an_owner(ann: Keeper) -> None:
    ann.write(user.owner, ann.account, "ann", 1)
    bob = ann.write(user.create, "bob", "", 1)
    first = ann.read(user.find, "ann").id
    for role in (Role.member, None):
        with pytest.raises(Conflict):
            ann.write(user.set_role, ann.account, first, role, 2)
    ann.write(user.set_role, ann.account, bob, Role.owner, 3)
    ann.write(user.set_role, ann.account, first, Role.member, 4)
    assert roles(ann) == {"ann": Role.member, "bob": Role.owner}


def test_two_owners_cannot_leave_at_once(ann: Keeper, other: Database) -> None:
    ann.write(user.owner, ann.account, "ann", 1)
    first, bob = ann.read(user.find, "ann").id, ann.write(user.create, "bob", "", 1)
    ann.write(user.set_role, ann.account, bob, Role.owner, 1)
    with pytest.raises(Conflict):
        overlapped(ann.db, other, lambda tx: user.set_role(tx, ann.account, first, None, 2),
                   lambda tx: user.set_role(tx, ann.account, bob, None, 2))  # fmt: skip
    assert roles(ann) == {"bob": Role.owner}


def test_a_user_may_belong_to_several_accounts(ann: Keeper) -> None:
    bob = ann.write(user.create, "bob", "", 1)
    lab = ann.write(account.create, "lab", 1)
    ann.write(user.set_role, ann.account, bob, Role.member, 2)
    ann.write(user.set_role, lab, bob, Role.owner, 3)
    assert [(one.account_name, one.role) for one in ann.read(user.memberships, bob)] == [
        ("lab", Role.owner),
        ("ann", Role.member),
    ]


def test_a_new_password_ends_what_the_old_one_opened(ann: Keeper) -> None:
    bob = ann.write(user.create, "bob", "", 1, "old")
    ann.write(user.set_role, ann.account, bob, Role.member, 1)
    token = ann.write(account.session_create, ann.account, bob, 1, 1000)
    link = ann.write(invitation.reset, bob, 1, 1000)
    found = ann.read(account.token_check, token, 2)
    assert (found.person, found.role, found.until) == (bob, Role.member, 1001)
    assert not ann.write(user.rehash, bob, "older", "never")
    assert ann.write(user.rehash, bob, "old", "old, but better")
    assert ann.read(user.get, bob).password == "old, but better"
    assert ann.read(account.token_check, token, 2).person == bob
    ann.write(user.set_password, bob, "new", 3)
    for act in (lambda tx: account.token_check(tx, token, 4), lambda tx: invitation.take(tx, link, 4)):
        with pytest.raises(NotAuthorized):
            ann.write(act)
    token = ann.write(account.session_create, ann.account, bob, 5, 1000)
    ann.write(account.session_end, token)
    with pytest.raises(NotAuthorized):
        ann.read(account.token_check, token, 6)
    token = ann.write(account.session_create, ann.account, bob, 5, 1000)
    ann.write(user.set_role, ann.account, bob, None, 6)
    with pytest.raises(NotAuthorized):
        ann.read(account.token_check, token, 7)


def test_an_invitation_works_once_and_for_a_time(ann: Keeper) -> None:
    link = ann.write(invitation.invite, ann.account, Role.member, "", 1, 100)
    for wrong, now in ((link[:-1], 2), (link, 101), ("", 2)):
        with pytest.raises(NotAuthorized):
            ann.write(invitation.take, wrong, now)
    made = ann.write(invitation.sign_up, wish("bob"), link, 100)
    assert (made.account, made.role, roles(ann)) == (ann.account, Role.member, {"bob": Role.member})
    assert ann.read(account.key_check, made.key, made.secret, 101).scopes == USUAL
    with pytest.raises(NotAuthorized):
        ann.write(invitation.sign_up, wish("eve"), link, 100)
    with pytest.raises(NotFound):
        ann.read(user.find, "eve")


def test_who_is_refused_does_not_use_the_link_up(ann: Keeper) -> None:
    link = ann.write(invitation.invite, 0, Role.owner, "Bob@example.org", 1, 100)
    ann.write(user.create, "taken", "", 1)
    for wrong, error in ((wish("eve"), NotAuthorized), (wish("Bob", "bob@example.org"), BadRequest),
                         (wish("taken", "bob@example.org"), Conflict), (wish("ann", "bob@example.org"), Conflict)):  # fmt: skip
        with pytest.raises(error):
            ann.write(invitation.sign_up, wrong, link, 2)
    made = ann.write(invitation.sign_up, wish("bob"), link, 3)
    assert ann.read(account.get, made.account).name == "bob"
    assert roles(ann, made.account) == {"bob": Role.owner}
    assert ann.read(account.key_check, made.key, made.secret, 4).scopes == EVERYTHING


def test_who_joins_again_is_not_made_less(ann: Keeper) -> None:
    bob = ann.write(user.create, "bob", "bob@example.org", 1)
    ann.write(user.set_role, ann.account, bob, Role.owner, 1)
    link = ann.write(invitation.invite, ann.account, Role.member, "", 1, 100)
    made = ann.write(invitation.sign_up, Wish("bob", "bob@example.org", "", bob), link, 2)
    assert (made.person, made.role, roles(ann)) == (bob, Role.owner, {"bob": Role.owner})


def test_links_for_passwords_invite_nobody_and_old_ones_go(ann: Keeper) -> None:
    bob = ann.write(user.create, "bob", "", 1)
    link = ann.write(invitation.reset, bob, 1, 100)
    with pytest.raises(NotAuthorized):
        ann.write(invitation.sign_up, wish("eve"), link, 2)
    assert ann.write(invitation.take, link, 3).person == bob, "and was not used up"
    ann.write(invitation.reset, bob, 1, 100)
    assert ann.write(account.expire, 100) == 0
    assert ann.write(account.expire, 101) == 1


def test_the_log_tells_who_did_what_newest_first(ann: Keeper) -> None:
    bob = ann.write(user.create, "bob", "", 1)
    for at in range(1, 6):
        ann.write(audit.note, Act(at, "key.create", f"key {at}\0" + "x" * 1000, {"at": at}, ann.account, bob, 7, 8, "10.0.0.1"))
    ann.write(audit.note, Act(6, "login.wrong", "nobody"))
    found = ann.read(audit.listing, Wanted())
    assert [row["at"] for row in found] == [6, 5, 4, 3, 2, 1]
    assert (found[0]["account"], found[0]["user"], found[0]["facts"]) == (None, None, {})
    newest = found[1]
    assert (newest["account"], newest["user"], newest["api_key"], newest["jid"]) == ("ann", "bob", 7, 8)
    assert (newest["address"], newest["facts"], len(newest["subject"])) == ("10.0.0.1", {"at": 5}, audit.LONGEST)
    assert [row["at"] for row in ann.read(audit.listing, Wanted(ann.account), newest["id"], 2)] == [4, 3]
    assert [row["at"] for row in ann.read(audit.listing, Wanted(act="login"))] == [6]
    assert [row["at"] for row in ann.read(audit.listing, Wanted(act="key.create"), 0, 2)] == [5, 4]
    assert ann.read(audit.listing, Wanted(act="log")) == [], "a noun, not the begin of a word"
    assert len(ann.read(audit.listing, Wanted(act="key", user="bob"))) == 5 and not ann.read(audit.listing, Wanted(user="b_b"))
    assert ann.write(audit.expire, 4, 2) and not ann.write(audit.expire, 4, 2)
    assert [row["at"] for row in ann.read(audit.listing, Wanted())] == [6, 5, 4]


def test_sessions_of_a_user_are_listed_used_and_ended(db: Database) -> None:
    ann = Keeper(db)
    bob = Keeper(db, "bob").account
    hers, other = (ann.write(session.session_create, ann.account, 5, at, 1_000, f"agent {at}\0") for at in (10, 20))
    nameless = ann.write(session.ticket_redeem, ann.write(account.ticket_create, ann.account, 1, 99), 5, 1_000, "x" * 999)
    ann.write(session.session_create, bob, 0, 10, 1_000)
    ann.write(session.session_used, hers, 700)
    found = ann.read(session.sessions, ann.account, 5, 900)
    assert [(one.created, one.used, one.expires, one.agent) for one in found] == [
        (20, 20, 1_020, "agent 20\ufffd"), (10, 700, 1_010, "agent 10\ufffd")]  # fmt: skip
    assert found[1].name == session.session_name(hers) and found[1].name not in hers
    assert [one.agent for one in ann.read(session.sessions, ann.account, 0, 900)] == ["x" * 200]
    assert ann.read(session.sessions, ann.account, 5, 1_015)[0].created == 20
    assert ann.write(session.sessions_end, ann.account, 5, [session.session_name(nameless)], 900) == 0
    assert ann.write(session.sessions_end, ann.account, 5, [session.session_name(hers)], 900) == 1
    assert [one.name for one in ann.read(session.sessions, ann.account, 5, 900)] == [session.session_name(other)]
