"""The shelf of layers: whole or not there, whatever arrives, whoever races, whoever dies."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from picloud.sandbox import userns
from picloud.sandbox.layer import DEEP, Layers
from picloud.wire.error import BadRequest, CloudException, SetupError, Unavailable
from tests.unit.sandbox.trees import copy_of, inside, left, packed, tar_of

PATIENCE = 20.0


def tree(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def shelf(tmp_path: Path) -> Layers:
    return Layers(tmp_path / "layers")


def put(layers: Layers, data: bytes, tmp_path: Path) -> Path:
    """Have a layer of these bytes unpacked."""
    file = tmp_path / "made.zst"
    file.write_bytes(data)
    return layers.fetch(hashlib.sha256(data).hexdigest(), copy_of(file))


def test_what_was_packed_comes_out_and_packs_the_same_again(tmp_path: Path) -> None:
    root = tree(tmp_path / "a", one="1", two="2" * 3_000_000)
    (root / "three").hardlink_to(root / "one")
    (root / "link").symlink_to("/etc/shadow")
    inside("mkdir -m 2775 d; chown 7:8 d; mknod d/gone c 0 0; touch d/f; chown 65534:100 d/f; chmod 4750 d/f", root)
    os.mkfifo(root / "pipe")
    (root / "cleared").mkdir()
    os.setxattr(root / "cleared", "user.overlay.opaque", b"y")
    first = packed(tmp_path / "out", ("", root))
    place = shelf(tmp_path).fetch(first.digest, copy_of(tmp_path / "out"))
    assert place.name == first.digest and (place / "two").read_text() == "2" * 3_000_000
    assert inside("stat -c '%u %g %a' d d/f", place).splitlines() == ["7 8 2775", "65534 100 4750"]
    assert (place / "three").samefile(place / "one") and os.readlink(place / "link") == "/etc/shadow"
    assert stat.S_ISCHR((place / "d/gone").lstat().st_mode) and stat.S_ISFIFO((place / "pipe").lstat().st_mode)
    assert packed(tmp_path / "again", ("", place)) == first
    assert left(place.parent) == [first.digest]


def test_capabilities_of_files_survive(tmp_path: Path) -> None:
    root = tree(tmp_path / "a", ping="x")
    setcap = "import os; os.setxattr('ping', 'security.capability', bytes.fromhex('0100000200200000000000000000000000000000'))"
    inside(f'{sys.executable} -c "{setcap}"', root) if os.geteuid() == 0 else None
    first = packed(tmp_path / "out", ("", root))
    place = shelf(tmp_path).fetch(first.digest, copy_of(tmp_path / "out"))
    assert os.listxattr(place / "ping") == (["security.capability"] if os.geteuid() == 0 else [])


def test_a_layer_is_downloaded_once_and_not_again(tmp_path: Path) -> None:
    first = packed(tmp_path / "out", ("", tree(tmp_path / "a", one="1")))
    asked: list[str] = []

    def download(digest: str, place: Path) -> None:
        asked.append(digest)
        shutil.copyfile(tmp_path / "out", place)

    layers = shelf(tmp_path)
    assert layers.path(first.digest) is None
    threads = [threading.Thread(target=layers.fetch, args=(first.digest, download)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert asked == [first.digest]
    assert layers.path(first.digest) == layers.fetch(first.digest, download)


FETCH = """
import pathlib, shutil, sys
from picloud.sandbox.layer import Layers
def download(digest, place):
    with open(sys.argv[4], "a") as told:
        told.write("x")
    shutil.copyfile(sys.argv[3], place)
print(Layers(pathlib.Path(sys.argv[1])).fetch(sys.argv[2], download))
"""


def test_processes_that_race_for_a_layer_unpack_it_once(tmp_path: Path) -> None:
    first = packed(tmp_path / "out", ("", tree(tmp_path / "a", **{f"f{i}": "x" * 1000 for i in range(500)})))
    words = [sys.executable, "-c", FETCH, str(tmp_path / "layers"), first.digest, str(tmp_path / "out"), str(tmp_path / "told")]
    racers = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    places = {racer.communicate(timeout=PATIENCE)[0].strip() for racer in racers}
    assert places == {str(tmp_path / "layers" / first.digest)}
    assert (tmp_path / "told").read_text() == "x"
    assert len(os.listdir(places.pop())) == 500


@pytest.mark.parametrize("damage", ["short", "empty", "other", "longer", "flipped"])
def test_a_broken_download_leaves_nothing_and_can_be_repeated(tmp_path: Path, damage: str) -> None:
    first = packed(tmp_path / "out", ("", tree(tmp_path / "a", one="1" * 50_000, two=os.urandom(50_000).hex())))
    data = (tmp_path / "out").read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    wrong = {"short": data[:-200], "empty": b"", "other": b"no layer", "longer": data + b"x", "flipped": flipped}[damage]
    layers = shelf(tmp_path)
    with pytest.raises(Unavailable, match=first.digest[:12]):
        layers.fetch(first.digest, lambda digest, place: place.write_bytes(wrong) and None)
    assert left(layers.folder) == []
    assert layers.fetch(first.digest, copy_of(tmp_path / "out")).is_dir()


def test_a_download_that_fails_says_why(tmp_path: Path) -> None:
    def download(digest: str, place: Path) -> None:
        place.write_bytes(b"half")
        raise Unavailable("no connection")

    layers = shelf(tmp_path)
    with pytest.raises(Unavailable, match="no connection"):
        layers.fetch("0" * 64, download)
    assert left(layers.folder) == []


KILLED = """
import pathlib, sys, time
from picloud.sandbox import layer
def download(digest, place):
    place.write_bytes(pathlib.Path(sys.argv[3]).read_bytes()[:100])
    if sys.argv[4] == "download":
        print("now", flush=True)
        time.sleep(600)
def helper(*words, **options):
    pathlib.Path(options["place"]).mkdir()
    (pathlib.Path(options["place"]) / "half").write_text("x")
    print("now", flush=True)
    time.sleep(600)
layer.helper = helper
layer.Layers(pathlib.Path(sys.argv[1])).fetch(sys.argv[2], download)
"""


@pytest.mark.parametrize("step", ["download", "unpack"])
def test_a_process_killed_in_the_middle_leaves_no_half_layer(tmp_path: Path, step: str) -> None:
    first = packed(tmp_path / "out", ("", tree(tmp_path / "a", one="1" * 5000)))
    words = [sys.executable, "-c", KILLED, str(tmp_path / "layers"), first.digest, str(tmp_path / "out"), step]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "now\n"
        layers = shelf(tmp_path)
        assert layers.path(first.digest) is None
        assert layers.sweep([]) == [] and left(layers.folder)  # in use: nobody else's to clear
        process.send_signal(signal.SIGKILL)
    assert layers.path(first.digest) is None
    layers.sweep([])
    assert left(layers.folder) == []
    place = layers.fetch(first.digest, copy_of(tmp_path / "out"))
    assert os.listdir(place) == ["one"]


def test_the_helper_of_a_killed_process_keeps_the_lock(tmp_path: Path) -> None:
    """Else another would clear the folder that it still writes to."""
    layers = shelf(tmp_path)
    read, write = os.pipe()
    script = f"import os, time; os.read({read}, 1)"
    lock = layers._lock("1" * 64, 2)
    assert lock is not None
    child = subprocess.Popen([sys.executable, "-c", script], pass_fds=[read, lock])
    os.close(lock)
    assert layers._lock("1" * 64, 2 | 4) is None
    os.write(write, b"1")
    child.wait(PATIENCE)
    os.close(read)
    os.close(write)
    again = layers._lock("1" * 64, 2 | 4)
    assert again is not None
    os.close(again)


HOSTILE: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "climbs": [("../../evil", {})],
    "climbs within": [("a/../../evil", {})],
    "absolute": [("/etc/evil", {})],
    "disk": [("disk", {"type": tarfile.BLKTYPE, "devmajor": 8, "devminor": 0})],
    "memory": [("mem", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 1})],
    "twice": [("one", {}), ("one", {})],
    "hard link out": [("hard", {"type": tarfile.LNKTYPE, "linkname": "../../../etc/passwd"})],
    "absolute hard link": [("hard", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})],
    "link to nothing": [("hard", {"type": tarfile.LNKTYPE, "linkname": "nothing"})],
    "file as folder": [("one", {}), ("one/two", {})],
    "odd kind": [("one", {"type": b"Q"})],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_layer_is_refused_whole(tmp_path: Path, kind: str) -> None:
    layers = shelf(tmp_path)
    with pytest.raises(CloudException) as refusal:
        put(layers, tar_of(("fine", {}), *HOSTILE[kind], data=b"x"), tmp_path)
    assert not isinstance(refusal.value, SetupError), refusal.value
    assert left(layers.folder) == []
    assert not list(tmp_path.rglob("evil"))


def test_links_lead_nowhere_while_it_is_laid_out(tmp_path: Path) -> None:
    """A link to a folder of the machine, and a file below it: the file lands in the layer, or not at all."""
    (tmp_path / "target").mkdir()
    layers = shelf(tmp_path)
    links = [
        ("way", {"type": tarfile.SYMTYPE, "linkname": str(tmp_path / "target")}),
        ("up", {"type": tarfile.SYMTYPE, "linkname": "../.."}),
    ]
    for name in ("way/evil", "up/evil"):
        try:
            place = put(layers, tar_of(*links, (name, {}), data=b"x"), tmp_path)
        except CloudException:
            continue
        assert (place / "evil").exists()
    assert os.listdir(tmp_path / "target") == [] and not (tmp_path / "evil").exists()


def test_odd_digests_are_refused(tmp_path: Path) -> None:
    layers = shelf(tmp_path)
    for digest in ("", "../x", "A" * 64, "0" * 63, "0" * 64 + "\n"):
        with pytest.raises(BadRequest, match="no digest"):
            layers.path(digest)


def test_sweep_keeps_what_is_wanted_and_what_is_held(tmp_path: Path) -> None:
    layers = shelf(tmp_path)
    made = {name: packed(tmp_path / name, ("", tree(tmp_path / f"t{name}", one=name))).digest for name in ("a", "b", "c")}
    for name, digest in made.items():
        layers.fetch(digest, copy_of(tmp_path / name))
    with layers.take([made["b"]], copy_of(tmp_path / "b")) as stack:
        assert layers.sweep([made["a"]]) == [made["c"]]
        assert stack.folders[0].is_dir()
    assert Layers(layers.folder).sweep([made["a"]]) == [made["b"]]
    assert left(layers.folder) == [made["a"]]
    assert layers.fetch(made["b"], copy_of(tmp_path / "b")).is_dir()


def numbered(tmp_path: Path, count: int) -> list[str]:
    digests = []
    for number in range(count):
        root = tree(tmp_path / f"t{number}", same=str(number), **{f"own{number}": "x"})
        (root / "folder").mkdir()
        (root / f"folder/{number}").write_text("x")
        if number == 3:
            inside("rm folder/3; rmdir folder; mknod folder c 0 0; mknod own1 c 0 0; mknod base c 0 0", root)
        if number == 6:
            os.setxattr(root / "folder", "user.overlay.opaque", b"y")
        digest = packed(tmp_path / "out", ("", root)).digest
        (tmp_path / "out").rename(tmp_path / digest)
        digests.append(digest)
    return digests


def test_many_layers_become_few_and_show_the_same(tmp_path: Path) -> None:
    digests = numbered(tmp_path, 14)
    layers = shelf(tmp_path)
    with layers.take(digests, lambda digest, place: shutil.copyfile(tmp_path / digest, place) and None) as stack:
        assert len(stack.folders) <= DEEP
        assert stack.folders[0].name == digests[0] and stack.folders[-1].name == digests[-1]
        merged = stack.folders[1]
        assert merged.name not in digests
        assert (merged / "same").read_text() == "8"
        assert stat.S_ISCHR((merged / "own1").lstat().st_mode) and stat.S_ISCHR((merged / "base").lstat().st_mode)
        assert sorted(os.listdir(merged / "folder")) == ["6", "7", "8"]
        assert os.getxattr(merged / "folder", "user.overlay.opaque") == b"y"
        all_of_them = [layers.fetch(digest, copy_of(tmp_path / digest)) for digest in digests]
        assert shown(all_of_them, tmp_path) == shown(stack.folders, tmp_path)
        assert sorted(layers.sweep(digests[:1])) == sorted(digests[1:9])
        assert (merged / "own8").read_text() == "x"
    assert [name for name in left(layers.folder) if name.startswith(".")] == []


def shown(folders: list[Path], tmp_path: Path) -> str:
    """What the kernel shows of layers over a base: names, kinds, modes, sizes."""
    base = tmp_path / "base"
    if not base.exists():
        tree(base, base="x", own1="x", deep="x")
        (base / "folder").mkdir()
        (base / "folder/of the base").write_text("x")
    lower = ":".join(str(folder) for folder in [*reversed(folders), base])
    for name in "upper", "work", "merged":
        (tmp_path / name).mkdir(exist_ok=True)
    options = f"lowerdir={lower},upperdir=upper,workdir=work,userxattr"
    script = (
        f"mount -t overlay -o {options} none merged; cd merged; find . -type d -printf '%p %m\\n' -o -printf '%p %m %s\\n' | sort"
    )
    return inside(f'unshare --mount sh -euc "{script}"', tmp_path)


def test_an_opaque_folder_appears_over_what_was_removed(tmp_path: Path) -> None:
    """Layer 4 makes the folder that layer 3 removed: what the base has in it must not come back."""
    digests = numbered(tmp_path, 12)
    layers = shelf(tmp_path)
    with layers.take(digests, lambda digest, place: shutil.copyfile(tmp_path / digest, place) and None) as stack:
        assert os.getxattr(stack.folders[1] / "folder", "user.overlay.opaque") == b"y"


FULL = """
import pathlib, sys
from picloud.sandbox import layer
from picloud.wire.error import StorageFull
small, out, digest = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
layers = layer.Layers(small / "layers")
for attempt in (lambda: layers.fetch(digest, lambda digest, place: place.symlink_to(out)),
                lambda: layer.pack_layer([("", out.parent)], small / "out", None)):
    try:
        attempt()
    except StorageFull:
        print("full", sorted(path.name for path in small.rglob("*") if ".lock-" not in path.name))
"""


@pytest.mark.root
def test_a_full_disk_is_said_and_nothing_of_it_stays(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "big").mkdir()
    (tmp_path / "big/data").write_bytes(os.urandom(3_000_000))
    digest = packed(tmp_path / "big/out", ("", tmp_path / "big")).digest
    (tmp_path / "full.py").write_text(FULL)
    python = f"{sys.executable} full.py small {tmp_path}/big/out {digest}"
    said = inside(f'unshare --mount sh -euc "mount -t tmpfs -o size=1m none small; {python}"', tmp_path)
    assert said.splitlines() == ["full ['layers']"] * 2


def test_with_one_id_all_files_become_ours(tmp_path: Path) -> None:
    """Where a user has no subordinate ids."""
    made = tar_of(("etc", {"type": tarfile.DIRTYPE, "mode": 0o755}), ("etc/x", {"uid": 33, "gid": 42, "mode": 0o4644}), data=b"x")
    (tmp_path / "tar").write_bytes(made)
    alone = Layers(tmp_path / "layers", userns.Ids(os.geteuid(), 1, False, os.getegid()))
    place = alone.fetch(hashlib.sha256(made).hexdigest(), copy_of(tmp_path / "tar"))
    status = (place / "etc/x").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (os.geteuid(), os.getegid(), 0o4644)
    alone.sweep([])
    assert left(alone.folder) == []
