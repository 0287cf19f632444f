"""How an environment is built from a base: packages of Debian and PyPI, and commands; and what came of it.

recipe = Recipe(apt=["git"], pip=["numpy"], run=["echo hello > /etc/motd"])
check(recipe)
script(recipe, python="/usr/bin/python3")    for a set-up job, as root inside
lock = read_lock(folders)                    afterwards: the versions that came
locked(recipe, lock)                         the recipe that gives the same again
"""

from __future__ import annotations

import re
import shlex
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct, field, structs

from picloud.image import requirements
from picloud.image.base import PATH, VENV
from picloud.image.packages import View
from picloud.sandbox.tar import EPOCH
from picloud.wire.error import BadRequest

RECORD = "/opt/picloud/lock"
"""Folder of the lists that a build leaves in the environment: apt.txt, pip.txt."""
APT_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+:~-]+)?")
COMMAND_SIZE = 64_000
"""Characters of one command."""


class Recipe(Struct, frozen=True):
    """What to do, in this order."""

    apt: list[str] = field(default_factory=list)  # Debian packages: name, or name=version
    pip: list[str] = field(default_factory=list)  # requirement lines
    run: list[str] = field(default_factory=list)  # shell commands, each run as root in /
    exact: bool = False  # ``pip`` is a whole lock: nothing else is resolved


class Lock(Struct, frozen=True):
    """The versions that an environment has beyond its base."""

    apt: list[str] = field(default_factory=list)  # name=version of all Debian packages, the base's included
    pip: list[str] = field(default_factory=list)  # requirement lines with versions


def check(recipe: Recipe) -> Recipe:
    """The recipe as it is.

    Raises:
        BadRequest: something in it is no package or no command.
    """
    for name in recipe.apt:
        if not APT_NAME.fullmatch(name):
            raise BadRequest(f"{name!r} names no Debian package", hint="for instance git, or git=1:2.39.5-0+deb12u2")
    for line in recipe.pip:
        requirements.check(line)
    for command in recipe.run:
        if not command.strip() or "\0" in command or len(command) > COMMAND_SIZE:
            raise BadRequest("an empty or overlong command to run")
    return recipe


def script(recipe: Recipe, *, python: str, chain: Sequence[str] = ()) -> str:
    """The shell script that does it, as root in a writable copy of the base.

    Args:
        recipe: what to do; checked.
        python: the base's interpreter, as a path inside; "" = none, then ``pip`` must be empty.
        chain: further folders of packages that the environment's Python sees: see :func:`venv_script`.

    Returns:
        A script for ``/bin/sh`` that stops at the first failure.

    Raises:
        BadRequest: Python packages are asked for where there is no Python.
    """
    check(recipe)
    if recipe.pip and not python:
        raise BadRequest("this base has no Python to install packages for", hint="take another base: picloud env list-bases")
    lines = ["set -eu", "cd /", *_settings()]
    if recipe.apt:
        names = shlex.join(recipe.apt)
        lines += ["apt-get update -q", f"apt-get install -y -q --no-install-recommends --allow-downgrades {names}"]
    if python and recipe.pip:
        lines += [venv_script(python, chain), *_pip(recipe)]
    lines += [f"/bin/sh -euc {shlex.quote(command)}" for command in recipe.run]
    return "\n".join([*lines, _record(), ""])


def _settings() -> list[str]:
    """What makes the same steps leave the same bytes."""
    return [
        f"export PATH={VENV}/bin:{PATH} DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 HOME=/root",
        f"export SOURCE_DATE_EPOCH={EPOCH} PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1",
        "umask 022",
    ]


def venv_script(python: str, chain: Sequence[str] = ()) -> str:
    """Shell commands that make the environment's own Python, if it is not there.

    It sees the packages of ``python``. Where that is itself a virtual environment, Python would pass it over and see
    those of the interpreter below: the caller names its folders of packages in ``chain``, and they are looked through too.
    """
    site = f'"$({VENV}/bin/python -c \'import sysconfig; print(sysconfig.get_path("purelib"))\')"/picloud_chain.pth'
    lines = "".join(f"import site; site.addsitedir({folder!r})\n" for folder in chain)
    steps = [
        f"if ! [ -x {VENV}/bin/python ]; then",
        f"{shlex.quote(python)} -m venv --system-site-packages {VENV}",
        *([f"printf %s {shlex.quote(lines)} > {site}"] if chain else []),
        "fi",
    ]
    return "\n".join(steps)


def own_chain() -> list[str]:
    """What :func:`venv_script` needs to know of this interpreter as ``python``: nothing, unless it is a virtual environment."""
    if sys.prefix == sys.base_prefix:
        return []
    return list(dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))))


def _pip(recipe: Recipe) -> list[str]:
    """Install, and compile in one go: what each of pip's processes compiles differs from time to time."""
    written = "".join(line + "\n" for line in recipe.pip)
    options = "--no-input --disable-pip-version-check --no-compile --no-cache-dir" + (" --no-deps" if recipe.exact else "")
    return [
        f"printf %s {shlex.quote(written)} > /tmp/requirements.txt",
        f"{VENV}/bin/python -m pip install {options} -r /tmp/requirements.txt",
        f"find {VENV}/lib -name __pycache__ -prune -exec rm -rf {{}} +",
        f"{VENV}/bin/python -m compileall -q -j 1 {VENV}/lib >/dev/null || true",  # packages ship files that do not compile
    ]


def _record() -> str:
    freeze = f"{VENV}/bin/python -m pip freeze --local --disable-pip-version-check --exclude-editable"
    return "\n".join(
        (
            f"mkdir -p {RECORD}",
            f"if [ -x {VENV}/bin/python ]; then {freeze} > {RECORD}/pip.txt; fi",
            f"if command -v dpkg-query >/dev/null; then dpkg-query -W -f '${{Package}}=${{Version}}\\n' > {RECORD}/apt.txt; fi",
        )
    )


def read_lock(folders: Sequence[Path]) -> Lock:
    """What the last build recorded in an environment.

    Args:
        folders: its unpacked layers, the lowest first.
    """
    view = View(folders)
    return Lock(*(view.read(f"{RECORD}/{name}.txt".lstrip("/")).splitlines() for name in ("apt", "pip")))


def locked(recipe: Recipe, lock: Lock) -> Recipe:
    """The same recipe with the versions that came of it."""
    versions = dict(line.split("=", 1) for line in lock.apt if "=" in line)
    apt = [f"{name}={versions[name]}" if name in versions else name for name in (line.split("=")[0] for line in recipe.apt)]
    return structs.replace(recipe, apt=apt, pip=list(lock.pip) if recipe.pip else [], exact=bool(recipe.pip))
