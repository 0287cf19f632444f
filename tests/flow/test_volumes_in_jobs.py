"""Volumes in jobs: mounted where they say, kept when the job is over; folders of the host as volumes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cloud
from cloud import _session
from tests.conftest import Server

pytestmark = [pytest.mark.slow, pytest.mark.live]


def ask(method: str, path: str, body: Any = None) -> Any:
    return _session.session().link.json(method, f"/v1/volume{path}", body)


@pytest.fixture(autouse=True)
def _none_left(server: Server) -> Iterator[None]:
    yield
    for one in ask("GET", "")["volumes"]:
        ask("POST", "/delete", {"name": one["name"]})


def shell(command: str, **reserved: Any) -> str:
    return bytes(cloud.result(cloud.shell.execute(command, {}, **reserved), timeout=60)).decode()


def test_what_a_job_writes_is_there_for_the_next() -> None:
    ask("POST", "", {"name": "data", "mount_path": "data"})
    ask("POST", "", {"name": "more", "mount_path": "/srv/more"})
    assert (
        shell("pwd; mkdir data/sub; echo 1 > data/sub/one; echo 2 > /srv/more/two; ls data", _vol=["data", "more"])
        == "/home/picloud\nsub\n"
    )
    assert shell("cat data/sub/one", _vol="data") == "1\n"
    assert shell("cat /srv/more/two; ls", _vol="more") == "2\n"
    (one,) = (one for one in ask("GET", "")["volumes"] if one["name"] == "data")
    assert (one["objects"], one["bytes"]) == (1, 2)


def test_a_volume_deep_in_home_outlives_what_jobs_leave_there() -> None:
    ask("POST", "", {"name": "deep", "mount_path": "a/b/c"})
    for number in range(3):
        assert shell(f"cd; touch litter; ls a/b/c | wc -l; echo 1 > a/b/c/{number}", _vol="deep") == f"{number}\n"


def test_a_file_that_is_sent_and_a_volume_of_the_same_name(tmp_path: Path) -> None:
    ask("POST", "", {"name": "data", "mount_path": "data"})
    (tmp_path / "data").write_text("sent")
    jid = cloud.shell.execute("cat {file}; ls data", {"file": f"@{tmp_path}/data"}, _vol="data")
    assert bytes(cloud.result(jid, timeout=60)) == b"sent"


def test_a_job_without_it_does_not_see_it() -> None:
    ask("POST", "", {"name": "data", "mount_path": "/data"})
    shell("echo 1 > /data/x", _vol="data")
    assert shell("ls /data 2>&1 || true").endswith("No such file or directory\n")
    jid = cloud.call(os.listdir, "/data", _vol="data")
    assert cloud.result(jid, timeout=60) == ["x"]
    assert cloud.info(jid, "vol")[jid]["vol"] == ["data"]


def test_a_volume_that_is_not_there() -> None:
    with pytest.raises(cloud.CloudException, match="no volume 'none'"):
        cloud.call(os.getpid, _vol="none")


def test_a_folder_of_the_host(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.owner() == tmp_path.owner() and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o005)
    (tmp_path / "big").write_text("bytes of the host")
    ask("POST", "", {"name": "nfs", "mount_path": "/nfs", "host_path": str(tmp_path), "read_only": True})
    assert shell("cat /nfs/big; echo; touch /nfs/new 2>&1 || true", _vol="nfs").splitlines() == [
        "bytes of the host",
        "touch: cannot touch '/nfs/new': Read-only file system",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["big"]


def test_another_account_sees_none_and_shows_none(server: Server, tmp_path: Path) -> None:
    ask("POST", "", {"name": "data", "mount_path": "/data"})
    name = f"v{os.urandom(4).hex()}"
    made = _session.session().link.json("POST", "/v1/admin/account", {"name": name})
    other = _session.Session(server.url, str(made["api_key"]), made["api_secretkey"])
    assert other.link.json("GET", "/v1/volume")["volumes"] == []
    with pytest.raises(cloud.CloudException, match="owner"):
        other.link.json("POST", "/v1/volume", {"name": "host", "mount_path": "/h", "host_path": str(tmp_path)})
    with pytest.raises(cloud.CloudException, match="no volume"):
        other.link.json("POST", "/v1/volume/delete", {"name": "data"})
    other.link.close()


def test_times_and_programs_agree_with_sync(tmp_path: Path) -> None:
    here, back = tmp_path / "here", tmp_path / "back"
    here.mkdir()
    (here / "hello").write_text("#!/bin/sh\necho hello\n")
    (here / "hello").chmod(0o755)
    os.utime(here / "hello", (10**9, 10**9))
    cloud.volume.create("tools", "tools")
    cloud.volume.sync(f"{here}/", "tools:")
    said = shell("cd ~/tools; ./hello; stat -c %Y hello; cp -p hello bye; touch -d @5000 bye", _vol="tools")
    assert said == "hello\n1000000000\n"
    cloud.volume.sync("tools:", f"{back}/")
    assert os.access(back / "bye", os.X_OK) and (back / "bye").stat().st_mtime == 5000
    assert os.access(back / "hello", os.X_OK) and (back / "hello").stat().st_mtime == 10**9
    assert cloud.volume.sync(f"{back}/", "tools:")["sent"] == cloud.volume.sync("tools:", f"{back}/")["sent"] == 0
