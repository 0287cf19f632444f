"""Volumes: made, listed, deleted; their objects are their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from picloud.store.db import Database
from picloud.store.index import listing, tree, volume
from picloud.store.index import object as store
from picloud.wire.error import BadRequest, Conflict, NotFound
from picloud.wire.object import New
from picloud.wire.volume import Volume, check_mount, check_name, split

ANN, BOB = 1, 2
Act = Callable[..., Any]


@pytest.fixture
def act(db: Database) -> Act:
    return lambda act, *args: db.write(act, *args).result(10)


def test_a_volume_from_its_making_to_its_end(act: Act) -> None:
    act(volume.create, ANN, Volume("data", "/home/picloud/data", description="points"), 5)
    number = act(tree.find, ANN, "data")
    act(store.put, ANN, number, [New("a/b", 2, data=b"ab"), New("c", 1, data=b"c")], 6)
    (one,) = act(volume.listing, ANN, ["data"])
    assert (one.mount, one.created, one.description, one.objects, one.bytes) == ("/home/picloud/data", 5, "points", 2, 3)
    assert act(tree.used, ANN) == (2, 3)
    act(volume.delete_one, ANN, "data")
    assert act(volume.listing, ANN, []) == [] and act(tree.used, ANN) == (0, 0)
    with pytest.raises(NotFound):
        act(tree.find, ANN, "data")


def test_volumes_and_bucket_are_apart_and_accounts_too(act: Act) -> None:
    act(volume.create, ANN, Volume("data", "/data"), 1)
    act(volume.create, BOB, Volume("data", "/data"), 1)
    act(store.put, ANN, act(tree.find, ANN, "data"), [New("x", 1, data=b"x")], 1)
    for number in (act(tree.bucket, ANN, 1), act(tree.find, BOB, "data")):
        assert act(listing.page, number, "", "", 10) == ([], False)
    act(volume.delete_one, BOB, "data")
    assert [one.name for one in act(volume.listing, ANN, [])] == ["data"]


def test_names_and_places_are_taken_once(act: Act) -> None:
    act(volume.create, ANN, Volume("data", "/data"), 1)
    for made in (Volume("data", "/other"), Volume("other", "/data")):
        with pytest.raises(Conflict):
            act(volume.create, ANN, made, 1)
    for ask in (lambda: act(volume.listing, ANN, ["none"]), lambda: act(volume.delete_one, ANN, "none")):
        with pytest.raises(NotFound):
            ask()


def test_a_folder_of_the_host_has_no_objects(act: Act) -> None:
    act(volume.create, ANN, Volume("nfs", "/nfs", host="/srv/nfs", read_only=True), 1)
    (one,) = act(volume.listing, ANN, [])
    assert one.read_only and one.host == "/srv/nfs"
    with pytest.raises(BadRequest):
        act(tree.find, ANN, "nfs")
    act(volume.delete_one, ANN, "nfs")


@pytest.mark.parametrize("name", ["", "a", "x" * 65, "a/b", "-a", "a b", "\u00e9\u00e9", None, 5])
def test_what_is_no_name(name: Any) -> None:
    with pytest.raises(BadRequest):
        check_name(name)


@pytest.mark.parametrize(
    "path",
    ["", "/", "/home/picloud", ".", "..", "../x", "/bucket", "/bucket/x", "/usr/lib", "/tmp", "/tmp/x", "/proc/1", "a\0", None],
)
def test_where_nothing_can_be_mounted(path: Any) -> None:
    with pytest.raises(BadRequest):
        check_mount(path)


@pytest.mark.parametrize(
    ("path", "whole"), [("data", "/home/picloud/data"), ("/data", "/data"), ("//data/", "/data"), ("a//b", "/home/picloud/a/b")]
)
def test_where_volumes_are_mounted(path: str, whole: str) -> None:
    assert check_mount(path) == whole


def test_paths_in_volumes() -> None:
    assert split("data:a/b/") == ("data", "a/b") and split("data:") == ("data", "")
    with pytest.raises(BadRequest):
        split("data")
