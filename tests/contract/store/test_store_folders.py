"""What file systems need of the index: objects by id, folders that stay, appends told apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from picloud.store.db import Database
from picloud.store.index import folder, listing, move, tree
from picloud.store.index import object as store
from picloud.wire.error import BadRequest, Conflict, NotFound
from picloud.wire.object import New, Object

ANN, BOB = 1, 2


class Bucket:
    """The acts of a mount on one account's bucket."""

    def __init__(self, db: Database, account: int = ANN) -> None:
        self.db, self.account = db, account
        self.tree = self.act(tree.bucket, account, 1)

    def act(self, act: Callable[..., Any], *args: Any) -> Any:
        return self.db.write(act, *args).result(10)

    def put(self, *made: New) -> list[Object]:
        found: list[Object] = self.act(store.put, self.account, self.tree, made, 5)
        return found

    def all(self) -> list[str]:
        return [one.key for one in self.act(store.below, self.tree, "")]

    def folders(self, *keys: str) -> list[str]:
        return sorted(one.key for one in self.act(folder.those, self.tree, keys))


@pytest.fixture
def bucket(db: Database) -> Bucket:
    return Bucket(db)


def text(key: str, data: bytes = b"x", **more: Any) -> New:
    return New(key, len(data), data=data, **more)


def test_a_put_by_id_follows_the_object(bucket: Bucket) -> None:
    (one,) = bucket.put(text("a/b"))
    bucket.act(move.rename, ANN, bucket.tree, "a", "c", True)
    (now,) = bucket.put(text("a/b", b"new", id=one.id))
    assert (now.key, now.id, now.version) == ("c/b", one.id, 2) and bucket.all() == ["c/b"]
    assert [found.key for found in bucket.act(store.find_ids, bucket.tree, [one.id, 999])] == ["c/b"]


def test_a_put_by_id_of_what_is_gone_is_refused(bucket: Bucket) -> None:
    (one,) = bucket.put(text("a"))
    bucket.act(store.remove, ANN, bucket.tree, ["a"])
    bucket.put(text("a", b"another one of the same name"))
    with pytest.raises(NotFound) as refused:
        bucket.put(text("a", id=one.id))
    assert refused.value.facts["id"] == one.id
    other = Bucket(bucket.db, BOB)
    with pytest.raises(NotFound):
        other.put(text("a", id=bucket.act(store.get, bucket.tree, "a").id))
    assert other.all() == []


def test_a_put_by_id_minds_the_version(bucket: Bucket) -> None:
    (one,) = bucket.put(text("a"))
    bucket.put(text("a", b"second"))
    with pytest.raises(Conflict) as refused:
        bucket.put(text("", id=one.id, match=one.etag))
    bucket.put(text("", b"third", id=one.id, match=refused.value.facts["etag"]))
    assert bucket.act(store.contents, [one.id]) == {one.id: b"third"}


def test_an_object_twice_in_one_put_is_refused(bucket: Bucket) -> None:
    (one,) = bucket.put(text("a"))
    with pytest.raises(BadRequest):
        bucket.put(text("a"), text("", id=one.id))


def test_a_folder_stays_when_its_last_object_goes(bucket: Bucket) -> None:
    bucket.put(text("a/b/c"), text("a/b/d"), text("e"))
    bucket.act(store.remove, ANN, bucket.tree, ["a/b/c"], 9)
    bucket.act(store.remove, ANN, bucket.tree, ["a/b/d", "e"], 9)
    assert bucket.all() == ["a/b/"] and bucket.folders("a", "a/b", "e") == ["a/", "a/b/"]
    assert bucket.act(tree.used, ANN) == (0, 0)


def test_a_folder_stays_when_its_last_object_or_folder_is_renamed_away(bucket: Bucket) -> None:
    bucket.put(text("a/b"), text("c/d/e"))
    bucket.act(move.rename, ANN, bucket.tree, "a/b", "b", True, 9)
    bucket.act(move.rename, ANN, bucket.tree, "c/d", "d", True, 9)
    assert bucket.all() == ["a/", "b", "c/", "d/e"]
    bucket.act(move.rename, ANN, bucket.tree, "d/e", "e", True)
    assert bucket.folders("d") == []


def test_a_renamed_object_is_told(bucket: Bucket) -> None:
    (one,) = bucket.put(text("a"))
    (moved,) = bucket.act(move.rename, ANN, bucket.tree, "a", "b", True)
    assert (moved.key, moved.id) == ("b", one.id)


def test_only_empty_folders_are_removed(bucket: Bucket) -> None:
    bucket.act(folder.make, bucket.tree, "a/b", 1)
    with pytest.raises(Conflict):
        bucket.act(folder.remove, ANN, bucket.tree, "a", 9)
    bucket.act(folder.remove, ANN, bucket.tree, "a/b", 9)
    assert bucket.all() == ["a/"]
    bucket.act(folder.remove, ANN, bucket.tree, "a", 9)
    assert bucket.all() == []
    bucket.put(text("x/y"))
    for key, error in (("a", NotFound), ("x", Conflict), ("x/y", NotFound)):
        with pytest.raises(error):
            bucket.act(folder.remove, ANN, bucket.tree, key, 9)
    assert bucket.all() == ["x/y"]


def test_a_fresh_folder_is_one_that_was_not_there(bucket: Bucket) -> None:
    bucket.put(text("a/b"))
    bucket.act(folder.make, bucket.tree, "a", 1)
    for key in ("a", "a/b"):
        with pytest.raises(Conflict):
            bucket.act(folder.make, bucket.tree, key, 1, True)
    bucket.act(folder.make, bucket.tree, "c", 1, True)
    found, _ = bucket.act(listing.level, bucket.tree, "", "", 10)
    assert [one.key for one in found] == ["a/", "c/"]


def test_two_claim_a_name_and_one_gets_it(bucket: Bucket, other: Database) -> None:
    second = Bucket(other)
    begun = [bucket.db.write(store.put, ANN, bucket.tree, [text("a", match="")], 1),
             second.db.write(store.put, ANN, second.tree, [text("a", match="")], 1)]  # fmt: skip
    failed = [one.exception(10) for one in begun]
    assert sorted(type(error).__name__ for error in failed) == ["Conflict", "NoneType"]
