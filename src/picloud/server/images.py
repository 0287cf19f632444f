"""From ``kind.env`` to the image that a worker shows; and which interpreter base/host brings along.

draw(tx, env) -> Image                              NotFound: an environment or base is gone
Interpreters.host(interpreter, version) -> str      ``kind.env`` of base/host for a client
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterable, Sequence

from picloud.server.check import PYTHON
from picloud.settings import Settings
from picloud.store import base as bases
from picloud.store import environment as environments
from picloud.store.act.setup import digest_of
from picloud.store.db import Transaction
from picloud.wire.error import BadRequest
from picloud.wire.image import HOST, VENV, Image

JOB = "1000:1000"
"""User and group of jobs."""
LONGEST = 4096
"""Bytes of a path."""
OWN = (sys.executable, sys.prefix, sys.base_prefix)


def draw(tx: Transaction, env: str) -> Image:
    """What jobs of a kind see.

    Raises:
        NotFound: the environment or the base is gone.
    """
    match env[:1]:
        case "v":
            return _version(tx, environments.version(tx, int(env[1:])))
        case "b":
            found = bases.by_id(tx, int(env[1:]))
            return Image(found.path, False, found.layers, found.python, found.python_version, digest=found.digest)
        case "s":
            return _setup(tx, environments.by_id(tx, int(env[1:].partition(".")[0])))
    return base_host(env)


def _version(tx: Transaction, found: environments.Version) -> Image:
    name = environments.by_id(tx, found.environment).name
    below = base_host(found.interpreter) if found.base == HOST else Image(host=False)
    python, version = found.python or below.python, found.python_version or below.version
    return Image(name, below.host, found.layers, python, version, below.folders, digest=found.digest)


def _setup(tx: Transaction, one: environments.Environment) -> Image:
    if one.under is not None:
        seen = _version(tx, environments.version(tx, one.under))
    elif one.base_id:
        seen = draw(tx, f"b{one.base_id}")
    else:
        seen = base_host(one.interpreter)
    return Image(one.name, seen.host, seen.layers, seen.python, seen.version, seen.folders, setup=one.id)


def base_host(env: str) -> Image:
    """The machine's own system, with the interpreter that the text names."""
    python, version, *folders = json.loads(env[1:]) if env else (OWN[0], PYTHON, *_apart(OWN[1:]))
    return Image(HOST, True, [], python, version, list(folders), digest=digest_of(HOST, env, []))


def preparation(image: Image) -> bytes:
    """The script that gives a setup job a Python of its own, where pip can install. It sees the packages of the base's.

    A virtual environment over another one would see the interpreter below that, so the other's folder is named in it. pip
    is the base's, which takes a tenth of a second; only where that has none, one is installed.
    """
    if not image.python:
        return b"exit 0\n"
    site = f"lib/python{image.version}/site-packages"
    chain = [f"{folder}/{site}" for folder in image.folders if os.path.exists(f"{folder}/pyvenv.cfg")]
    lines = "".join(f"import site; site.addsitedir({folder!r})\n" for folder in chain)
    return _PREPARATION.format(
        venv=VENV, python=shlex.quote(image.python), site=f"{VENV}/{site}", chain=shlex.quote(lines), job=JOB
    ).encode()


_PREPARATION = """set -e
if [ -x {venv}/bin/python ]; then  # the base's own, or of an earlier version: only its folders change hands, which is quick
    for folder in {venv}/bin {site}; do
        [ "$(stat -c %u:%g $folder)" = {job} ] || chown {job} $folder
    done
    exit 0
fi
umask 022
{python} -m venv --without-pip --system-site-packages {venv}
printf %s {chain} > {site}/picloud_chain.pth
if {venv}/bin/python -c 'import pip' 2> /dev/null; then
    printf '#!%s\\nimport sys\\nfrom pip._internal.cli.main import main\\nsys.exit(main())\\n' {venv}/bin/python > {venv}/bin/pip
    chmod 755 {venv}/bin/pip
    cp {venv}/bin/pip {venv}/bin/pip3
else
    {venv}/bin/python -m ensurepip > /dev/null
fi
chown -R {job} {venv}
"""


class Interpreters:
    """Whose interpreter base/host brings along: the server's, or that of a client for whom the paths may be shown.

    Attributes:
        alone: there is one account, and so its owner sees what is on this machine anyway.
    """

    def __init__(self, settings: Settings) -> None:
        self._roots = [os.path.realpath(root) for root in settings.interpreters]
        self.alone = False
        self._known: dict[tuple[str, ...], str] = {}

    def host(self, interpreter: Sequence[str], version: str) -> str:
        """The text for base/host, "" where the server's own interpreter is shown.

        Args:
            interpreter: the client's sys.executable, sys.prefix, sys.base_prefix; empty = it did not say.
            version: its version, "3.11".

        Raises:
            BadRequest: no such three paths.
        """
        asked = (*interpreter, version)
        if not interpreter or asked[:3] == OWN:
            return ""
        if asked not in self._known:
            if len(self._known) > 1000:
                self._known.clear()
            self._known[asked] = self._judge(list(interpreter), version)
        return self._known[asked]

    def forget(self) -> None:
        """Judge anew, for accounts came."""
        self._known.clear()

    def _judge(self, interpreter: list[str], version: str) -> str:
        if len(interpreter) != 3 or any(len(path) > LONGEST or "\0" in path for path in interpreter):
            raise BadRequest("an interpreter is three paths: its executable, its prefix and its base prefix")
        executable, *folders = interpreter
        if not all(os.path.isabs(path) for path in interpreter) or not (self.alone or self._listed(interpreter)):
            return ""
        if not os.access(executable, os.X_OK) or not all(os.path.isdir(path) for path in folders):
            return ""
        if not os.path.isdir(f"{folders[1]}/lib/python{version}"):  # a client elsewhere, whose paths mean another Python here
            return ""
        return "h" + json.dumps([executable, version, *_apart(folders)], separators=(",", ":"))

    def _listed(self, paths: Iterable[str]) -> bool:
        return all(any(f"{os.path.realpath(path)}/".startswith(root.rstrip("/") + "/") for root in self._roots) for path in paths)


def _apart(folders: Sequence[str]) -> list[str]:
    """Each folder once, without those that lie in another."""
    kept: list[str] = []
    for folder in sorted({os.path.normpath(folder) for folder in folders}):
        if not any(folder.startswith(other.rstrip("/") + "/") for other in kept):
            kept.append(folder)
    return kept
