"""Secrets: names of an account, sealed values, and what happens to jobs that name them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from picloud.server.vault import Vault
from picloud.store import account
from picloud.store.act import finish, lease, rerun
from picloud.store.call import stored
from picloud.store.db import Database
from picloud.store.secret import secret
from picloud.store.secret.secret import Sealed
from picloud.wire.error import Conflict, NotFound
from picloud.wire.message import Arguments, Spec
from picloud.wire.secret import MOST_SECRETS
from tests.contract.store.storekeeper import Keeper, submission


@pytest.fixture
def ann(db: Database) -> Keeper:
    return Keeper(db)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "secrets.key")


def keep(ann: Keeper, vault: Vault, name: str, account_id: int = 0, **values: str) -> None:
    number = account_id or ann.account
    ann.write(secret.put, number, name, vault.seal(number, name, values), ann.tick())


def specs(ann: Keeper, vault: Vault, *submissions: int) -> list[Spec]:
    return sorted(ann.write(vault.specs, list(submissions)), key=lambda spec: submissions.index(spec.submission))


def test_a_name_holds_the_newest_values(ann: Keeper, vault: Vault) -> None:
    keep(ann, vault, "db", PASSWORD="one", USER="ann")
    keep(ann, vault, "api", TOKEN="t")
    keep(ann, vault, "db", PASSWORD="two")
    api, db = ann.read(secret.every, ann.account)
    assert (api.name, api.variables, db.name, db.variables) == ("api", ["TOKEN"], "db", ["PASSWORD"])
    assert db.created < api.created < db.changed
    found = ann.read(secret.sealed, ann.account, ["db", "none"])
    assert vault.open(ann.account, "db", found["db"]) == {"PASSWORD": "two"} and [*found] == ["db"]


def test_each_account_has_its_own(ann: Keeper, vault: Vault) -> None:
    bob = ann.write(account.create, "bob", 1)
    keep(ann, vault, "db", PASSWORD="hers")
    keep(ann, vault, "db", bob, PASSWORD="his")
    keep(ann, vault, "only", X="1")
    assert [one.name for one in ann.read(secret.every, bob)] == ["db"]
    with pytest.raises(NotFound, match="no secret 'only'"):
        ann.write(secret.remove, bob, "only")
    ann.write(secret.remove, bob, "db")
    assert [one.name for one in ann.read(secret.every, ann.account)] == ["db", "only"]


def test_a_job_that_names_a_missing_one_is_not_stored(ann: Keeper, vault: Vault) -> None:
    keep(ann, vault, "database", PASSWORD="x")
    with pytest.raises(NotFound, match="no secret 'databse'") as refused:
        ann.map(1, secrets=["database", "databse"])
    assert "database" in str(refused.value.hint)
    assert ann.map(1, secrets=["database"]).first == 1, "the refused one took no number"
    for name, there in (("database", True), ("gone", False)):
        kept = submission(1, secrets=[name])
        if there:
            assert ann.write(stored.keep, ann.account, kept, "", None, 1) == []
        else:
            with pytest.raises(NotFound):
                ann.write(stored.keep, ann.account, kept, "", None, 1)


def test_a_stored_call_whose_secret_is_gone_makes_no_job(ann: Keeper, vault: Vault) -> None:
    keep(ann, vault, "db", PASSWORD="x")
    kept = submission(1, secrets=["db"])
    ann.write(stored.keep, ann.account, kept, "", None, 1)
    ann.write(secret.remove, ann.account, "db")
    with pytest.raises(NotFound):
        ann.write(stored.again, ann.account, stored.bare(kept), "", None, Arguments([1], b"a", [""]), os.urandom(16), 2)


def test_values_are_those_of_the_lease(ann: Keeper, vault: Vault) -> None:
    keep(ann, vault, "db", PASSWORD="one", SHARED="db")
    keep(ann, vault, "api", TOKEN="t", SHARED="api")
    made = ann.map(2, secrets=["db", "api"])
    plain = ann.map(1)
    with_, without = specs(ann, vault, made.submission, plain.submission)
    assert with_.secrets == {"PASSWORD": "one", "SHARED": "api", "TOKEN": "t"} and not with_.refused
    assert without.secrets == {} and not without.refused
    keep(ann, vault, "db", PASSWORD="two")
    assert specs(ann, vault, made.submission)[0].secrets["PASSWORD"] == "two"
    assert ann.write(lease.specs, [made.submission])[0].secrets == {}, "the store itself opens nothing"


def test_one_that_was_removed_fails_its_jobs_alone(ann: Keeper, vault: Vault, tmp_path: Path) -> None:
    keep(ann, vault, "db", PASSWORD="one")
    keep(ann, vault, "api", TOKEN="t")
    gone, fine = ann.map(1, secrets=["api", "db"]), ann.map(1, secrets=["api"])
    ann.write(secret.remove, ann.account, "db")
    first, second = specs(ann, vault, gone.submission, fine.submission)
    assert first.refused == "the secret db is not there any more"
    assert (second.secrets, second.refused) == ({"TOKEN": "t"}, "")
    (tmp_path / "secrets.key").unlink()
    (lost,) = specs(ann, Vault(tmp_path / "secrets.key"), fine.submission)
    assert "cannot be opened" in lost.refused and lost.secrets == {}
    (tmp_path / "secrets.key").write_text("damaged")
    (lost,) = specs(ann, Vault(tmp_path / "secrets.key"), fine.submission)
    assert "secrets.key" in lost.refused


def test_a_rerun_asks_for_its_secrets(ann: Keeper, vault: Vault) -> None:
    keep(ann, vault, "db", PASSWORD="one")
    ann.map(1, secrets=["db"])
    by = ann.worker()
    (lent,) = ann.take(by)
    ann.write(finish.finish, by, [ended(lent)], ann.tick())
    again: Any = lambda tx: rerun.rerun(tx, ann.account, [(1, 1)], failed=False, token=os.urandom(16), now=9)  # noqa: E731
    (copied,), _ = ann.write(again)
    assert copied == (2, 1)
    ann.write(secret.remove, ann.account, "db")
    with pytest.raises(NotFound, match="no secret 'db'"):
        ann.write(again)


def ended(lent: Any) -> Any:
    from picloud.wire.message import Outcome

    return Outcome(lent.jid, lent.n, lent.lease, 0, 5, data=b"r")


def test_an_account_has_no_more_than_its_number(ann: Keeper) -> None:
    sealed = Sealed(["X"], "k", b"x")

    def many(tx: Any) -> None:
        for number in range(MOST_SECRETS):
            secret.put(tx, ann.account, f"s{number}", sealed, 1)

    ann.write(many)
    with pytest.raises(Conflict, match="at most 1000"):
        ann.write(secret.put, ann.account, "more", sealed, 1)
    ann.write(secret.put, ann.account, "s0", sealed, 1)
