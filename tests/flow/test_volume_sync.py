"""Volumes from the client: made, filled, listed, read back, deleted; only what differs travels."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cloud
from cloud import volume
from picloud.wire.error import BadRequest, Conflict, NotFound
from tests.conftest import Server

pytestmark = [pytest.mark.slow, pytest.mark.live]


@pytest.fixture(autouse=True)
def _data(server: Server) -> Iterator[None]:
    server.use()
    volume.create("data", "data", "points")
    yield
    for one in volume.get_list():
        volume.delete(one["name"])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with files of several sorts."""
    top = tmp_path / "tree"
    (top / "sub" / "deep").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "a.txt").write_text("a")
    (top / "none").touch()
    (top / "sub" / "b é.bin").write_bytes(os.urandom(100_000))
    (top / "sub" / "deep" / "large").write_bytes(os.urandom(600_000))
    (top / "run").write_text("#!/bin/sh\necho ran\n")
    (top / "run").chmod(0o755)
    return top


def looks(top: Path) -> dict[str, Any]:
    """What a folder holds: digests, modes and times."""
    found: dict[str, Any] = {}
    for folder, folders, files in os.walk(top):
        for name in files:
            path = Path(folder, name)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(top))] = digest, os.access(path, os.X_OK), path.stat().st_mtime_ns
        if not files and not folders:
            found[str(Path(folder).relative_to(top))] = "empty"
    return found


def names(path: str) -> list[str]:
    return [one["name"] for one in volume.ls(path)[0][1]]


def test_there_and_back(tree: Path, tmp_path: Path) -> None:
    assert volume.sync(f"{tree}/", "data:")["sent"] == 5
    assert names("data:") == ["a.txt", "empty/", "none", "run", "sub/"]
    back = tmp_path / "back"
    assert volume.sync("data:", f"{back}/")["sent"] == 5
    there = looks(back)
    wanted = looks(tree)
    wanted.pop("empty")  # folders come with their files
    there.pop("empty", None)
    assert there == wanted


def test_only_what_differs_travels(tree: Path, tmp_path: Path) -> None:
    volume.sync(f"{tree}/", "data:")
    assert volume.sync(f"{tree}/", "data:") == {"sent": 0, "bytes": 0, "removed": 0, "skipped": 0}
    os.utime(tree / "a.txt")  # another time, the same bytes
    assert volume.sync(f"{tree}/", "data:")["sent"] == 0
    (tree / "a.txt").write_text("b")
    assert volume.sync(f"{tree}/", "data:") == {"sent": 1, "bytes": 1, "removed": 0, "skipped": 0}
    back = tmp_path / "back"
    volume.sync("data:", f"{back}/")
    (tree / "a.txt").write_text("c")
    volume.sync(f"{tree}/", "data:")
    assert volume.sync("data:", f"{back}/")["sent"] == 1
    assert (back / "a.txt").read_text() == "c"


def test_slashes_mean_what_they_mean_to_rsync(tree: Path, tmp_path: Path) -> None:
    volume.sync(str(tree), "data:x")
    assert names("data:x") == ["tree/"]
    volume.sync([str(tree / "a.txt"), f"{tree}/sub/"], "data:y/")
    assert names("data:y") == ["a.txt", "b é.bin", "deep/"]
    volume.sync("data:x/tree", str(tmp_path / "one"))
    assert (tmp_path / "one/tree/a.txt").exists()
    volume.sync("data:x/tree/", str(tmp_path / "two"))
    assert (tmp_path / "two/a.txt").exists()
    volume.sync("data:y/a.txt", str(tmp_path / "renamed"))
    assert (tmp_path / "renamed").read_text() == "a"


def test_delete_removes_what_the_source_does_not_have(tree: Path, tmp_path: Path) -> None:
    volume.sync(f"{tree}/", "data:")
    volume.sync(str(tree / "a.txt"), "data:beside/")
    back = tmp_path / "back"
    volume.sync("data:", f"{back}/")
    (back / "mine").touch()
    (tree / "sub" / "deep" / "large").unlink()
    (tree / "sub" / "deep").rmdir()
    assert volume.sync(f"{tree}/", "data:", delete=True)["removed"] == 2
    assert names("data:sub") == ["b é.bin"] and "beside/" not in names("data:")
    assert volume.sync("data:", f"{back}/", delete=True)["removed"] == 3
    assert not (back / "sub/deep").exists() and not (back / "mine").exists()


def test_a_job_reads_and_appends(tree: Path, tmp_path: Path) -> None:
    volume.sync(f"{tree}/", "data:")

    def job() -> str:
        with open("/home/picloud/data/a.txt", "a") as file:
            file.write("ppended")
        with open("/home/picloud/data/new", "w") as file:
            file.write("made by a job")
        return Path("/home/picloud/data/a.txt").read_text()

    assert cloud.result(cloud.call(job, _vol="data"), timeout=60) == "appended"
    back = tmp_path / "back"
    volume.sync("data:", f"{back}/")
    assert (back / "a.txt").read_text() == "appended" and (back / "new").read_text() == "made by a job"
    assert volume.sync(f"{back}/", "data:")["sent"] == 0


def test_folders(tree: Path) -> None:
    volume.mkdir("data:one")
    with pytest.raises(BadRequest, match="there already"):
        volume.mkdir("data:one")
    with pytest.raises(NotFound, match="no folder"):
        volume.mkdir("data:two/three")
    volume.mkdir(["data:two/three", "data:one"], parents=True)
    volume.sync(str(tree / "a.txt"), "data:two/")
    assert names("data:") == ["one/", "two/"]
    (entry,) = [one for one in volume.ls("data:two", extended_info=True)[0][1] if one["name"] == "a.txt"]
    assert entry["size"] == 1
    with pytest.raises(BadRequest, match="not empty"):
        volume.rm("data:two")
    volume.rm(["data:two/a.txt", "data:one"])
    volume.rm("data:two", recursive=True)
    assert names("data:") == []
    for path in ("data:none", "none:"):
        with pytest.raises(NotFound):
            volume.ls(path)
    with pytest.raises(NotFound):
        volume.rm("data:none")


def test_bad_words(tree: Path) -> None:
    for source, dest in ((str(tree), "elsewhere"), ("data:", "data:x"), ([str(tree), "data:x"], "data:"), ([], "data:")):
        with pytest.raises(BadRequest):
            volume.sync(source, dest)
    with pytest.raises(NotFound):
        volume.sync(str(tree), "none:")
    with pytest.raises(NotFound):
        volume.sync("data:none", ".")
    with pytest.raises(OSError, match="No such file"):
        volume.sync("/no/such", "data:")
    for name, mount in (("x", "y"), ("name", "/usr"), ("name", "../x")):
        with pytest.raises(BadRequest):
            volume.create(name, mount)
    with pytest.raises(Conflict):
        volume.create("data", "other")
    with pytest.raises(NotFound):
        volume.delete("none")
    (only,) = volume.get_list("data", desc=True)
    assert (only["mnt_path"], only["desc"], only["objects"]) == ("/home/picloud/data", "points", 0)


def test_links_to_files_are_followed_and_others_left_out(tree: Path) -> None:
    (tree / "link").symlink_to("a.txt")
    (tree / "loop").symlink_to(tree)
    os.mkfifo(tree / "pipe")
    assert volume.sync(f"{tree}/", "data:")["skipped"] == 2
    assert "link" in names("data:") and "loop" not in names("data:")


def test_the_command(server: Server, tree: Path, tmp_path: Path) -> None:
    server.picloud("volume", "create", "more", "/more", "-d", "by hand")
    found = server.picloud("volume", "sync", f"{tree}/", "more:")
    assert found["sent"] == 5
    listed = server.picloud("volume", "list", "-d")
    assert [(one["name"], one["mnt_path"]) for one in listed] == [("data", "/home/picloud/data"), ("more", "/more")]
    (folder,) = server.picloud("volume", "ls", "-l", "more:sub")
    assert [one["name"] for one in folder["entries"]] == ["b é.bin", "deep/"], json.dumps(folder)
    server.picloud("volume", "mkdir", "-p", "more:x/y")
    server.picloud("volume", "rm", "-r", "more:sub")
    server.picloud("volume", "sync", "more:", str(tmp_path / "back"))
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == ["a.txt", "none", "run"]
    server.picloud("volume", "delete", "more")
