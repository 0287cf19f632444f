"""``base/science``: the languages and libraries that scientists ask for first, in one base.

build(out) -> Base                           some minutes, 1.3 GB unpacked
"""

from __future__ import annotations

import shlex
from pathlib import Path

from picloud.image import debian
from picloud.image.base import PATH, VENV, Base, Progress
from picloud.sandbox.tar import EPOCH
from picloud.sandbox.userns import Ids

NAME = "base/science"
SUITE = "bookworm"
DEBIAN = ("default-jdk-headless", "r-base-core", "r-recommended", "ruby", "php-cli")
PYPI = ("numpy", "scipy", "pandas", "scikit-learn", "opencv-python-headless", "matplotlib")


def build(out: Path, *, suite: str = SUITE, ids: Ids | None = None, progress: Progress = lambda line: None) -> Base:
    """Build it from Debian's and PyPI's packages. Arguments and errors as of :func:`picloud.image.debian.build`."""
    return debian.build(suite, out, packages=DEBIAN, script=script(), ids=ids, progress=progress)


def script() -> str:
    """Installs Python's packages, as root in the base; the same steps leave the same bytes.

    All is compiled in one go, for what each of pip's processes compiles differs from time to time.
    """
    python, options = f"{VENV}/bin/python", "--no-input --disable-pip-version-check --no-compile --no-cache-dir"
    return "\n".join(
        (
            f"export PATH={VENV}/bin:{PATH} LC_ALL=C.UTF-8 HOME=/root",
            f"export SOURCE_DATE_EPOCH={EPOCH} PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1",
            "umask 022",
            "cd /",
            f"/usr/bin/python3 -m venv --system-site-packages {VENV}",
            f"{python} -m pip install {options} {shlex.join(PYPI)}",
            f"find {VENV}/lib -name __pycache__ -prune -exec rm -rf {{}} +",
            f"{python} -m compileall -q -j 1 {VENV}/lib >/dev/null || true",  # packages ship files that do not compile
        )
    )
