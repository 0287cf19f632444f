"""Backups without a server: what is in them, what they refuse, what a cut or damaged one comes to."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from alembic import command
from sqlalchemy import create_engine, text

from picloud.server import backup, generation, restore
from picloud.server import home as homes
from picloud.server.generation import DATABASE, MANIFEST, Manifest
from picloud.server.vault import Vault
from picloud.settings import Settings, load
from picloud.store import blob, hold, migrate
from picloud.store.db import Database
from picloud.store.files import Folder
from picloud.store.secret import secret
from picloud.wire.error import BadRequest, CloudException, Conflict, Corrupt, NotFound, SetupError
from picloud.wire.message import Arguments
from tests.contract.store.storekeeper import Keeper, submission

BIG = os.urandom(100_000)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with one job, whose argument is large."""
    place = Path(tmp_path / "home")
    monkeypatch.setenv("PICLOUD_HOME", str(place))
    homes.make_folder(place)
    homes.make_folder(place / "credentials" / "1")
    homes.write_private(place / "secret", b"s" * 32)
    homes.write_private(place / "credentials" / "1" / "cloudauth", b"hers")
    (place / "settings.toml").write_text('default_type = "c2"\n')
    (place / "server.log").write_text("not of interest")
    add_job(place, BIG)
    return place


def add_job(place: Path, data: bytes) -> str:
    """A job with a large argument; the name of its blob."""
    db = Database.open(f"sqlite:///{place}/picloud.sqlite")
    try:
        ann = Keeper(db, number=0 if not db.read(lambda tx: tx.execute(text("SELECT 1 FROM account")).first()).result(9) else 1)
        (name,) = ann.write(blob.new, ann.account, [len(data)], ann.now)
        with Folder(place / "blob").create(name) as sink:
            sink.write(data)
        ann.write(blob.arrived, name, len(data), ann.now)
        m = submission(1)
        m.arguments = Arguments([0], b"", ["big"], {0: name})
        ann.submit(m)
        return str(name)
    finally:
        db.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def made(folder: Path, keep: int = 3) -> backup.Made:
    return backup.make(load(), folder, keep)


@pytest.fixture
def elsewhere(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another home, which is not there yet."""
    return tmp_path / "elsewhere"


def restored(
    folder: Path, target: Path, monkeypatch: pytest.MonkeyPatch, name: str = "", damaged: bool = False
) -> restore.Restored:
    with monkeypatch.context() as patch:
        patch.setenv("PICLOUD_HOME", str(target))
        return restore.take(folder, target, name, load, damaged)


def test_all_that_an_installation_is_comes_back(
    home: Path, folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = made(folder)
    assert (told.blobs, told.added, told.missing, told.removed) == (1, 1, [], [])
    back = restored(folder, elsewhere, monkeypatch)
    assert (back.name, back.blobs, back.revoked, back.after) == (told.name, 1, 0, 2_000_000_000)
    assert (elsewhere / "secret").read_bytes() == b"s" * 32
    assert (elsewhere / "credentials/1/cloudauth").read_bytes() == b"hers"
    assert (elsewhere / "settings.toml").read_text() == 'default_type = "c2"\n'
    (kept,) = (elsewhere / "blob").glob("??/*")
    assert kept.read_bytes() == BIG
    assert sorted(os.listdir(elsewhere)) == ["blob", "credentials", "picloud.sqlite", "secret", "settings.toml"]
    db = Database.open(f"sqlite:///{elsewhere}/picloud.sqlite")
    assert db.read(hold.since).result(9)
    db.close()


def test_what_is_secret_stays_so(home: Path, folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(folder)
    restored(folder, elsewhere, monkeypatch)
    for root in (folder, elsewhere):
        for path in [root, *root.rglob("*")]:
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), path


def test_what_opens_secrets_is_in_no_backup(home: Path, folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = Vault(home / "secrets.key").seal(1, "db", {"PASSWORD": "hunter22"})
    db = Database.open(f"sqlite:///{home}/picloud.sqlite")
    db.write(secret.put, 1, "db", sealed, 1).result(9)
    db.close()
    made(folder)
    assert restored(folder, elsewhere, monkeypatch).sealed == 1
    key = (home / "secrets.key").read_bytes().strip()
    assert not [path for root in (folder, elsewhere) for path in root.rglob("*") if path.is_file() and key in path.read_bytes()]
    assert Vault(elsewhere / "secrets.key").open(1, "db", sealed) is None
    (elsewhere / "secrets.key").write_bytes(key)
    assert Vault(elsewhere / "secrets.key").open(1, "db", sealed) == {"PASSWORD": "hunter22"}


def test_the_second_one_takes_what_is_new(home: Path, folder: Path) -> None:
    made(folder)
    (first,) = (folder / "blob").glob("??/*")
    before = first.stat()
    add_job(home, b"n" * 70_000)
    told = made(folder)
    assert (told.blobs, told.added) == (2, 1)
    after = first.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_on_the_same_disk_large_values_take_no_room(home: Path, folder: Path) -> None:
    told = made(folder)
    (kept,) = (folder / "blob").glob("??/*")
    assert told.linked == 1 and kept.stat().st_nlink == 2


def test_on_another_disk_they_are_copied(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    told = made(folder)
    (kept,) = (folder / "blob").glob("??/*")
    assert told.linked == 0 and told.copied > len(BIG) and kept.read_bytes() == BIG and kept.stat().st_nlink == 1


def test_so_many_stay(home: Path, folder: Path) -> None:
    names = [made(folder, keep=2).name for _ in range(2)]
    gone = add_job(home, b"n" * 70_000)
    with_it = made(folder, keep=2)
    assert with_it.removed == names[:1] and (folder / "blob" / gone[:2] / gone).exists()
    engine = create_engine(f"sqlite:///{home}/picloud.sqlite")
    with engine.begin() as tx:
        tx.execute(text("DELETE FROM argument WHERE blob = :name"), {"name": gone})
    engine.dispose()
    last = made(folder, keep=2)
    assert (folder / "blob" / gone[:2] / gone).exists(), "the one before names it"
    newest = made(folder, keep=2)
    assert not (folder / "blob" / gone[:2] / gone).exists()
    assert generation.names(folder) == [newest.name, last.name]


def test_an_older_one_can_be_taken(home: Path, folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(folder)
    add_job(home, b"n" * 70_000)
    made(folder)
    assert restored(folder, elsewhere, monkeypatch, first.name).blobs == 1
    with pytest.raises(NotFound, match="no backup 'x'"):
        restored(folder, elsewhere, monkeypatch, "x")


CUTS = ["backup.databases.copied", "backup.Backup._copy_home", "backup._to_disk", "homes.write_private", "Path.rename"]
KILLED = """
import os, signal, sys
from pathlib import Path
from picloud.server import backup, home as homes
from picloud.settings import load
owner, _, name = {cut!r}.rpartition(".")
owner = eval(owner)
as_ever = getattr(owner, name)
def cut(*given, **more):
    if name != "rename" or str(given[1]).startswith({folder!r}) and "/2" in str(given[1]):
        if name == "copied":
            as_ever(*given, **more)
        os.kill(os.getpid(), signal.SIGKILL)
    return as_ever(*given, **more)
setattr(owner, name, cut)
backup.make(load(), Path({folder!r}), 3)
"""


@pytest.mark.parametrize("cut", CUTS)
def test_one_that_is_killed_leaves_the_former_one_whole(
    home: Path, folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    first = made(folder)
    add_job(home, b"n" * 70_000)
    program = KILLED.format(cut=cut, folder=str(folder))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert len(generation.names(folder)) == 2
    back = restored(folder, elsewhere, monkeypatch)
    assert (back.name, back.blobs) == (first.name, 1)
    again = made(folder)
    assert again.blobs == 2 and generation.names(folder) == [again.name, first.name]


def test_the_first_one_cut_off_is_no_backup(home: Path, folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = made(folder)
    (folder / told.name).rename(folder / f"{told.name}.part")
    with pytest.raises(Corrupt, match="was cut off"):
        restored(folder, elsewhere, monkeypatch)
    (folder / f"{told.name}.part" / MANIFEST).unlink()
    (folder / f"{told.name}.part").rename(folder / told.name)
    with pytest.raises(Corrupt, match="has no manifest"):
        restored(folder, elsewhere, monkeypatch)
    assert not elsewhere.exists()


@pytest.mark.parametrize("what", ["database", "blobs", "home/secret", "manifest.json"])
@pytest.mark.parametrize("how", ["changed", "cut", "removed"])
def test_a_damaged_one_is_refused(
    home: Path, folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, what: str, how: str
) -> None:
    path = folder / made(folder).name / what
    data = path.read_bytes()
    path.write_bytes(b"\x00" + data[1:] if how == "changed" else data[: len(data) // 2])
    if how == "removed":
        path.unlink()
    with pytest.raises(Corrupt, match=r"damaged|cut off"):
        restored(folder, elsewhere, monkeypatch)
    assert not elsewhere.exists()


@pytest.mark.parametrize("how", ["changed", "cut", "removed"])
def test_a_damaged_large_value_is_found_and_leaves_no_half_home(
    home: Path, folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    made(folder)
    (path,) = (folder / "blob").glob("??/*")
    path.unlink()
    if how != "removed":
        path.write_bytes(b"\x00" + BIG[1:] if how == "changed" else BIG[:50])
    with pytest.raises(Corrupt, match="damaged"):
        restored(folder, elsewhere, monkeypatch)
    assert os.listdir(elsewhere) == []
    told = restored(folder, elsewhere, monkeypatch, damaged=True)
    assert (told.blobs, told.missing) == (0, [path.name])
    shutil.rmtree(elsewhere)
    if how == "cut":  # its size tells: the next backup brings it anew
        assert made(folder).linked == 1
        assert restored(folder, elsewhere, monkeypatch).blobs == 1


def change(folder: Path, name: str, **values: object) -> None:
    """Another manifest for a backup."""
    path = folder / name / MANIFEST
    path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | values))


def test_one_of_a_newer_version_is_refused(home: Path, folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = made(folder).name
    change(folder, name, revision="9999")
    with pytest.raises(SetupError, match="newer version"):
        restored(folder, elsewhere, monkeypatch)
    change(folder, name, format=2, version="7.0", files="otherwise")
    with pytest.raises(SetupError, match=r"newer version of PiCloud \(7.0\)"):
        restored(folder, elsewhere, monkeypatch)
    assert not elsewhere.exists()


def test_one_of_an_older_version_is_migrated(home: Path, folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = made(folder).name
    old = folder / name / DATABASE
    old.unlink()
    engine = create_engine(f"sqlite:///{old}")
    with engine.begin() as tx:
        command.upgrade(migrate.config(tx), "0003")
        tx.execute(text("INSERT INTO account (id, name, weight, created) VALUES (1, 'ann', 1, 1)"))
    engine.dispose()
    kept = msgspec.json.decode((folder / name / MANIFEST).read_bytes(), type=Manifest)
    empty = generation.digest_of(Path(os.devnull))
    (folder / name / "blobs").write_bytes(b"")
    files = kept.files | {DATABASE: generation.digest_of(old), "blobs": empty}
    change(folder, name, revision="0003", files=files, blobs=0)
    restored(folder, elsewhere, monkeypatch)
    engine = create_engine(f"sqlite:///{elsewhere}/picloud.sqlite")
    with engine.connect() as tx:
        assert migrate.revision(tx) == migrate.HEAD
        assert tx.execute(text("SELECT name FROM account")).scalar_one() == "ann"
    engine.dispose()
    assert not list(elsewhere.glob("*.before-*"))


def test_a_home_that_holds_something_is_left_alone(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(folder)
    before = sorted(os.listdir(home))
    with pytest.raises(Conflict, match="is not empty"):
        restored(folder, home, monkeypatch)
    assert sorted(os.listdir(home)) == before


def test_a_home_half_restored_is_not_served_and_begins_anew(
    home: Path, folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(folder)
    program = (
        "import os, signal; from pathlib import Path; from picloud.server import restore; from picloud.settings import load\n"
        "restore.databases.recovered = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"restore.take(Path({str(folder)!r}), Path({str(elsewhere)!r}), '', load)"
    )
    environment = os.environ | {"PICLOUD_HOME": str(elsewhere)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert (elsewhere / "secret").exists()
    with pytest.raises(SetupError, match="half restored"):
        homes.prepare(Settings(home=str(elsewhere)))
    assert restored(folder, elsewhere, monkeypatch).blobs == 1
    homes.prepare(Settings(home=str(elsewhere)))


def test_two_restored_from_the_same_backup_give_other_jids(
    home: Path, folder: Path, elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(folder)
    first = restored(folder, elsewhere, monkeypatch)
    second = restored(folder, tmp_path / "third", monkeypatch)
    third = restored(folder, tmp_path / "fourth", monkeypatch)
    assert second.after == first.after + restore.AGAIN and third.after == second.after + restore.AGAIN


def test_lost_bytes_are_told_and_hinder_nothing(
    home: Path, folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = add_job(home, b"n" * 70_000)
    (home / "blob" / name[:2] / name).unlink()
    assert made(folder).missing == [name]
    back = restored(folder, elsewhere, monkeypatch)
    assert back.missing == [name] and back.blobs == 1


def test_a_damaged_database_is_no_backup(home: Path, folder: Path) -> None:
    first = made(folder)
    path = home / "picloud.sqlite"
    data = bytearray(path.read_bytes())
    data[4096 * 5 : 4096 * 9] = b"\xff" * (4096 * 4)
    path.write_bytes(data)
    with pytest.raises(CloudException, match=r"damaged|malformed"):
        made(folder)
    assert generation.chosen(folder, "").name == first.name


def test_folders_that_are_for_something_else(home: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadRequest, match="lies in the home"):
        made(home / "backups")
    folder.mkdir()
    (folder / "mine").write_text("mine")
    with pytest.raises(BadRequest, match="something else"):
        made(folder)
    assert os.listdir(folder) == ["mine"]
    with pytest.raises(SetupError, match="is no backup"):
        restored(folder, tmp_path / "new", monkeypatch)
    with pytest.raises(NotFound):
        restored(tmp_path / "none", tmp_path / "new", monkeypatch)
    monkeypatch.setenv("PICLOUD_HOME", str(tmp_path / "none"))
    with pytest.raises(SetupError, match="no installation"):
        made(tmp_path / "new")


def test_one_folder_is_for_one_installation_and_one_backup_at_a_time(home: Path, folder: Path) -> None:
    made(folder)
    with (folder / generation.MARK).open() as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="under way"):
            made(folder)
    (home / "secret").write_bytes(b"t" * 32)
    with pytest.raises(Conflict, match="another installation"):
        made(folder)


def test_a_clock_that_went_back_makes_no_older_one(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = made(folder), made(folder)
    (folder / second.name).rename(folder / "29991231T235959Z")
    third, fourth = made(folder), made(folder)
    assert (third.name, fourth.name) == ("29991231T235959Z-1", "29991231T235959Z-2")
    assert fourth.removed == [first.name]
    assert generation.chosen(folder, "").name == fourth.name
