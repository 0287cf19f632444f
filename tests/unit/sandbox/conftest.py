"""An ordinary user with subordinate ids, for the tests that must hold without root too."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
UID = 54400


@pytest.fixture
def ordinary() -> Iterator[list[str]]:
    """The words before a command that run it as that user."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    home = tempfile.mkdtemp(prefix="picloud-user-")
    os.chown(home, UID, UID)
    os.chmod(home, 0o755)
    shown = [str(folder) for folder in (ROOT, Path(sys.prefix), Path(sys.base_prefix))]
    env = ["env", f"PYTHONPATH={ROOT / 'src'}", f"TMPDIR={home}"]
    yield ["unshare", "--mount", sys.executable, str(ROOT / "tests/ordinary_user.py"), str(UID), home, *shown, "--", *env]
    shutil.rmtree(home)
