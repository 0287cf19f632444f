"""``base/science``: the languages and libraries that scientists ask for first, in one base.

build(out) -> Base                           some minutes, 1.3 GB unpacked
"""

from __future__ import annotations

from pathlib import Path

from picloud.image import debian, recipe
from picloud.image.base import Base, Progress
from picloud.sandbox.userns import Ids

NAME = "base/science"
SUITE = "bookworm"
DEBIAN = ("default-jdk-headless", "r-base-core", "r-recommended", "ruby", "php-cli")
PYPI = ("numpy", "scipy", "pandas", "scikit-learn", "opencv-python-headless", "matplotlib")


def build(out: Path, *, suite: str = SUITE, ids: Ids | None = None, progress: Progress = lambda line: None) -> Base:
    """Build it from Debian's and PyPI's packages. Arguments and errors as of :func:`picloud.image.debian.build`."""
    steps = recipe.script(recipe.Recipe(pip=list(PYPI)), python="/usr/bin/python3")
    return debian.build(suite, out, packages=DEBIAN, script=steps, ids=ids, progress=progress)
