"""Lists of contents, read from layers the way the kernel would show them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from picloud.image.packages import Package, View, packages

STATUS = """Package: bash
Status: install ok installed
Version: 5.2.15-2+b7
Description: a shell
 Version: not this one

Package: gone
Status: deinstall ok config-files
Version: 1

Package: never
Status: unknown ok not-installed
Version: 1
"""


def base(tmp_path: Path) -> Path:
    root = tmp_path / "base"
    for name, text in {
        "var/lib/dpkg/status": STATUS,
        "usr/lib/python3/dist-packages/PyYAML-6.0.egg-info": "",
        "usr/lib/python3/dist-packages/old_tool-1.0-py3.11.egg-info/PKG-INFO": "",
        "opt/picloud/venv/lib/python3.11/site-packages/numpy-2.4.6.dist-info/METADATA": "",
        "opt/picloud/venv/lib/python3.11/site-packages/~umpy-2.0.dist-info/METADATA": "",
        "usr/lib/R/library/stats/DESCRIPTION": "Package: stats\nVersion: 4.2.2\n",
        "usr/share/rubygems-integration/all/specifications/rake-13.0.6.gemspec": "",
        "usr/lib/node_modules/npm/package.json": '{"name": "npm", "version": "10.1.0"}',
        "usr/lib/node_modules/@types/node/package.json": '{"name": "@types/node", "version": "22.0.0"}',
        "usr/lib/node_modules/broken/package.json": "{",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_every_kind_is_listed_with_versions(tmp_path: Path) -> None:
    assert packages([base(tmp_path)]) == [
        Package("debian", "bash", "5.2.15-2+b7"),
        Package("node", "@types/node", "22.0.0"),
        Package("node", "npm", "10.1.0"),
        Package("python", "numpy", "2.4.6"),
        Package("python", "old-tool", "1.0"),
        Package("python", "pyyaml", "6.0"),
        Package("r", "stats", "4.2.2"),
        Package("ruby", "rake", "13.0.6"),
    ]


def test_upper_layers_add_hide_and_replace(tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    sites = upper / "opt/picloud/venv/lib/python3.11/site-packages"
    (sites / "scipy-1.17.1.dist-info").mkdir(parents=True)
    (sites / "numpy-2.5.0.dist-info").mkdir()
    (upper / "usr/lib/R/library").mkdir(parents=True)
    os.setxattr(upper / "usr/lib/R/library", "user.overlay.opaque", b"y")
    (upper / "var/lib/dpkg").mkdir(parents=True)
    (upper / "var/lib/dpkg/status").write_text("Package: git\nStatus: install ok installed\nVersion: 1:2.39\n")
    found = {(package.name, package.version) for package in packages([base(tmp_path), upper])}
    assert {("scipy", "1.17.1"), ("numpy", "2.5.0"), ("git", "1:2.39")} <= found
    assert not {"stats", "bash"} & {name for name, _ in found}


@pytest.mark.root
def test_what_was_removed_is_not_there(tmp_path: Path) -> None:
    gone = tmp_path / "upper/opt/picloud/venv/lib/python3.11/site-packages"
    gone.mkdir(parents=True)
    os.mknod(gone / "numpy-2.4.6.dist-info", stat.S_IFCHR, 0)
    (tmp_path / "upper/usr").mkdir()
    os.mknod(tmp_path / "upper/usr/lib", stat.S_IFCHR, 0)
    assert {package.kind for package in packages([base(tmp_path), tmp_path / "upper"])} == {"debian", "ruby"}


def test_an_image_cannot_point_at_our_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(STATUS)
    (tmp_path / "image/var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "image/var/lib/dpkg/status").symlink_to(tmp_path / "secret")
    (tmp_path / "image/usr").symlink_to("/usr")
    assert packages([tmp_path / "image"]) == []
    assert View([tmp_path / "image"]).names("usr/lib") == []


def test_this_machine_and_the_callers_interpreter(tmp_path: Path) -> None:
    (tmp_path / "site/mine-1.2.dist-info").mkdir(parents=True)
    found = packages([Path("/")], [tmp_path / "site", tmp_path / "not there"])
    assert Package("python", "mine", "1.2") in found
    assert not Path("/var/lib/dpkg/status").exists() or any(package.name == "libc6" for package in found)
