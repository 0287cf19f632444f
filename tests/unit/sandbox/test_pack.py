"""Packing: the same things give the same bytes, and nothing but what belongs to a layer gets in."""

from __future__ import annotations

import compileall
import importlib.util
import os
import socket
import stat
import tarfile
from pathlib import Path

import pytest
import zstandard

from picloud.sandbox import layer, tar
from picloud.sandbox.pack import pack, volatile
from picloud.sandbox.tar import EPOCH
from picloud.wire.error import BadRequest, SetupError, TooLarge
from tests.unit.sandbox.trees import inside, own_ids, packed


def members(file: Path) -> dict[str, tarfile.TarInfo]:
    with file.open("rb") as stream, zstandard.ZstdDecompressor().stream_reader(stream) as plain:
        with tarfile.open(fileobj=plain, mode="r|") as opened:
            return {member.name: member for member in opened}


def tree(root: Path, names: list[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name * 100)
    return root


NAMES = ["usr/bin/tool", "usr/lib/b.so", "usr/lib/a.so", "etc/tool.conf", "opt/x/y/z", "opt/" + "long" * 40 + "/file"]


def test_the_same_tree_gives_the_same_digest_whenever_and_in_whatever_order_it_was_made(tmp_path: Path) -> None:
    first = packed(tmp_path / "1", ("", tree(tmp_path / "a", NAMES)))
    other = tree(tmp_path / "b", NAMES[::-1])
    for path in other.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert packed(tmp_path / "2", ("", other)) == first
    assert first.files == len(members(tmp_path / "1")) and first.unpacked == sum(len(name) * 100 for name in NAMES)
    (other / "opt/x/y/z").chmod(0o755)
    assert packed(tmp_path / "2", ("", other)).digest != first.digest


def test_bytes_do_not_depend_on_how_they_come_from_the_disk(tmp_path: Path) -> None:
    """The compressor runs in several threads, whose number is fixed."""
    (tmp_path / "a").mkdir()
    data = b"".join(number.to_bytes(4, "big") * (number % 7) for number in range(600_000))
    (tmp_path / "a/big").write_bytes(data)
    digests = {packed(tmp_path / "out", ("", tmp_path / "a")).digest for _ in range(3)}
    assert len(digests) == 1
    assert members(tmp_path / "out")["big"].size == len(data)


def test_names_are_sorted_and_times_one(tmp_path: Path) -> None:
    packed(tmp_path / "out", ("", tree(tmp_path / "a", NAMES)))
    found = members(tmp_path / "out")
    assert {member.mtime for member in found.values()} == {EPOCH}
    assert [name for name in found if name.startswith("usr/")] == [
        "usr/bin",
        "usr/bin/tool",
        "usr/lib",
        "usr/lib/a.so",
        "usr/lib/b.so",
    ]


def test_pieces_lie_under_their_prefixes_and_once(tmp_path: Path) -> None:
    """With base/host each folder of / has an overlay of its own, and the overlay of / shows their mount points."""
    root = tree(tmp_path / "root", ["srv/page", "usr/hidden"])
    usr, local = tree(tmp_path / "usr", ["bin/tool"]), tree(tmp_path / "local", ["app/main"])
    (tmp_path / "etc").mkdir()
    packed(tmp_path / "out", ("usr", usr), ("", root), ("opt/app", local), ("etc", tmp_path / "etc"))
    assert list(members(tmp_path / "out")) == [
        *("srv", "srv/page"),
        *("opt", "opt/app", "opt/app/app", "opt/app/app/main"),
        *("usr", "usr/bin", "usr/bin/tool"),
    ]


CACHES = [
    *("tmp/x", "run/x", "proc/1", "sys/x", "dev/null", "var/tmp/x", "root/.cache/pip/x", "home/picloud/.cache/x"),
    *("var/log/apt/history.log", "var/lib/apt/lists/x", "var/cache/apt/archives/x.deb", "var/cache/apt/pkgcache.bin"),
    *("root/.bash_history", "etc/passwd-", "etc/.pwd.lock", "var/lib/dpkg/status-old", "var/cache/ldconfig/aux-cache"),
]


def test_caches_histories_and_logs_are_left_out_and_their_folders_kept(tmp_path: Path) -> None:
    packed(tmp_path / "out", ("", tree(tmp_path / "a", [*CACHES, "etc/passwd", "var/lib/dpkg/status", "root/.profile"])))
    found = members(tmp_path / "out")
    assert {name for name, member in found.items() if member.isreg()} == {"etc/passwd", "var/lib/dpkg/status", "root/.profile"}
    assert {"tmp", "run", "proc", "var/log/apt", "var/lib/apt/lists", "var/cache/apt/archives"} <= set(found)
    assert not volatile("etc/shadow", False) and not volatile("usr/lib/tmp/x", False)


def test_links_stay_links(tmp_path: Path) -> None:
    root = tree(tmp_path / "a", ["one"])
    (root / "two").hardlink_to(root / "one")
    (root / "far").symlink_to("/etc/passwd")
    (root / "nowhere").symlink_to("../../x")
    os.mkfifo(root / "pipe")
    packed(tmp_path / "out", ("", root))
    found = members(tmp_path / "out")
    assert found["two"].islnk() and found["two"].linkname == "one" and found["one"].isreg()
    assert (found["far"].linkname, found["nowhere"].linkname) == ("/etc/passwd", "../../x")
    assert found["pipe"].isfifo()


def test_marks_of_the_overlay_and_owners_inside_are_kept(tmp_path: Path) -> None:
    (tmp_path / "a/cleared").mkdir(parents=True)
    os.setxattr(tmp_path / "a/cleared", "user.overlay.opaque", b"y")
    os.setxattr(tmp_path / "a/cleared", "user.overlay.origin", b"here")
    inside("mknod gone c 0 0; touch theirs; chown 33:42 theirs; chmod 4755 theirs", tmp_path / "a")
    packed(tmp_path / "out", ("", tmp_path / "a"))
    found = members(tmp_path / "out")
    assert (found["gone"].type, found["gone"].devmajor, found["gone"].devminor) == (tarfile.CHRTYPE, 0, 0)
    assert found["cleared"].pax_headers == {"SCHILY.xattr.user.overlay.opaque": "y"}
    assert (found["theirs"].uid, found["theirs"].gid, found["theirs"].mode) == (33, 42, 0o4755)
    assert (found["cleared"].uname, found["cleared"].gname) == ("", "")


def test_odd_names_come_through(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in (b"caf\xc3\xa9", b"\xff\xfe", b"a\nb", b"x" * 255):
        (tmp_path / os.fsdecode(b"a/" + name)).write_bytes(b"1")
    packed(tmp_path / "out", ("", tmp_path / "a"))
    assert {os.fsencode(name) for name in members(tmp_path / "out")} == {b"caf\xc3\xa9", b"\xff\xfe", b"a\nb", b"x" * 255}


def test_sockets_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "a/door"))
        assert packed(tmp_path / "out", ("", tmp_path / "a")).files == 0


@pytest.mark.root
def test_a_device_node_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    os.mknod(tmp_path / "a/disk", stat.S_IFBLK | 0o600, os.makedev(8, 0))
    with pytest.raises(BadRequest, match="/disk is a device node"):
        packed(tmp_path / "out", ("", tmp_path / "a"))
    assert not (tmp_path / "out").exists()


def test_compiled_python_stays_valid_beside_its_source_and_goes_without(tmp_path: Path) -> None:
    root = tmp_path / "a"
    root.mkdir()
    for name in ("good", "stale", "gone"):
        (root / f"{name}.py").write_text(f"name = {name!r}\n")
    assert compileall.compile_dir(root, quiet=1)
    (root / "stale.py").write_text("name = 'changed'\n")
    (root / "gone.py").unlink()
    packed(tmp_path / "out", ("", root))
    kept = [Path(name).name.split(".")[0] for name in members(tmp_path / "out") if name.endswith(".pyc")]
    assert kept == ["good"]
    with (tmp_path / "out").open("rb") as stream, zstandard.ZstdDecompressor().stream_reader(stream) as plain:
        with tarfile.open(fileobj=plain, mode="r|") as opened:
            opened.extractall(tmp_path / "b", filter="fully_trusted")
    source = tmp_path / "b/good.py"
    compiled = Path(importlib.util.cache_from_source(str(source))).read_bytes()
    assert int.from_bytes(compiled[8:12], "little") == int(source.stat().st_mtime) == EPOCH


def test_a_file_shorter_than_it_said_does_not_break_the_tar(tmp_path: Path) -> None:
    """Saving does not stop the programs of a set-up job. The kernel's own files say 4096 bytes and have fewer."""
    packed(tmp_path / "out", ("", Path("/sys/devices/virtual/net/lo/statistics")))
    found = members(tmp_path / "out")
    assert {"rx_bytes", "tx_bytes"} <= set(found) and {member.size for member in found.values()} == {4096}


def test_a_folder_that_is_gone_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="gone"):
        packed(tmp_path / "out", ("", tmp_path / "gone"))
    assert not (tmp_path / "out").exists()


SIMPLE = [
    {},
    {"size": 123456, "mode": 0o4755, "uid": 33, "gid": 65535},
    {"type": tarfile.DIRTYPE, "mode": 0o1777},
    {"type": tarfile.SYMTYPE, "linkname": "../x"},
    {"type": tarfile.LNKTYPE, "linkname": "a/b"},
    {"type": tarfile.CHRTYPE, "mode": 0},
    {"type": tarfile.FIFOTYPE},
]


@pytest.mark.parametrize("name", ["a", "n" * 99, "n" * 100, "n" * 101, "a/" * 80, "caf\u00e9", "\udcff"])
@pytest.mark.parametrize("fields", SIMPLE)
def test_headers_are_those_of_pythons_tarfile(name: str, fields: dict[str, object]) -> None:
    info = tarfile.TarInfo(name)
    info.mtime = EPOCH
    for key, value in fields.items():
        setattr(info, key, value)
    assert tar._header(info) == info.tobuf(tarfile.PAX_FORMAT)


def test_what_vanishes_while_it_is_packed_is_left_out(tmp_path: Path) -> None:
    root = tree(tmp_path / "a", ["folder/x", "one", "two", "z"])

    def remove(path: str, folder: bool) -> bool:
        if path == "folder":
            (root / "folder/x").unlink()
            (root / "folder").rmdir()
            (root / "one").unlink()
            (root / "two").unlink()
            (root / "two").symlink_to("z")
        return False

    with (tmp_path / "out").open("wb") as out:
        pack([("", root)], out, skip=remove)
    assert list(members(tmp_path / "out")) == ["z"]


def test_a_file_that_claims_to_be_huge_is_refused_at_once(tmp_path: Path) -> None:
    """A sparse file takes no space where it was made, and all of it where it is unpacked."""
    root = tree(tmp_path / "a", ["one"])
    with (root / "sparse").open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(TooLarge, match="/sparse"):
        layer.pack_layer([("", root)], tmp_path / "out", own_ids(), limit=1 << 30)
    assert not (tmp_path / "out").exists()
