"""Is a home fit, and who serves it."""

import os
import stat
import subprocess
from pathlib import Path

import msgspec
import pytest

from picloud.server import home
from picloud.server.home import ServerFile
from picloud.settings import Settings
from picloud.wire.error import SetupError


def mounted(kind: str) -> str:
    return f"27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 0:5 / /srv/a\\040b rw shared:1 - {kind} none rw\n"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_prepare_makes_private_folders(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "home"
    for _ in range(2):
        home.prepare(Settings(home=str(root)))
    assert {mode(path) for path in (root, *(root / name for name in home.FOLDERS))} == {0o700}
    assert not [path for path in root.iterdir() if path.is_file()]


def test_prepare_closes_an_empty_open_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    home.prepare(Settings(home=str(tmp_path)))
    assert mode(tmp_path) == 0o700


def test_prepare_leaves_a_folder_that_others_use(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(SetupError, match=r"open to other users and holds other files \(thesis.tex\)"):
        home.prepare(Settings(home=str(tmp_path)))
    assert mode(tmp_path) == 0o755


def test_a_home_below_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="file.* is not usable: Not a directory") as caught:
        home.prepare(Settings(home=str(tmp_path / "file" / "home")))
    assert caught.value.hint == "set PICLOUD_HOME to a folder you can write to"


def test_a_read_only_home_is_one_clear_line() -> None:
    with pytest.raises(SetupError, match="/proc/nowhere is not usable"):
        home.prepare(Settings(home="/proc/nowhere"))


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs"])
def test_a_network_file_system_is_refused(kind: str) -> None:
    with pytest.raises(SetupError, match=rf"network file system \({kind}\)") as caught:
        home.check_file_system(Path("/srv/a b/home"), mounted(kind))
    assert "PICLOUD_HOME" in (caught.value.hint or "")


@pytest.mark.parametrize("kind", ["overlay", "fuse.fuse-overlayfs"])
def test_an_overlay_is_refused(kind: str) -> None:
    with pytest.raises(SetupError, match=rf"overlay file system \({kind}\)"):
        home.check_file_system(Path("/srv/a b"), mounted(kind))


def test_the_innermost_and_latest_mount_counts() -> None:
    assert home.check_file_system(Path("/srv/a bc"), mounted("nfs")) == "ext4"
    assert home.check_file_system(Path("/srv/a b"), mounted("nfs") + mounted("xfs")) == "xfs"


def test_a_full_disk_is_told_with_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "START_FREE", 1 << 60)
    with pytest.raises(SetupError, match=r"is full: \d+ MiB free"):
        home.prepare(Settings(home=str(tmp_path)))


def test_server_file_comes_back_and_is_private(tmp_path: Path) -> None:
    written = home.write_server_file(tmp_path, ServerFile(address="http://127.0.0.1:1", pid=os.getpid(), started=5, version="1"))
    assert home.read_server_file(tmp_path) == written
    assert home.running(tmp_path) == written
    assert mode(tmp_path / "server.json") == 0o600
    home.remove_server_file(tmp_path)
    home.remove_server_file(tmp_path)
    assert home.read_server_file(tmp_path) is None


def test_a_server_file_of_a_dead_process_is_not_running(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    home.write_server_file(tmp_path, ServerFile(address="http://127.0.0.1:1", pid=ended.pid, started=5, version="1"))
    assert home.read_server_file(tmp_path) is not None
    assert home.running(tmp_path) is None


def test_a_torn_server_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text('{"address": "http')
    assert home.running(tmp_path) is None


def test_server_file_of_a_later_version_is_read(tmp_path: Path) -> None:
    known = msgspec.json.decode(msgspec.json.encode(ServerFile(address="a", pid=1, started=5, version="9")))
    (tmp_path / "server.json").write_bytes(msgspec.json.encode(known | {"new": 1}))
    found = home.read_server_file(tmp_path)
    assert found is not None
    assert found.version == "9"


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()
    with pytest.raises(OSError, match="directory"):
        home.write_private(tmp_path / "name", b"new")
    assert os.listdir(tmp_path) == ["name"]
