"""How environments are built: what was asked for, the script that does it, and the recipe that does the same again.

A recipe is text. Each line is a word and what it says: ``base base/host``, ``apt curl=7.88.1-10``,
``pip cowsay==6.1 --hash=sha256:..``, ``run "make -C /opt/x"`` (a JSON string). Lines with ``#`` are for people.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field

from picloud.wire.image import HOST, VENV

PLACE = "/var/lib/picloud/lock.txt"
"""Where the recipe of an environment lies in it."""


@dataclass
class Plan:
    """What is to be built."""

    base: str = ""
    apt: list[str] = field(default_factory=list)  # packages, perhaps "name=version"
    pip: list[str] = field(default_factory=list)  # lines of a requirements file
    run: list[str] = field(default_factory=list)  # commands for bash

    @property
    def locked(self) -> bool:
        """Whether each Python package is named with its hash, so that nothing else may be installed."""
        return bool(self.pip) and all("--hash=" in line for line in self.pip)


def parsed(recipe: str) -> Plan:
    """The plan that a recipe tells.

    Raises:
        ValueError: a line is none of a recipe.
    """
    plan = Plan()
    for line in recipe.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "base":
            plan.base = rest
        elif word == "apt":
            plan.apt.append(rest)
        elif word == "pip":
            plan.pip.append(rest)
        elif word == "run":
            plan.run.append(json.loads(rest))
        elif word and not word.startswith("#"):
            raise ValueError(f"no line of a recipe: {line[:80]!r}")
    return plan


def script(plan: Plan) -> str:
    """The script that builds it, as root in a setup job, and leaves the recipe at :data:`PLACE`."""
    parts = [_HEAD, f"echo {shlex.quote(f'base {plan.base}')} > {PLACE}"]
    if plan.apt:
        parts.append(
            _APT.replace("@PACKAGES@", _words(plan.apt)).replace("@NAMES@", _words(p.partition("=")[0] for p in plan.apt))
        )
    if plan.pip:
        parts.append(_PIP.replace("@FLAGS@", " ".join(_flags(plan))).replace("@LINES@", "\n".join(plan.pip)))
    for command in plan.run:
        parts.append(f"bash -euo pipefail -c {shlex.quote(command)}")
        parts.append(f"echo {shlex.quote('run ' + json.dumps(command))} >> {PLACE}")
    return "\n".join([*parts, _TAIL])


def _words(words: Iterable[str]) -> str:
    return " ".join(shlex.quote(word) for word in words)


def _flags(plan: Plan) -> list[str]:
    made = ["--no-deps", "--require-hashes"] if plan.locked else []
    # What the caller's own interpreter has may be another version tomorrow.
    return [*made, "--ignore-installed"] if plan.base == HOST else made


_HEAD = f"""#!/bin/bash
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1
# compiled files then hold the hash of their source instead of its time, and are the same each time
export SOURCE_DATE_EPOCH=315532800 PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
umask 022
python={VENV}/bin/python
mkdir -p {PLACE.rpartition("/")[0]}"""
_APT = f"""command -v apt-get > /dev/null || {{ echo "this base has no apt" >&2; exit 3; }}
apt-get -q update
apt-get -q -y --no-install-recommends install @PACKAGES@
dpkg-query -W -f 'apt ${{Package}}=${{Version}}\\n' @NAMES@ | sort >> {PLACE}
apt-get -q clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log /var/log/alternatives.log
rm -rf /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/cache/man"""
_PIP = f"""[ -x "$python" ] || {{ echo "this environment has no Python" >&2; exit 3; }}
work=$(mktemp -d)
cat > "$work/requirements.txt" <<'END-OF-REQUIREMENTS'
@LINES@
END-OF-REQUIREMENTS
"$python" -m pip install --no-cache-dir --no-compile --progress-bar off \\
    @FLAGS@ --report "$work/report.json" -r "$work/requirements.txt"
"$python" - "$work/report.json" >> {PLACE} <<'END-OF-LOCK'
import json, sys
rows = []
for one in json.load(open(sys.argv[1]))["install"]:
    name, version = one["metadata"]["name"], one["metadata"]["version"]
    found = one.get("download_info", {{}}).get("archive_info", {{}}).get("hashes", {{}}).get("sha256")
    rows.append(f"pip {{name}}=={{version}}" + (f" --hash=sha256:{{found}}" if found else ""))
print("\\n".join(sorted(rows, key=str.lower)))
END-OF-LOCK
rm -rf -- "$work"
"""
_TAIL = f"""if [ -x {VENV}/bin/python ]; then
    find {VENV}/lib -name __pycache__ -prune -exec rm -rf {{}} +
    {VENV}/bin/python -m compileall -q -j 1 {VENV}/lib > /dev/null || true  # packages ship files that do not compile
fi
rm -rf /root/.cache"""
