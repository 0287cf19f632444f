"""Requirement lines, and the caller's own packages."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

import pytest

from cloud._requirements import Current, from_current, parse

GOOD = [
    "numpy",
    "numpy==2.4.6",
    "pandas[excel, plot]>=2,<4",
    "scipy ~= 1.17",
    "zope.interface!=5.0.*",
    'tomli>=2; python_version < "3.11"',
    "torch==2.13.0+cpu",
    "tool @ https://example.org/tool-1.0-py3-none-any.whl",
    "tool @ git+https://example.org/tool.git@main",
    "cowsay==6.1 --hash=sha256:" + "a" * 64,
]


def test_lines_comments_and_continuations() -> None:
    text = "# mine\n\nnumpy  # for arrays\npandas \\\n  >=2\n"
    assert parse(text) == ["numpy", "pandas >=2"]
    assert parse("\n".join(GOOD)) == GOOD


@pytest.mark.parametrize(
    "line", ["-e .", "./here", "-r other.txt", "--index-url http://x", "a b", "numpy==", "$(id)", "-", "x;`id`"]
)
def test_what_cannot_be_built_from_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(ValueError, match="line 2: "):
        parse(f"numpy\n{line}\n")


def installed(site: Path, name: str, version: str, origin: object = None) -> None:
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if origin is not None:
        (folder / "direct_url.json").write_text(json.dumps(origin) if not isinstance(origin, str) else origin)


def found(site: Path, *more: Path) -> Current:
    return from_current(importlib.metadata.distributions(path=[str(site), *map(str, more)]))


def test_the_callers_packages_with_their_versions(tmp_path: Path) -> None:
    installed(tmp_path / "a", "NumPy", "2.4.6")
    installed(tmp_path / "a", "zope.interface", "5.1")
    installed(tmp_path / "a", "pip", "26.0")
    installed(tmp_path / "b", "numpy", "1.0")
    (tmp_path / "a/broken-1.dist-info").mkdir()
    current = found(tmp_path / "a", tmp_path / "b")
    assert current.lines == ["NumPy==2.4.6", "zope.interface==5.1"] and current.notes == []
    assert current.version == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_what_is_not_simply_a_version_is_noted(tmp_path: Path) -> None:
    installed(tmp_path, "mine", "0.1", {"url": "file:///home/me/mine", "dir_info": {"editable": True}})
    installed(tmp_path, "vcs", "1", {"url": "https://git.example.org/vcs", "vcs_info": {"vcs": "git", "commit_id": "abc123"}})
    installed(tmp_path, "private", "1", {"url": "ssh://git@host/p", "vcs_info": {"vcs": "git", "commit_id": "abc123"}})
    installed(tmp_path, "wheel_here", "1.5", {"url": "file:///tmp/wheel_here.whl", "archive_info": {}})
    installed(tmp_path, "web", "2", {"url": "https://example.org/web-2.whl", "archive_info": {}})
    installed(tmp_path, "torch", "2.13.0+cpu")
    installed(tmp_path, "odd", "1", "{not json")
    current = found(tmp_path)
    assert current.lines == [
        "odd==1",
        "torch==2.13.0+cpu",
        "vcs @ git+https://git.example.org/vcs@abc123",
        "web @ https://example.org/web-2.whl",
        "wheel_here==1.5",
    ]
    assert [note.split()[0] for note in sorted(current.notes)] == ["mine", "private", "torch", "vcs", "wheel_here"]
    assert "editable" in next(note for note in current.notes if note.startswith("mine"))
    assert parse("\n".join(current.lines)) == current.lines


def test_of_this_very_interpreter() -> None:
    current = from_current()
    assert any(line.startswith("msgspec==") for line in current.lines)
    assert not any(line.lower().startswith(("picloud", "pip=")) for line in current.lines)
