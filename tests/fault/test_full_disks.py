"""Disks and accounts that are full: an error with the figures and what to do, and nothing is stored by halves."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cloud
from cloud import bucket
from picloud.wire.error import StorageFull
from picloud.wire.object import Append, Extent, New
from tests.conftest import PICLOUD, Server, server_home, start_server, stop_server
from tests.fault.disk import Disk
from tests.fault.drive import plugged
from tests.flow.mounts import Api, mounted

MIB = 1 << 20

pytestmark = [pytest.mark.slow, pytest.mark.live]


@pytest.fixture
def place() -> Iterator[Path]:
    """Where a small disk shows itself."""
    made = server_home()
    (made / "plug").mkdir()
    yield made / "plug"
    shutil.rmtree(made)


@pytest.fixture
def as_before() -> Iterator[None]:
    """This process forgets the server of the test."""
    before = os.environ.get("PICLOUD_HOME")
    yield
    cloud.close()
    cloud.config._forget()
    os.environ.pop("PICLOUD_HOME", None)
    if before is not None:
        os.environ["PICLOUD_HOME"] = before


def typed(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PICLOUD_HOME": str(server.home)}
    return subprocess.run([*PICLOUD, "bucket", *words], env=env, capture_output=True, text=True, timeout=120, check=False)


def fill(file: int, size: int) -> None:
    for at in range(0, size, MIB):
        assert os.pwrite(file, os.urandom(MIB), at) == MIB


@pytest.mark.usefixtures("as_before")
def test_a_full_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PICLOUD_STORAGE_QUOTA", str(MIB))
    server = start_server(server_home())
    try:
        server.use()
        (tmp_path / "large").write_bytes(bytes(MIB))
        bucket.putf(bytes(MIB // 2), "half")
        api = Api(server.url, server.key, server.secret)
        acts: list[Any] = [
            lambda: bucket.putf(bytes(MIB), "too much"),
            lambda: bucket.put(str(tmp_path / "large"), "too much"),
            lambda: bucket.put_many({str(n): bytes(MIB // 8) for n in range(5)}),
            lambda: bucket.copy("half", "twin") and bucket.copy("half", "third"),
            lambda: bucket.putf(bytes(MIB + 1), "half"),
            lambda: api.remote.append(Append("half", MIB, data=bytes(MIB))),
        ]
        for act in acts:
            with pytest.raises(StorageFull) as full:
                act()
            assert full.value.facts["quota"] == MIB < full.value.facts["held"] and str(MIB) in str(full.value)
            assert "storage_quota" in str(full.value.hint)
            bucket.remove("twin")
        told = typed(server, "put", str(tmp_path / "large"))
        assert told.returncode == 3 and str(MIB) in told.stderr and "storage_quota" in told.stderr
        assert bucket.list() == ["half"] and bucket.getf("half").read() == bytes(MIB // 2)
        assert (bucket.usage()["objects"], bucket.usage()["bytes"]) == (1, MIB // 2)
        bucket.putf(bytes(MIB), "half")  # what is replaced makes room
        api.close()
    finally:
        stop_server(server)


@pytest.mark.usefixtures("as_before")
def test_the_floor_of_free_space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = server_home()
    server = start_server(home)
    server.use()
    try:
        bucket.putf(b"there", "key")
        bucket.putf(bytes(MIB), "large")
        (home / "settings.toml").write_text(f"min_free_disk = {1 << 60}\n")
        server.picloud("restart")
        (tmp_path / "file").write_bytes(bytes(MIB))
        for act in (lambda: bucket.putf(b"x", "small"), lambda: bucket.put(str(tmp_path / "file"), "key")):
            with pytest.raises(StorageFull, match="MiB are free") as full:
                act()
            assert "min_free_disk" in str(full.value.hint)
        told = typed(server, "put", str(tmp_path / "file"))
        assert told.returncode == 3 and "MiB are free" in told.stderr and "min_free_disk" in told.stderr
        assert bucket.list() == ["key", "large"] and bucket.getf("key").read() == b"there"
        assert bucket.getf("large").read() == bytes(MIB)
        assert bucket.remove("large")
    finally:
        stop_server(server)


@pytest.mark.usefixtures("as_before")
def test_the_servers_disk_is_full(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PICLOUD_MIN_FREE_DISK", "0")
    disk = Disk(room=96 * MIB)
    stored: dict[str, bytes] = {}

    def until_full(batches: Iterable[dict[str, bytes]]) -> StorageFull:
        for some in batches:
            try:
                bucket.put_many(some)
            except StorageFull as error:
                return error
            stored.update(some)
        raise AssertionError("the disk is not full yet")

    with plugged(disk, place):
        server = start_server(place / "home")
        server.use()
        full = until_full({f"large/{n}": os.urandom(10 * MIB)} for n in range(20))
        assert full.hint and 5 < len(stored) < 10
        (tmp_path / "large").write_bytes(bytes(20 * MIB))
        told = typed(server, "put", str(tmp_path / "large"), "by-command")
        assert told.returncode == 3 and "space" in told.stderr, told.stderr
        until_full({f"small/{n}/{i}": os.urandom(500) for i in range(200)} for n in range(300))
        keys = [*bucket.iterlist()]
        assert keys == sorted(stored)
        assert dict(bucket.get_many(keys)) == stored
        disk.room *= 2
        bucket.putf(b"there is room again", "after")
        assert bucket.getf("after").read() == b"there is room again"
        stop_server(server)


def test_the_disk_of_a_mounts_cache_is_full(server: Any, api: Api, place: Path) -> None:
    disk = Disk(room=8 * MIB)
    api.put("full/old", b"old")
    data = os.urandom(12 * MIB)
    (blob,) = api.remote.send([len(data)], lambda _: data)
    api.remote.put(New("full/large", len(data), extents=[Extent(blob, 0, len(data))]))
    with plugged(disk, place), mounted(api, place) as mount:
        for name in ("old", "new"):
            file = os.open(mount.folder / "full" / name, os.O_RDWR | os.O_CREAT)
            with pytest.raises(OSError, match="No space left"):
                fill(file, 40 * MIB)
            os.ftruncate(file, 0)
            os.pwrite(file, name.encode(), 0)
            os.close(file)
            assert api.get(f"full/{name}") == name.encode()
        assert (mount.folder / "full" / "large").read_bytes() == data  # there is no room to keep it, and it is read
    api.remove_below("full")
