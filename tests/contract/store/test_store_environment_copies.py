"""Copies of environments, their names and ends, and layers that outlive them, on both databases."""

from __future__ import annotations

import pytest

from picloud.store import account, base, blob, environment, layer
from picloud.store.act import setup
from picloud.store.base import Base
from picloud.wire.error import BadRequest, Conflict, NotFound
from tests.contract.store.environmentkeeper import A, B, C, Owner, ann, bob

__all__ = ["ann", "bob"]


def test_clones_of_own_and_public_ones(ann: Owner, bob: Owner) -> None:
    ann.saved(description="first")
    ann.write(setup.clone, ann.account, "sci", None, None, ann.token(), 9)
    with pytest.raises(NotFound):
        bob.write(setup.clone, bob.account, "/ann/sci", "mine", None, bob.token(), 9)
    ann.write(setup.publish, ann.account, "sci", True, 1)
    token = bob.token()
    mine = bob.write(setup.clone, bob.account, "/ann/sci", "mine", "own", token, 9)
    assert bob.write(setup.clone, bob.account, "/ann/sci", "mine", "own", token, 9).id == mine.id
    assert (mine.status, mine.description, mine.public) == ("ready", "own", False)
    (copied,) = bob.read(environment.versions, mine.id)
    assert copied.layers == [A] and copied.note == "clone of /ann/sci"
    assert [one.name for one in ann.read(environment.listing, ann.account)] == ["sci", "sci_clone"]
    with pytest.raises(Conflict):
        bob.write(setup.clone, bob.account, "/ann/sci", "mine", None, bob.token(), 9)
    ann.create("empty")
    with pytest.raises(Conflict):
        ann.write(setup.clone, ann.account, "empty", None, None, ann.token(), 9)


def test_new_names(ann: Owner) -> None:
    ann.create("one")
    ann.create("two")
    ann.write(setup.edit, ann.account, "one", "three", "text", 9)
    assert ann.get("three").description == "text"
    for name, error in (("two", Conflict), ("x" * 31, BadRequest)):
        with pytest.raises(error):
            ann.write(setup.edit, ann.account, "three", name, None, 9)


def test_the_name_of_a_deleted_one_is_free_and_submitted_jobs_keep_their_version(ann: Owner) -> None:
    ann.saved()
    old = ann.get().version or 0
    ann.map(1, env="sci")
    ann.write(setup.remove, ann.account, "sci", 50)
    with pytest.raises(NotFound):
        ann.map(1, env="sci")
    ann.create("sci")
    assert ann.write(environment.forget, 1_000_000) == 0
    ann.kill(None)
    assert ann.write(environment.forget, 1_000_000) == 1
    with pytest.raises(NotFound, match="was deleted"):
        ann.read(environment.version, old)


def test_layers_stay_while_something_names_them(ann: Owner) -> None:
    ann.saved()
    ann.saved("two", B)
    ann.write(base.add, Base("x", [C], C), 1)
    ann.write(layer.keep, ann.account, C, ann.blob(), 5, ann.tick())
    assert ann.write(layer.sweep, 1_000_000) == 0
    ann.write(setup.remove, ann.account, "two", ann.tick())
    ann.write(environment.forget, 1_000_000)
    held = ann.read(layer.blob_of, B)
    assert ann.write(blob.sweep, 1_000_000, 2_000_000)[0] == 0
    assert ann.write(layer.sweep, 1_000_000) == 1
    assert not ann.read(layer.known, B) and ann.read(layer.known, A) and ann.read(layer.known, C)
    assert ann.write(blob.sweep, 1_000_000, 2_000_000)[0] == 1
    assert ann.write(blob.sweep, 3_000_000, 4_000_000)[1] == [held]


def test_a_layer_known_already_keeps_its_bytes(ann: Owner, bob: Owner) -> None:
    ann.saved()
    held = ann.read(layer.blob_of, A)
    bob.saved()
    assert bob.read(layer.blob_of, A) == held


def test_a_newer_base_takes_the_name_and_environments_keep_theirs(ann: Owner) -> None:
    old = ann.write(base.add, Base("deb", [A], A, python="/usr/bin/python3", python_version="3.11"), 1)
    ann.write(layer.keep, ann.account, A, ann.blob(), 5, ann.tick())
    one = ann.create(of="deb")
    new = ann.write(base.add, Base("deb", [B], B), 2)
    assert ann.read(base.current, ann.account, "base/deb").id == new
    assert [found.id for found in ann.read(base.every, ann.account)] == [new]
    ann.runs(one)
    ann.save(digest=C, leave=True)
    (made,) = ann.read(environment.versions, one.id)
    assert (made.base, made.base_id, made.layers) == ("base/deb", old, [A, C])
    for name in ("host", "", "a b", "x" * 31):
        with pytest.raises(BadRequest):
            ann.write(base.add, Base(name, [A], A), 3)


def test_others_see_nothing(ann: Owner, bob: Owner) -> None:
    ann.saved()
    assert bob.read(environment.listing, bob.account) == []
    for call in (
        lambda: bob.get(),
        lambda: bob.modify(),
        lambda: bob.save(),
        lambda: bob.write(setup.leave, bob.account, "sci", 1),
        lambda: bob.write(setup.edit, bob.account, "sci", "x", None, 1),
        lambda: bob.write(setup.remove, bob.account, "sci", 1),
        lambda: bob.write(setup.publish, bob.account, "sci", True, 1),
        lambda: bob.map(1, env="sci"),
    ):
        with pytest.raises(NotFound):
            call()
    assert ann.read(account.by_name, "bob") == bob.account
