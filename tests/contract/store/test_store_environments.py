"""Environments, their versions, layers and bases, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from picloud.store import base, environment, image, job, kind
from picloud.store.act import info, rerun, setup
from picloud.store.base import Base
from picloud.store.db import Database
from picloud.wire.error import BadRequest, Conflict, NotFound, Skew
from picloud.wire.message import Saved
from tests.contract.store.environmentkeeper import A, B, C, Owner, ann, bob
from tests.contract.store.storekeeper import done, overlapped, submission

__all__ = ["ann", "bob"]


def test_the_way_of_an_environment(ann: Owner) -> None:
    one = ann.create()
    assert (one.status, one.action, one.setup, one.version) == ("new", "setup", 1, None)
    assert ann.read(kind.get, ann.kind()).env == f"s{one.id}.1"
    assert ann.runs(one) and not ann.runs(one)
    assert ann.get().action == "edit"
    ann.save()
    assert (ann.get().status, ann.get().action) == ("ready", "edit")
    ann.save(digest=B)
    newest, first = ann.read(environment.versions, one.id)
    assert (first.layers, newest.layers) == ([A], [B])  # each holds all that was changed since the job began
    assert ann.write(setup.leave, ann.account, "sci", ann.tick()) == one.setup_jid
    assert (ann.get().action, ann.get().setup_jid) == ("idle", None)
    again = ann.modify()
    assert (again.setup, again.under) == (2, newest.id)
    ann.runs(again)
    ann.save(digest=C, leave=True)
    assert ann.read(environment.versions, one.id)[0].layers == [B, C]
    assert (ann.get().action, ann.get().setup_jid, ann.get().leaving) == ("idle", None, False)


def test_a_fresh_setup_begins_with_the_base(ann: Owner) -> None:
    ann.saved()
    one = ann.modify(fresh=True)
    ann.runs(one)
    ann.save(digest=B, leave=True)
    assert ann.read(environment.versions, one.id)[0].layers == [B]


def test_a_recipe_is_that_of_a_build_alone(ann: Owner) -> None:
    ann.runs(ann.create())
    ann.save(leave=True, recipe="base base/host\n")
    ann.runs(ann.modify())
    ann.save(digest=B, leave=True, recipe="base base/host\n")
    assert [one.recipe for one in ann.read(environment.versions, ann.get().id)] == ["", "base base/host\n"]


def test_nothing_changed_makes_a_version_of_the_same_digest(ann: Owner) -> None:
    ann.saved()
    ann.runs(ann.modify())
    ann.save(digest="", leave=True)
    newest, first = ann.read(environment.versions, ann.get().id)
    assert (newest.digest, newest.layers, newest.number) == (first.digest, [A], 2)


def test_requests_that_come_twice_are_done_once(ann: Owner) -> None:
    one = ann.create(token=b"t" * 16)
    assert ann.create(token=b"t" * 16).setup_jid == one.setup_jid
    with pytest.raises(Conflict):
        ann.create()
    ann.runs(one)
    first = ann.write(setup.save, ann.account, "sci", b"s" * 16, False)
    assert ann.write(setup.save, ann.account, "sci", b"s" * 16, False) == first
    told = Saved(one.setup_jid or 0, 1, b"s" * 16, digest=A, blob=ann.blob(), size=5)
    assert ann.write(setup.saved, told, ann.tick()) is not None
    assert ann.write(setup.saved, told, ann.tick()) is None
    assert len(ann.read(environment.versions, one.id)) == 1


def test_names_and_descriptions_are_bounded_and_nothing_is_stored(ann: Owner) -> None:
    for name in ("", "x" * 31, "a b", "ä", "a/b", "a\n", "base/host"):
        with pytest.raises(BadRequest):
            ann.create(name)
    with pytest.raises(BadRequest):
        ann.create("long", description="x" * 2001)
    assert ann.read(environment.listing, ann.account) == []
    assert ann.read(job.ready) == []
    ann.create("x" * 30, description="x" * 2000)


def test_an_unknown_base_or_environment_names_near_ones(ann: Owner) -> None:
    ann.write(base.add, Base("bookworm", [A], A), 1)
    with pytest.raises(NotFound) as caught:
        ann.create(of="base/bookwrom")
    assert "base/bookworm" in (caught.value.hint or "")
    ann.create("science")
    for call in (
        lambda: ann.get("scienc"),
        lambda: ann.modify("scienc"),
        lambda: ann.write(setup.save, ann.account, "scienc", ann.token(), False),
    ):
        with pytest.raises(NotFound) as caught:
            call()
        assert "science" in (caught.value.hint or "")


def test_what_is_edited_cannot_be_edited_again_nor_deleted(ann: Owner) -> None:
    one = ann.create()
    for call in (ann.modify, lambda: ann.write(setup.remove, ann.account, "sci", 1), ann.save):
        with pytest.raises(Conflict):
            call()
    ann.runs(one)
    with pytest.raises(Conflict):
        ann.modify()
    ann.write(setup.leave, ann.account, "sci", 1)
    with pytest.raises(Conflict):
        ann.write(setup.leave, ann.account, "sci", 1)
    with pytest.raises(Conflict, match="not being edited"):
        ann.save()


def test_a_failed_save_leaves_it_as_it_was_and_is_tried_again(ann: Owner) -> None:
    ann.saved()
    ann.runs(ann.modify())
    before = ann.get().version
    ann.save(digest="", error="no space left")
    one = ann.get()
    assert (one.action, one.status, one.version, one.trouble) == ("save_error", "ready", before, "no space left")
    ann.save(digest=B)
    assert ann.get().action == "edit" and ann.get().version != before


def test_a_layer_that_did_not_arrive_is_no_version(ann: Owner) -> None:
    one = ann.create()
    ann.runs(one)
    ann.write(setup.save, ann.account, "sci", b"s" * 16, False)
    with pytest.raises(NotFound):
        ann.write(setup.saved, Saved(one.setup_jid or 0, 1, b"s" * 16, digest=A, blob="f" * 32), 1)
    assert ann.get().action == "save" and ann.read(environment.versions, one.id) == []


@pytest.mark.parametrize(("when", "action"), [("setup", "setup_error"), ("edit", "setup_error"), ("save", "save_error")])
def test_the_death_of_a_setup_job_is_told_and_another_can_begin(ann: Owner, when: str, action: str) -> None:
    one = ann.create()
    if when != "setup":
        ann.runs(one)
    if when == "save":
        ann.write(setup.save, ann.account, "sci", ann.token(), False)
    ann.write(setup.ended, one.setup_jid, "its worker was killed", ann.tick())
    found = ann.get()
    assert (found.status, found.action, found.trouble) == ("error", action, "its worker was killed")
    with pytest.raises(Conflict, match="its worker was killed"):
        ann.save()
    assert ann.write(setup.ended, one.setup_jid, "again", ann.tick()) is None
    assert ann.modify().action == "setup"


def test_of_two_that_begin_to_edit_one_does(ann: Owner, db: Database, other: Database) -> None:
    ann.saved()

    def modify(token: bytes) -> Any:
        def act(tx: Any) -> Any:
            try:
                return setup.modify(tx, ann.account, "sci", submission(1), token, 5).environment.setup
            except Conflict:
                return None

        return act

    assert sorted(overlapped(db, other, modify(b"1" * 16), modify(b"2" * 16)), key=str) == [2, None]


# -- what jobs run in -------------------------------------------------------------------------------------------------


def resolve(owner: Owner, path: str, python: str = "3.11", program: bool = False) -> str:
    found: str = owner.read(lambda tx: image.resolve(tx, owner.account, path, host="h", python=python, program=program))
    return found


def test_jobs_get_the_version_of_their_time_and_reruns_the_recorded_one(ann: Owner) -> None:
    ann.saved()
    first = ann.get().version
    old = ann.map(1, env="sci")
    by = ann.worker(kind_of(ann, f"v{first}"))
    (lease,) = ann.take(by, kind=kind_of(ann, f"v{first}"))
    ann.finish(by, done(lease))
    ann.runs(ann.modify())
    ann.save(digest=B, leave=True)
    second = ann.get().version
    new = ann.map(1, env="sci")
    again = ann.write(lambda tx: rerun.rerun(tx, ann.account, [(old.first, 1)], failed=False, token=b"r" * 16, now=ann.tick()))[0]
    ready = {row.env: row.count for row in ann.read(job.ready) if row.env[:1] == "v"}
    assert ready == {f"v{first}": 1, f"v{second}": 1}
    told = ann.read(info.read, ann.account, [(old.first, 1), (new.first, 1), again[0]])
    assert [told[jid]["attributes"]["env_version"] for jid in (old.first, new.first, again[0][0])] == [1, 2, 1]
    assert told[old.first]["env"] == "sci" and len(told[old.first]["attributes"]["env_digest"]) == 64


def kind_of(owner: Owner, env: str) -> int:
    return int(owner.write(kind.ensure, owner.account, "c1", 1, env))


def test_names_of_images(ann: Owner, bob: Owner) -> None:
    number = ann.write(base.add, Base("old", [A], A, python="/usr/bin/python3", python_version="3.11"), 1)
    ann.saved()
    version = f"v{ann.get().version}"
    assert [resolve(ann, path) for path in ("", "base/host", "base/old", "sci", "/ann/sci")] == [
        "h",
        "h",
        f"b{number}",
        version,
        version,
    ]
    with pytest.raises(NotFound):
        resolve(bob, "sci")
    with pytest.raises(NotFound):
        resolve(bob, "/ann/sci")
    ann.write(setup.publish, ann.account, "sci", True, 1)
    assert resolve(bob, "/ann/sci") == version
    assert [one.name for one in bob.read(environment.public)] == ["sci"]
    with pytest.raises(NotFound) as caught:
        resolve(bob, "/ann/sce")
    assert "/ann/sci" in (caught.value.hint or "")
    ann.write(setup.publish, ann.account, "sci", False, 1)
    with pytest.raises(NotFound):
        resolve(bob, "/ann/sci")


def test_an_environment_that_was_never_saved_runs_nothing(ann: Owner) -> None:
    ann.create()
    with pytest.raises(Conflict, match="never saved"):
        ann.map(1, env="sci")


def test_python_must_fit(ann: Owner) -> None:
    ann.write(base.add, Base("bare", [A], A), 1)
    ann.saved("new", python="3.13", digest=B)
    with pytest.raises(Skew) as caught:
        resolve(ann, "new")
    assert caught.value.facts == {"client": "3.11", "server": "3.13"}
    assert resolve(ann, "new", "3.13")[0] == "v"
    with pytest.raises(BadRequest, match="has no Python"):
        resolve(ann, "base/bare")
    assert resolve(ann, "base/bare", program=True)[0] == resolve(ann, "new", program=True)[0].replace("v", "b")


def test_setup_jobs_are_not_run_again(ann: Owner) -> None:
    one = ann.create()
    ann.kill([(one.setup_jid or 0, 1)])
    with pytest.raises(Conflict, match="setup job"):
        ann.write(lambda tx: rerun.rerun(tx, ann.account, [(one.setup_jid or 0, 1)], failed=False, token=b"r" * 16, now=5))
