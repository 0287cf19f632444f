"""Objects of buckets: keys, folders, versions, and the bytes they hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from picloud.store import blob as blobs
from picloud.store.db import Database
from picloud.store.index import folder, listing, move, repeat, tree
from picloud.store.index import object as store
from picloud.wire.error import BadRequest, Conflict, NotFound, StorageFull
from picloud.wire.object import MODE, MTIME, Extent, New, Object, check_key

ANN, BOB = 1, 2


class Bucket:
    """The acts on one account's bucket."""

    def __init__(self, db: Database, account: int = ANN) -> None:
        self.db, self.account, self.now = db, account, 0
        self.tree = self.act(tree.bucket, account, 0)

    def act(self, act: Callable[..., Any], *args: Any) -> Any:
        return self.db.write(act, *args).result(10)

    def put(self, *keys: str, quota: int = 0, **more: Any) -> list[Object]:
        self.now += 1
        made = [New(key, len(key), data=key.encode()) if not more else New(key, **more) for key in keys]
        found: list[Object] = self.act(store.put, self.account, self.tree, made, self.now, quota)
        return found

    def blob(self, size: int) -> str:
        (name,) = self.act(blobs.new, self.account, [size], 0)
        self.act(blobs.arrived, name, size, 0)
        return str(name)

    def keys(self, folder: str = "", after: str = "", limit: int = 1000) -> list[str]:
        return [one.key for one in self.act(listing.page, self.tree, folder, after, limit)[0]]

    def level(self, folder: str = "", after: str = "", limit: int = 1000) -> list[str]:
        return [one.key for one in self.act(listing.level, self.tree, folder, after, limit)[0]]

    def rename(self, key: str, to: str, replace: bool = True) -> None:
        self.act(move.rename, self.account, self.tree, key, to, replace)

    def copy(self, key: str, to: str) -> int:
        return int(self.act(move.copy, self.account, self.tree, key, self.tree, to, 9))

    def used(self) -> tuple[int, int]:
        found: tuple[int, int] = self.act(tree.used, self.account)
        return found

    def data(self, key: str) -> Any:
        one = self.act(store.get, self.tree, key)
        return self.act(store.contents, [one.id])[one.id]


@pytest.fixture
def bucket(db: Database) -> Bucket:
    return Bucket(db)


def test_what_is_put_is_there(bucket: Bucket) -> None:
    (one,) = bucket.put("a/b.txt")
    assert (one.key, one.size, one.version, one.created) == ("a/b.txt", 7, 1, 1)
    assert bucket.data("a/b.txt") == b"a/b.txt"
    (again,) = bucket.put("a/b.txt")
    assert (again.id, again.version, again.created, again.modified) == (one.id, 2, 1, 2)
    assert bucket.used() == (1, 7)


def test_an_empty_object(bucket: Bucket) -> None:
    bucket.put("none", size=0)
    assert bucket.data("none") == []


def test_large_objects_are_pieces_of_blobs(bucket: Bucket) -> None:
    first, second = bucket.blob(100), bucket.blob(50)
    bucket.put("large", size=120, extents=[Extent(first, 0, 100), Extent(second, 10, 20)])
    assert bucket.data("large") == [Extent(first, 0, 100), Extent(second, 10, 20)]
    bucket.copy("large", "twin")
    bucket.act(store.remove, ANN, bucket.tree, ["large"])
    assert bucket.data("twin") == [Extent(first, 0, 100), Extent(second, 10, 20)]
    assert bucket.act(blobs.sweep, 10**12, 1) == (0, [])
    bucket.put("twin", size=1, data=b"x")
    assert bucket.act(blobs.sweep, 10**12, 1)[0] == 2


def test_a_blob_that_is_not_there_is_refused(bucket: Bucket) -> None:
    theirs = Bucket(bucket.db, BOB).blob(10)
    for blob in ("f" * 32, theirs):
        with pytest.raises(NotFound):
            bucket.put("a", size=10, extents=[Extent(blob, 0, 10)])
    assert bucket.keys() == []


def test_accounts_have_buckets_of_their_own(bucket: Bucket) -> None:
    other = Bucket(bucket.db, BOB)
    bucket.put("mine")
    assert other.keys() == []
    with pytest.raises(NotFound):
        other.rename("mine", "yours")
    assert other.act(store.remove, BOB, other.tree, ["mine"]) == []
    assert bucket.keys() == ["mine"]


@pytest.mark.parametrize("order", [("a", "a/b"), ("a/b", "a"), ("x/y/z", "x/y"), ("x", "x/y/z")])
def test_a_key_cannot_be_a_folder_too(bucket: Bucket, order: tuple[str, str]) -> None:
    bucket.put(order[0])
    with pytest.raises(Conflict):
        bucket.put(order[1])
    with pytest.raises(Conflict):
        bucket.put("other", order[1])
    assert bucket.keys() == [order[0]]


def test_nor_within_one_put(bucket: Bucket) -> None:
    with pytest.raises(Conflict):
        bucket.put("a", "a/b")
    assert bucket.keys() == []


def test_an_empty_folder_is_one(bucket: Bucket) -> None:
    bucket.act(folder.make, bucket.tree, "f/g", 1)
    bucket.act(folder.make, bucket.tree, "f/g", 2)
    assert (bucket.keys(), bucket.level(), bucket.level("f"), bucket.level("f/g")) == ([], ["f/"], ["f/g/"], [])
    with pytest.raises(Conflict):
        bucket.put("f/g")
    bucket.put("f/g/h")
    assert (bucket.level("f"), bucket.level("f/g")) == (["f/g/"], ["f/g/h"])
    with pytest.raises(Conflict):
        bucket.act(folder.make, bucket.tree, "f/g/h/i", 1)
    assert bucket.used() == (1, 5)


def test_a_version_may_be_asked_for(bucket: Bucket) -> None:
    (one,) = bucket.put("a", size=1, data=b"1", match="")
    with pytest.raises(Conflict):
        bucket.put("a", size=1, data=b"2", match="")
    (two,) = bucket.put("a", size=1, data=b"2", match=one.etag)
    with pytest.raises(Conflict) as caught:
        bucket.put("a", size=1, data=b"3", match=one.etag)
    assert caught.value.facts["etag"] == two.etag
    with pytest.raises(Conflict):
        bucket.put("gone", size=1, data=b"3", match=one.etag)
    assert bucket.data("a") == b"2"


def test_a_repeated_put_is_no_second_one(bucket: Bucket) -> None:
    first = bucket.put("a", size=1, data=b"1", match="", token=b"t" * 16)
    assert bucket.put("a", size=1, data=b"1", match="", token=b"t" * 16) == first


def test_a_repeated_put_is_none_when_others_came_between(bucket: Bucket) -> None:
    (first,) = bucket.put("a", size=1, data=b"1", match="", token=b"t" * 16, md5="0" * 32)
    (second,) = bucket.put("a", size=2, data=b"22", token=b"u" * 16)
    assert bucket.put("a", size=1, data=b"1", match="", token=b"t" * 16, md5="0" * 32) == [first]
    assert bucket.put("a", size=2, data=b"22", token=b"u" * 16) == [second]
    bucket.rename("a", "b")
    (moved,) = bucket.put("b", size=1, data=b"1", id=first.id, token=b"t" * 16)
    assert (moved.key, moved.version, bucket.data("b")) == ("b", 1, b"22")
    bucket.put("c", size=1, data=b"3", token=b"t" * 16)  # of another object: no repeat
    assert bucket.data("c") == b"3"


def test_repeats_are_known_for_a_while(bucket: Bucket) -> None:
    bucket.put("a", size=1, data=b"1", token=b"t" * 16)
    bucket.put("a", size=1, data=b"2", token=b"u" * 16)
    assert bucket.act(repeat.forget, repeat.REMEMBERED) == 0
    assert bucket.act(repeat.forget, repeat.REMEMBERED + 2) == 1
    assert bucket.put("a", size=1, data=b"1", token=b"t" * 16)[0].version == 3
    assert bucket.act(repeat.forget, 10**12) == 1
    bucket.now += repeat.REMEMBERED
    bucket.put("a", size=1, data=b"4")  # what it replaces is old already: nothing is written down
    assert bucket.act(repeat.forget, 10**12) == 0


def test_a_removed_id_never_comes_back(bucket: Bucket) -> None:
    (one,) = bucket.put("a")
    bucket.act(store.remove, ANN, bucket.tree, ["a"])
    (two,) = bucket.put("a")
    assert two.id > one.id


def test_pages(bucket: Bucket) -> None:
    keys = sorted(
        [f"d{i}/k{j}" for i in range(3) for j in range(4)] + ["d1.txt", "d1-x", "e", "\u00e9", "\U0001f600"], key=str.encode
    )
    bucket.put(*keys)
    assert bucket.keys() == keys
    found: list[str] = []
    while page := bucket.keys(after=found[-1] if found else "", limit=4):
        found += page
    assert found == keys
    assert bucket.keys("d1") == [f"d1/k{j}" for j in range(4)]
    wanted = ["d0/", "d1-x", "d1.txt", "d1/", "d2/", "e", "\u00e9", "\U0001f600"]
    assert bucket.level() == wanted
    for limit in (1, 2, 3):
        found = []
        while page := bucket.level(after=found[-1] if found else "", limit=limit):
            found += page
        assert found == wanted


def test_both_normal_forms_are_keys(bucket: Bucket) -> None:
    bucket.put("\u00e9", "e\u0301")
    assert len(bucket.keys()) == 2


def test_objects_are_renamed(bucket: Bucket) -> None:
    (one,) = bucket.put("a")
    bucket.put("b")
    with pytest.raises(Conflict):
        bucket.rename("a", "b", replace=False)
    bucket.rename("a", "b")
    assert bucket.keys() == ["b"] and bucket.used() == (1, 1)
    assert bucket.act(store.get, bucket.tree, "b").id == one.id
    bucket.rename("b", "c/d")
    bucket.rename("c/d", "c/d")
    assert bucket.keys() == ["c/d"]


def test_folders_are_renamed(bucket: Bucket) -> None:
    bucket.put("f/a", "f/b/c", "f.txt", "f0")
    bucket.act(folder.make, bucket.tree, "f/empty", 1)
    bucket.act(folder.make, bucket.tree, "g", 1)
    bucket.rename("f", "g")
    assert (bucket.keys(), bucket.level("g")) == (["f.txt", "f0", "g/a", "g/b/c"], ["g/a", "g/b/", "g/empty/"])
    assert bucket.data("g/b/c") == b"f/b/c"


@pytest.mark.parametrize(
    ("key", "to", "error"),
    [
        ("f", "f/g", BadRequest),
        ("f", "full", Conflict),
        ("f", "one", Conflict),
        ("one", "f", Conflict),
        ("f", "one/g", Conflict),
        ("one", "one/two", Conflict),
        ("none", "some", NotFound),
        ("f", "x" * 250 + "/" + "y" * 250 + "/" + "z" * 250 + "/" + "w" * 250 + "/" + "v" * 20, BadRequest),
    ],
)
def test_renames_that_cannot_be(bucket: Bucket, key: str, to: str, error: type[Exception]) -> None:
    bucket.put("f/a", "full/b", "one")
    with pytest.raises(error):
        bucket.rename(key, to)
    assert bucket.keys() == ["f/a", "full/b", "one"]


def test_folders_are_copied_and_removed(bucket: Bucket) -> None:
    bucket.put("f/a", "f/b/c")
    assert bucket.copy("f", "g") == 2
    assert bucket.keys() == ["f/a", "f/b/c", "g/a", "g/b/c"]
    assert bucket.act(store.remove_below, ANN, bucket.tree, "f") == 2
    assert bucket.keys() == ["g/a", "g/b/c"]
    assert bucket.act(store.remove_below, ANN, bucket.tree, "") == 2
    assert bucket.used() == (0, 0)


def test_the_quota(bucket: Bucket) -> None:
    bucket.put("a" * 60, quota=100)
    with pytest.raises(StorageFull):
        bucket.put("b" * 60, quota=100)
    assert bucket.used() == (1, 60)
    bucket.put("a" * 60, quota=100)


def test_publishing(bucket: Bucket) -> None:
    bucket.put("a", size=0, headers={"content-type": "text/plain", "x-old": "1"})
    one = bucket.act(store.publish, bucket.tree, "a", True, {"cache-control": "no-store"}, False)
    assert one.public and one.headers == {"content-type": "text/plain", "x-old": "1", "cache-control": "no-store"}
    one = bucket.act(store.publish, bucket.tree, "a", True, {}, True)
    assert one.headers == {"content-type": "text/plain"}
    assert not bucket.act(store.publish, bucket.tree, "a", False, {}, False).public
    with pytest.raises(NotFound):
        bucket.act(store.publish, bucket.tree, "b", True, {}, False)


def test_headers_change_and_the_version_does_not(bucket: Bucket) -> None:
    (made,) = bucket.put("a", size=0, headers={"content-type": "text/plain", MODE: "x"})
    bucket.act(store.publish, bucket.tree, "a", True, {}, True)
    one = bucket.act(store.mark, bucket.tree, made.id, {MTIME: "5", MODE: ""})
    assert one == bucket.act(store.get, bucket.tree, "a")
    assert one.headers == {"content-type": "text/plain", MTIME: "5"} and one.public and one.etag == made.etag
    with pytest.raises(NotFound):
        bucket.act(store.mark, bucket.tree, made.id + 1, {MTIME: "5"})
    with pytest.raises(BadRequest):
        bucket.act(store.mark, bucket.tree, made.id, {f"x-{i}": "1" for i in range(31)})
    assert bucket.act(store.get, bucket.tree, "a") == one


def test_an_md5_is_learned_for_its_version_alone(bucket: Bucket) -> None:
    (one,) = bucket.put("a")
    bucket.put("a")
    bucket.act(store.learn, one.id, one.version, "0" * 32)
    assert bucket.act(store.get, bucket.tree, "a").md5 == ""
    bucket.act(store.learn, one.id, 2, "1" * 32)
    assert bucket.act(store.get, bucket.tree, "a").md5 == "1" * 32


def test_ten_thousand_keys_move_in_one_go(bucket: Bucket) -> None:
    for at in range(0, 10_000, 1000):
        bucket.put(*(f"many/{i:05d}" for i in range(at, at + 1000)))
    bucket.rename("many", "moved")
    assert len(bucket.keys("moved", limit=20_000)) == 10_000
    assert bucket.level() == ["moved/"]


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "a//b", "a/../b", "..", ".", "a/./b", "a\0b", "a\x07", "x" * 2000, "p" * 256, "\ud800", "a\uffffb", 3, None],
)
def test_what_is_no_key(key: Any) -> None:
    with pytest.raises(BadRequest):
        check_key(key)


@pytest.mark.parametrize(
    "key", ["a", "a/b/c", "\u00e9", "e\u0301", "a b", "...", "..a", "\t", "x" * 255, "/".join(["y" * 100] * 10)]
)
def test_what_is_a_key(key: str) -> None:
    assert check_key(key) == key
