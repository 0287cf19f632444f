"""Recipes: what is refused, and what their scripts leave, twice the same."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from picloud.image import recipe
from picloud.image.base import VENV
from picloud.image.recipe import Lock, Recipe
from picloud.sandbox.pack import Packed
from picloud.wire.error import BadRequest
from tests.unit.sandbox.trees import packed


@pytest.mark.parametrize(
    "bad",
    [
        Recipe(apt=["git; id"]),
        Recipe(apt=["-y"]),
        Recipe(pip=["-e ."]),
        Recipe(run=[" "]),
        Recipe(run=["a\0b"]),
        Recipe(apt=[""]),
    ],
)
def test_what_is_no_package_or_command_is_refused(bad: Recipe) -> None:
    with pytest.raises(BadRequest):
        recipe.script(bad, python="/usr/bin/python3")


def test_python_packages_need_a_python() -> None:
    with pytest.raises(BadRequest, match="no Python"):
        recipe.script(Recipe(pip=["numpy"]), python="")
    assert "venv" in recipe.script(Recipe(apt=["git"]), python="")  # commands find one that is there already


def test_the_lock_replaces_what_was_left_open() -> None:
    asked = Recipe(apt=["git", "curl=7"], pip=["numpy>=2"], run=["true"])
    lock = Lock(apt=["git=1:2.39", "curl=7.88", "bash=5"], pip=["numpy==2.4.6", "more==1"])
    assert recipe.locked(asked, lock) == Recipe(
        apt=["git=1:2.39", "curl=7.88"], pip=["numpy==2.4.6", "more==1"], run=["true"], exact=True
    )
    assert recipe.locked(Recipe(run=["true"]), lock) == Recipe(run=["true"])


def wheel(folder: Path, name: str, version: str) -> None:
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", f"version = {version!r}\nnames = {{'a', 'b', 'c'}}\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")


def built(tmp_path: Path, asked: Recipe, chain: list[str]) -> tuple[Packed, Path]:
    """Run a recipe's script as root, /opt and /tmp being folders of ours; what it left in /opt, packed."""
    opt, tmp = tmp_path / "opt", tmp_path / "tmp"
    for folder in opt, tmp:
        subprocess.run(["rm", "-rf", folder], check=True)
        folder.mkdir()
    wheels = f"PIP_NO_INDEX=1 PIP_FIND_LINKS={tmp_path / 'wheels'}"
    script = tmp_path / "script.sh"
    script.write_text(recipe.script(asked, python=sys.executable, chain=chain))
    # /tmp last: this test's own folders lie in it
    mounts = f"mount --bind {opt} /opt; exec 3<{script}; mount --bind {tmp_path} /mnt; "
    mounts += f"mount --bind {tmp} /tmp; mkdir -p {tmp_path}; mount --bind /mnt {tmp_path}"
    words = ["unshare", "--mount", "sh", "-euc", f"{mounts}; {wheels} sh /dev/fd/3"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    return packed(out, ("opt", opt)), opt


@pytest.mark.root
@pytest.mark.slow
def test_building_again_gives_the_same_bytes(tmp_path: Path) -> None:
    """Also where the interpreter is itself a virtual environment, whose packages the new one sees."""
    wheel(tmp_path / "wheels", "cow", "1.0")
    chain = recipe.own_chain()
    assert bool(chain) == (sys.prefix != sys.base_prefix)
    asked = Recipe(pip=["cow"], run=[f"{VENV}/bin/python -c 'import cow, msgspec; print(cow.version)' > /opt/said"])
    first, opt = built(tmp_path, asked, chain)
    assert (opt / "said").read_text() == "1.0\n"
    lock = recipe.read_lock([tmp_path / "root"]) if (tmp_path / "root").exists() else _lock(opt, tmp_path)
    assert lock.pip == ["cow==1.0"]
    wheel(tmp_path / "wheels", "cow", "2.0")
    again, _ = built(tmp_path, recipe.locked(asked, lock), chain)
    assert again.digest == first.digest


def _lock(opt: Path, tmp_path: Path) -> Lock:
    os.mkdir(tmp_path / "root")
    opt.rename(tmp_path / "root/opt")
    try:
        return recipe.read_lock([tmp_path / "root"])
    finally:
        (tmp_path / "root/opt").rename(opt)
