"""What kinds of workers show, and whose interpreter base/host brings along."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from picloud.server import images
from picloud.server.check import PYTHON
from picloud.settings import Settings
from picloud.wire.error import BadRequest
from picloud.wire.image import VENV, Image


@pytest.fixture
def venv(tmp_path: Path) -> list[str]:
    """Another interpreter of this machine: executable, prefix, base prefix."""
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/pyvenv.cfg").touch()
    (tmp_path / "venv/bin/python").symlink_to(sys.executable)
    return [str(tmp_path / "venv/bin/python"), str(tmp_path / "venv"), sys.base_prefix]


def judge(alone: bool = True, *roots: str) -> images.Interpreters:
    made = images.Interpreters(Settings(interpreters=list(roots)))
    made.alone = alone
    return made


def test_the_servers_own_needs_no_words() -> None:
    assert judge().host(images.OWN, PYTHON) == ""
    assert judge().host([], PYTHON) == ""
    own = images.base_host("")
    assert (own.python, own.version, own.host) == (sys.executable, PYTHON, True)
    assert all(any(path.startswith(folder) for folder in own.folders) for path in images.OWN[1:])


def test_another_one_is_shown_to_the_only_account(venv: list[str]) -> None:
    text = judge().host(venv, PYTHON)
    seen = images.base_host(text)
    assert (seen.python, seen.version) == (venv[0], PYTHON)
    assert set(venv[1:]) == set(seen.folders)
    assert judge().host(venv, PYTHON) == text
    assert seen.digest != images.base_host("").digest


def test_with_several_accounts_only_below_listed_folders(venv: list[str], tmp_path: Path) -> None:
    assert judge(False).host(venv, PYTHON) == ""
    assert judge(False, str(tmp_path)).host(venv, PYTHON) == ""  # its base prefix lies elsewhere
    roots = [str(tmp_path), str(Path(sys.base_prefix).resolve().parent), str(Path(sys.executable).resolve().parent)]
    assert judge(False, *roots).host(venv, PYTHON).startswith("h")
    assert judge(False, str(tmp_path) + "x").host(venv, PYTHON) == ""


def test_what_is_not_there_is_not_shown(tmp_path: Path) -> None:
    assert judge().host([str(tmp_path / "python"), str(tmp_path), str(tmp_path)], PYTHON) == ""
    (tmp_path / "python").symlink_to(sys.executable)
    assert judge().host([str(tmp_path / "python"), str(tmp_path), str(tmp_path)], PYTHON) == ""  # of another version, if any
    assert judge().host(["python", "venv", "usr"], PYTHON) == ""
    for bad in (["/x"], ["/x", "/y", "/z\0"], ["/x" * 3000, "/", "/"]):
        with pytest.raises(BadRequest):
            judge().host(bad, PYTHON)


def test_a_folder_within_another_is_shown_once(tmp_path: Path) -> None:
    (tmp_path / "base/venv/bin").mkdir(parents=True)
    (tmp_path / f"base/lib/python{PYTHON}").mkdir(parents=True)
    (tmp_path / "base/venv/bin/python").symlink_to(sys.executable)
    paths = [str(tmp_path / "base/venv/bin/python"), str(tmp_path / "base/venv"), str(tmp_path / "base")]
    assert images.base_host(judge().host(paths, PYTHON)).folders == [str(tmp_path / "base")]


def test_a_setup_job_is_prepared_for_pip(venv: list[str]) -> None:
    script = images.preparation(images.base_host(judge().host(venv, PYTHON))).decode()
    assert f"-m venv --without-pip --system-site-packages {VENV}" in script
    assert f"site.addsitedir('{venv[1]}/lib/python{PYTHON}/site-packages')" in script.replace("'\"'\"'", "'")
    assert images.preparation(Image(host=False)) == b"exit 0\n"
