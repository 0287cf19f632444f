"""Backups of an installation whose database is PostgreSQL and whose larger values are in S3."""

from __future__ import annotations

from pathlib import Path

import pytest

from picloud.server import backup, generation, restore
from picloud.server import home as homes
from picloud.settings import load
from picloud.store import blob, hold, job
from picloud.store.db import Database
from picloud.store.files import open_files
from picloud.wire.error import Corrupt, SetupError
from picloud.wire.message import Arguments
from tests.contract.store.conftest import new_database
from tests.contract.store.storekeeper import Keeper, submission
from tests.s3 import Bucket

BIG = bytes(range(256)) * 400


@pytest.fixture
def name(tmp_path: Path, postgresql: str, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installation with a job whose argument is large; the name of that blob."""
    home = tmp_path / "home"
    monkeypatch.setenv("PICLOUD_HOME", str(home))
    monkeypatch.setenv("PICLOUD_DATABASE", new_database(postgresql))
    homes.make_folder(home)
    homes.write_private(home / "secret", b"s" * 32)
    homes.write_private(home / "settings.toml", f'blobs = "{s3_bucket.url}"\n'.encode())
    settings = load()
    db = Database.open(settings.database)
    ann = Keeper(db)
    (made,) = ann.write(blob.new, ann.account, [len(BIG)], ann.now)
    with open_files(settings.blobs, home).create(made) as sink:
        sink.write(BIG)
    ann.write(blob.arrived, made, len(BIG), ann.now)
    m = submission(1)
    m.arguments = Arguments([0], b"", ["big"], {0: made})
    ann.submit(m)
    db.close()
    return str(made)


def test_both_come_back(name: str, tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = backup.make(load(), tmp_path / "backups", 3)
    assert (told.blobs, told.linked, told.missing) == (1, 0, [])
    assert generation.place_of(tmp_path / "backups", name).read_bytes() == BIG
    assert backup.make(load(), tmp_path / "backups", 3).added == 0

    files = open_files(load().blobs, tmp_path)
    files.delete(name)  # the bucket is lost too
    monkeypatch.setenv("PICLOUD_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(SetupError, match="not empty"):
        restore.take(tmp_path / "backups", tmp_path / "elsewhere", "", load)
    monkeypatch.setenv("PICLOUD_DATABASE", f"sqlite:///{tmp_path}/another.sqlite")
    with pytest.raises(SetupError, match="of a postgresql database"):
        restore.take(tmp_path / "backups", tmp_path / "elsewhere", "", load)
    assert list((tmp_path / "elsewhere").iterdir()) == []

    monkeypatch.setenv("PICLOUD_DATABASE", new_database(postgresql))
    back = restore.take(tmp_path / "backups", tmp_path / "elsewhere", "", load)
    assert (back.blobs, back.missing) == (1, [])
    assert b"".join(open_files(load().blobs, tmp_path).read(name)) == BIG
    db = Database.open(load().database)
    try:
        assert db.read(hold.since).result(30)
        assert [one.count for one in db.read(job.ready).result(30)] == [1]
        assert Keeper(db, number=1).map(1).first > back.after
    finally:
        db.close()


def test_what_the_bucket_still_has_is_left_there(
    name: str, tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup.make(load(), tmp_path / "backups", 3)
    generation.place_of(tmp_path / "backups", name).unlink()
    monkeypatch.setenv("PICLOUD_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PICLOUD_DATABASE", new_database(postgresql))
    assert restore.take(tmp_path / "backups", tmp_path / "elsewhere", "", load).blobs == 1
    open_files(load().blobs, tmp_path).delete(name)
    monkeypatch.setenv("PICLOUD_HOME", str(tmp_path / "third"))
    monkeypatch.setenv("PICLOUD_DATABASE", new_database(postgresql))
    with pytest.raises(Corrupt, match="is missing"):
        restore.take(tmp_path / "backups", tmp_path / "third", "", load)
