"""Who comes in by OpenID Connect: known by issuer and subject, tied once, never by an address that nobody has verified."""

from __future__ import annotations

import pytest

from picloud.store import account as accounts
from picloud.store.account import identity, user
from picloud.store.account.identity import Claimed, Entered, Joins
from picloud.store.db import Database
from picloud.wire.error import Conflict, Forbidden, NotFound
from picloud.wire.scope import Role
from tests.contract.store.storekeeper import Keeper

ISSUER = "https://login.example.org"
JANE = Claimed(ISSUER, "7", "jane@example.org")
OWN = Joins("")


@pytest.fixture
def ann(db: Database) -> Keeper:
    return Keeper(db)


def enter(ann: Keeper, claimed: Claimed = JANE, proven: int = 0, joins: Joins | None = None) -> Entered:
    made: Entered = ann.write(identity.enter, claimed, proven, joins, ann.tick())
    return made


def test_somebody_new_comes_in_only_where_that_is_open(ann: Keeper) -> None:
    with pytest.raises(Forbidden, match="jane@example.org"):
        enter(ann)
    with pytest.raises(Forbidden, match="verified"):
        enter(ann, JANE._replace(email=""), joins=OWN)
    assert ann.read(user.listing) == []
    made = enter(ann, joins=OWN)
    assert (made.linked, made.created) == (True, True)
    (place,) = ann.read(user.memberships, made.person)
    assert (place.name, place.email, place.account_name, place.role, place.password) == (
        "jane", "jane@example.org", "jane", Role.owner, False,
    )  # fmt: skip
    again = Entered(made.person, False, False)
    assert enter(ann) == enter(ann, joins=OWN) == again
    assert enter(ann, JANE._replace(email="")) == enter(ann, JANE._replace(email="other@example.org")) == again


def test_somebody_new_may_join_an_account_that_is_there(ann: Keeper) -> None:
    made = enter(ann, joins=Joins("ann", Role.admin))
    (place,) = ann.read(user.memberships, made.person)
    assert (place.account, place.role) == (ann.account, Role.admin)
    with pytest.raises(NotFound):
        enter(ann, Claimed(ISSUER, "8", "bob@example.org"), joins=Joins("gone"))
    with pytest.raises(NotFound):
        ann.read(user.find, "bob@example.org")


def test_names_that_are_taken_get_a_number(ann: Keeper) -> None:
    ann.write(user.create, "jane", "j@example.org", 1)
    ann.write(accounts.create, "jane-2", 1)
    assert ann.read(user.get, enter(ann, joins=OWN).person).name == "jane-3"
    for subject, email, name in (("8", "root@example.org", "root-2"), ("9", "7@example.org", "user"),
                                 ("10", f"{'x' * 60}@example.org", "x" * 32)):  # fmt: skip
        assert ann.read(user.get, enter(ann, Claimed(ISSUER, subject, email), joins=OWN).person).name == name


def test_an_address_ties_only_to_a_user_without_a_password(ann: Keeper) -> None:
    bob = ann.write(user.create, "bob", "bob@example.org", 1)
    jane = ann.write(user.create, "jane", "jane@example.org", 1, "argon2 of what an intruder has chosen")
    with pytest.raises(Forbidden):  # not verified
        enter(ann, Claimed(ISSUER, "8", ""), joins=OWN)
    assert enter(ann, Claimed(ISSUER, "8", "bob@example.org"), joins=OWN) == (bob, True, False)
    for joins in (None, OWN):
        with pytest.raises(Conflict, match="password"):
            enter(ann, joins=joins)
    assert ann.read(identity.known, ISSUER, "7") == 0
    assert enter(ann, JANE._replace(email=""), proven=jane) == (jane, True, False)
    assert enter(ann) == (jane, False, False)
    with pytest.raises(Conflict, match="another user"):
        enter(ann, proven=bob)


def test_the_same_subject_at_another_provider_is_somebody_else(ann: Keeper) -> None:
    jane = enter(ann, joins=OWN).person
    with pytest.raises(Forbidden):
        enter(ann, Claimed("https://evil.example.org", "7", "eve@example.org"))
    other = enter(ann, Claimed("https://evil.example.org", "7", "eve@example.org"), joins=OWN).person
    assert other != jane


def test_two_first_logins_at_once_make_one_user(ann: Keeper, other: Database) -> None:
    asked = [where.write(identity.enter, JANE, 0, OWN, 5) for where in (ann.db, other) * 3]
    ends = [one.exception(20) or one.result() for one in asked]
    assert all(isinstance(end, Entered | Conflict) for end in ends), ends  # who was a moment too late logs in once more
    assert len({end.person for end in ends if isinstance(end, Entered)}) == 1 and len(ann.read(user.listing)) == 1
    assert enter(ann).linked is False
