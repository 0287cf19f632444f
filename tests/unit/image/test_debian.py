"""Root file systems of Debian: which mirrors, which settings, and one that is really built."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from picloud.image import debian
from picloud.image.packages import packages
from picloud.sandbox import userns
from picloud.sandbox.layer import Layers
from picloud.sandbox.userns import Ids
from picloud.wire.error import BadRequest, SetupError
from tests.bases import bookworm
from tests.unit.sandbox.trees import copy_of, packed

ONE_LINE = """# deb http://old.example.org/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example.org/debian/ bookworm main contrib
deb http://other.example.org/tool stable main
deb http://mirror.example.org/debian-security bookworm-security main
"""
STANZAS = """Types: deb
# a snapshot
URIs: http://mirror.example.org/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example.org/debian-security
Suites: bookworm-security
Components: main
"""


@pytest.mark.parametrize(("name", "text"), [("sources.list", ONE_LINE), ("sources.list.d/debian.sources", STANZAS)])
def test_the_machines_own_mirrors_are_used(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / name).write_text(text)
    assert debian.mirrors(tmp_path) == ("http://mirror.example.org/debian", "http://mirror.example.org/debian-security")


def test_elsewhere_debians_own(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://archive.ubuntu.com/ubuntu noble main\n")
    assert debian.mirrors(tmp_path) == (debian.MIRROR, debian.SECURITY)


def test_releases_have_updates_and_sid_has_none() -> None:
    assert [line.split()[-2] for line in debian.sources("trixie")] == ["trixie", "trixie-updates", "trixie-security"]
    assert [line.split()[-2] for line in debian.sources("sid")] == ["sid"]


def test_pip_inside_uses_indexes_of_the_network_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "https://pypi.example.org/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "file:///opt/pypi https://more.example.org/simple")
    lines = debian.pip_settings().splitlines()
    assert lines[0] == "[global]"
    assert "index-url = https://pypi.example.org/simple" in lines
    assert "extra-index-url = https://more.example.org/simple" in lines


@pytest.mark.parametrize("suite", ["", "-x", "book worm", "../x", "Bookworm", "a;b"])
def test_odd_names_are_refused(tmp_path: Path, suite: str) -> None:
    with pytest.raises(BadRequest, match="no name of a Debian release"):
        debian.build(suite, tmp_path / "out")


def test_without_a_range_of_ids_it_says_what_lacks(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as refusal:
        debian.build("bookworm", tmp_path / "out", ids=Ids(os.geteuid(), 1, False, os.getegid()))
    assert "subuids" in (refusal.value.hint or "")


def test_without_mmdebstrap_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="mmdebstrap is not installed"):
        debian.build("bookworm", tmp_path / "out")


@pytest.mark.slow
def test_a_release_that_is_not_there_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no such release"):
        debian.build("nonesuch", tmp_path / "out")
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_a_base_works_and_lists_its_contents(tmp_path: Path) -> None:
    base, file = bookworm()
    place = Layers(tmp_path / "layers").fetch(base.digest, copy_of(file))
    try:
        assert (base.python, base.version) == ("/usr/bin/python3", "3.11") and "bookworm" in base.distro
        argv = ["chroot", str(place), "/usr/bin/python3", "-c", "import ssl, sqlite3, sys, venv; print(sys.version_info[:2])"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False) if os.geteuid() == 0 else _inside(argv)
        assert done.stdout == "(3, 11)\n", done.stderr
        names = {package.name for package in packages([place])}
        assert {"bash", "python3-venv", "rsync", "ca-certificates"} <= names
        assert not [*place.glob("dev/*"), *place.glob("var/lib/apt/lists/*_*"), *place.glob("tmp/*")]
        assert packed(tmp_path / "again", ("", place)).digest == base.digest
    finally:
        userns.remove_tree(place, userns.ids_for())


def _inside(argv: list[str]) -> subprocess.CompletedProcess[str]:
    done = userns.run(argv, userns.ids_for(), capture_output=True)
    return subprocess.CompletedProcess(argv, done.returncode, done.stdout.decode(), done.stderr.decode())
