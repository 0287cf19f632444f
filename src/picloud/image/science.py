"""``base/science``: the languages and libraries that scientists ask for first, in one base.

build(out) -> Base                           some minutes, 1.3 GB unpacked
"""

from __future__ import annotations

import shlex
from pathlib import Path

from picloud.image import debian
from picloud.image.base import Base, Progress
from picloud.sandbox.userns import Ids
from picloud.wire.image import VENV
from picloud.wire.recipe import PLACE, Plan, script

NAME = "base/science"
SUITE = "bookworm"
DEBIAN = ("default-jdk-headless", "r-base-core", "r-recommended", "ruby", "php-cli")
PYPI = ("numpy", "scipy", "pandas", "scikit-learn", "opencv-python-headless", "matplotlib")


def build(out: Path, *, suite: str = SUITE, ids: Ids | None = None, progress: Progress = lambda line: None) -> Base:
    """Build it from Debian's and PyPI's packages. Arguments and errors as of :func:`picloud.image.debian.build`."""
    return debian.build(suite, out, packages=DEBIAN, script=steps(), ids=ids, progress=progress)


def steps() -> str:
    """The script that adds what PyPI has; a base has no recipe, that is of what is built on it."""
    made = script(Plan(NAME, pip=list(PYPI)))
    return f"/usr/bin/python3 -m venv --system-site-packages {VENV}\nbash -c {shlex.quote(made)}\nrm -f {PLACE}\n"
