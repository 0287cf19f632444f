"""Container images: layouts, archives, docker's older ones; damaged and hostile ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from picloud.image import base, oci
from picloud.image.base import Base
from picloud.image.oci import MACHINES
from picloud.sandbox.layer import Layers
from picloud.wire.error import BadRequest
from tests.unit.sandbox.trees import copy_of

Member = tuple[str, bytes | str | None]
"""(name, contents | where a link leads | None for a folder)"""
OWN = MACHINES.get(platform.machine(), platform.machine())
LOWER: list[Member] = [
    ("etc/", None),
    ("etc/os-release", b'PRETTY_NAME="Tiny 1.0"\n'),
    ("usr/bin/python3.12", b"#!"),
    ("usr/bin/python3", "python3.12"),
    ("bin", "usr/bin"),
    ("srv/old", b"old"),
    ("srv/kept", b"kept"),
    ("data/a", b"a"),
    ("data/b", b"b"),
    ("swap", b"a file"),
]
UPPER: list[Member] = [
    ("srv/.wh.old", b""),
    ("data/.wh..wh..opq", b""),
    ("data/c", b"c"),
    ("swap", None),
    ("swap/inner", b"a folder now"),
    ("bin/tool", b"through the link"),
    ("etc/os-release", b'PRETTY_NAME="Tiny 2.0"\n'),
]


def plain(members: list[Member]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name.rstrip("/"))
            info.mode = 0o755
            if data is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
            else:
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    return out.getvalue()


def blob(folder: Path, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    (folder / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    (folder / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def manifest(folder: Path, layers: list[bytes], architecture: str = OWN) -> dict[str, Any]:
    config = {"architecture": architecture, "os": "linux", "config": {"Env": ["A=1", "PATH=/opt/bin:/usr/bin"]}}
    said = {"config": blob(folder, json.dumps(config).encode()), "layers": [blob(folder, data) for data in layers]}
    return blob(folder, json.dumps(said).encode()) | {"platform": {"os": "linux", "architecture": architecture}}


def index(folder: Path, *offers: dict[str, Any]) -> Path:
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"manifests": offers}))
    return folder


def named(offer: dict[str, Any], tag: str) -> dict[str, Any]:
    return offer | {"annotations": {oci.TAG: tag}}


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    folder = tmp_path / "image"
    folder.mkdir()
    return index(folder, manifest(folder, [gzip.compress(plain(LOWER)), zstandard.compress(plain(UPPER))]))


def tarred(folder: Path, out: Path) -> Path:
    with tarfile.open(out, "w:gz" if out.suffix == ".gz" else "w") as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, path.relative_to(folder), recursive=False)
    return out


def loaded(source: Path, tmp_path: Path, **options: Any) -> tuple[Base, Path]:
    found = oci.load(source, tmp_path / "base.zst", **options)
    return found, Layers(tmp_path / "layers").fetch(found.digest, copy_of(tmp_path / "base.zst"))


def test_layers_are_laid_over_each_other_and_marks_obeyed(layout: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    found, place = loaded(layout, tmp_path, progress=lines.append)
    assert sorted(path.name for path in (place / "srv").iterdir()) == ["kept"]
    assert sorted(path.name for path in (place / "data").iterdir()) == ["c"]
    assert (place / "swap/inner").read_text() == "a folder now"
    assert (place / "bin").is_symlink() and (place / "usr/bin/tool").read_text() == "through the link"
    assert {"proc", "dev", "tmp", "home"} <= {path.name for path in place.iterdir()}
    assert (found.distro, found.python, found.version) == ("Tiny 2.0", "/usr/bin/python3", "3.12")
    assert found.path == "/opt/bin:/usr/bin" and lines and not list(tmp_path.glob(".*"))


def test_an_archive_gives_the_same_as_the_folder(layout: Path, tmp_path: Path) -> None:
    found, _ = loaded(layout, tmp_path)
    for name in "image.tar", "image.tar.gz":
        assert loaded(tarred(layout, tmp_path / name), tmp_path)[0].digest == found.digest


def test_what_docker_saved_before_it_knew_layouts(layout: Path, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    tars = [plain(LOWER), plain(UPPER)]
    config = {
        "architecture": OWN,
        "os": "linux",
        "rootfs": {"diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in tars]},
    }
    (folder / "config.json").write_text(json.dumps(config))
    names = [f"{number}" * 64 + "/layer.tar" for number in range(2)]
    for name, data in zip(names, tars, strict=True):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps([{"Config": "config.json", "RepoTags": ["tiny:1"], "Layers": names}]))
    found, _ = loaded(tarred(folder, tmp_path / "saved.tar"), tmp_path, tag="tiny:1")
    assert found.digest == loaded(layout, tmp_path)[0].digest
    (folder / names[1]).write_bytes(plain(UPPER[:2]))
    with pytest.raises(BadRequest, match="damaged"):
        loaded(tarred(folder, tmp_path / "saved.tar"), tmp_path)


def test_one_of_several_is_chosen_by_tag_and_processor(tmp_path: Path) -> None:
    folder = tmp_path / "image"
    folder.mkdir()
    one, two = manifest(folder, [plain(LOWER)]), manifest(folder, [plain(UPPER)])
    other = manifest(folder, [plain(LOWER[:1])], "s390x" if OWN != "s390x" else "amd64")
    nested = blob(folder, json.dumps({"manifests": [other, two]}).encode())
    index(folder, named(one, "one"), named(nested, "two"))
    assert loaded(folder, tmp_path, tag="one")[0].distro == "Tiny 1.0"
    assert loaded(folder, tmp_path, tag="two")[0].distro == "Tiny 2.0"
    for tag, said in ("", "2 images"), ("three", "no image 'three'"):
        with pytest.raises(BadRequest, match=said):
            loaded(folder, tmp_path, tag=tag)
    with pytest.raises(BadRequest, match="0 images"):
        loaded(index(folder, other), tmp_path)


def remove_layer(folder: Path) -> None:
    largest = max((folder / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest.unlink()


def cut_layer(folder: Path) -> None:
    largest = max((folder / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-5])


def endless(folder: Path) -> None:
    (folder / "index.json").write_text('{"manifests": [{"digest": "sha256:../../../../etc/passwd"}]}')


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a layer is missing": remove_layer,
    "a layer is cut": cut_layer,
    "a digest climbs": endless,
    "no index": lambda folder: (folder / "index.json").unlink(),
    "no JSON": lambda folder: (folder / "index.json").write_text("{"),
    "links out": lambda folder: (
        shutil.rmtree(folder / "blobs/sha256"),
        (folder / "blobs/sha256").mkdir(),
        [(folder / "blobs/sha256" / (digit * 64)).symlink_to("/etc/passwd") for digit in "ab"],
        (folder / "index.json").write_text(json.dumps({"manifests": [{"digest": "sha256:" + "a" * 64}]})),
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_image_is_refused_and_nothing_is_left(layout: Path, tmp_path: Path, damage: str) -> None:
    DAMAGE[damage](layout)
    with pytest.raises(BadRequest):
        loaded(layout, tmp_path)
    assert not (tmp_path / "base.zst").exists() and not list(tmp_path.glob(".*"))


HOSTILE: list[list[Member]] = [
    [("../../evil", b"x")],
    [("/evil", b"x")],
    [("way", "/tmp"), ("way/evil", b"x")],
    [("way", "../../.."), ("way/.wh.kept", b"")],
    [("..", None)],
    [(".wh...", b"")],
    [(".wh..", b"")],
    [("srv/.wh.", b"")],
]


@pytest.mark.parametrize("members", HOSTILE)
def test_nothing_outside_is_touched(tmp_path: Path, members: list[Member]) -> None:
    folder = tmp_path / "image"
    folder.mkdir()
    (tmp_path / "kept").write_text("x")
    index(folder, manifest(folder, [plain(LOWER), plain(members)]))
    try:
        loaded(folder, tmp_path)
    except BadRequest:
        assert not (tmp_path / "base.zst").exists()
    assert (tmp_path / "kept").exists() and not (tmp_path / "evil").exists() and not Path("/tmp/evil").exists()


def test_no_image_at_all(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no tar")
    for name in "file", "missing":
        with pytest.raises(BadRequest):
            oci.load(tmp_path / name, tmp_path / "out")


def test_facts_need_no_python(tmp_path: Path) -> None:
    assert base.facts(tmp_path) == {"distro": "", "python": "", "version": ""}
