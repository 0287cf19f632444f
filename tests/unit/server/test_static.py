"""Files of the build: as they are, packed where that is the same, and anew where they have changed."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from picloud.server.static import Folder
from picloud.wire.error import NotFound


def test_a_file_its_kind_and_what_is_packed(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "a-1.js").write_bytes(b"let a")
    (tmp_path / "assets" / "a-1.js.gz").write_bytes(gzip.compress(b"let a"))
    (tmp_path / "font.woff2").write_bytes(b"font")
    folder = Folder(tmp_path)
    script, font = folder.file("assets/a-1.js"), folder.file("font.woff2")
    assert (script.data, script.kind) == (b"let a", b"text/javascript; charset=utf-8")
    assert gzip.decompress(script.packed) == b"let a"
    assert (font.data, font.kind, font.packed) == (b"font", b"font/woff2", b"")
    assert folder.file("assets/a-1.js") is script, "it is read once"


@pytest.mark.parametrize(
    "left",
    [gzip.compress(b"another build"), b"no gzip", b"", gzip.compress(b"page")[:-3]],
    ids=["another build", "no gzip", "empty", "cut off"],
)
def test_what_another_build_has_left_is_not_sent(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "index.html").write_bytes(b"page")
    (tmp_path / "index.html.gz").write_bytes(left)
    assert Folder(tmp_path).file("index.html").packed == b""


def test_a_new_build_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    page.write_bytes(b"old")
    folder = Folder(tmp_path)
    old = folder.file("index.html")
    page.write_bytes(b"new")
    os.utime(page, ns=(1, 1))
    new = folder.file("index.html")
    assert (new.data, new.etag != old.etag) == (b"new", True)


def test_what_is_not_there(tmp_path: Path) -> None:
    for name in ("index.html", "assets", "assets/x.js", "x" * 300):
        with pytest.raises(NotFound):
            Folder(tmp_path / "nowhere").file(name)
    (tmp_path / "assets").mkdir()
    with pytest.raises(NotFound):
        Folder(tmp_path).file("assets")
