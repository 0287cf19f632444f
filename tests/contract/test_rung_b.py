"""The same for an ordinary user of this machine with a range of subordinate ids: rung B."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UID = 54500
PATIENCE = 1200
ALWAYS = ("flow/test_isolation.py", "flow/test_bucket_in_jobs.py")
"""Suites that run as such a user each time."""
FULL = (
    "flow/test_containment.py",
    "fault/test_leftovers.py",
    "contract/test_ladder.py",
    "contract/test_verbs.py",
    "flow/test_end_of_jobs.py",
    "flow/test_multicore.py",
    "flow/test_shell.py",
    "flow/test_ports.py",
    "flow/test_bucket_programs.py",
    "flow/test_env_commands.py",
    "flow/test_pages.py",
    "flow/test_environments.py",
    "flow/test_debian_base.py",
    "flow/test_science_base.py",
)
"""And with ``--full``."""

pytestmark = [pytest.mark.slow, pytest.mark.live, pytest.mark.root]


@pytest.fixture
def home() -> Iterator[Path]:
    """The user's."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    made = Path(tempfile.mkdtemp(prefix="picloud-user-"))
    os.chown(made, UID, UID)
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def as_user(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as the user, who sees this source tree and this interpreter."""
    shown = [str(folder) for folder in (ROOT, Path(sys.prefix), Path(sys.base_prefix))]
    become = ["unshare", "--mount", sys.executable, str(ROOT / "tests/ordinary_user.py"), str(UID), str(home), *shown, "--"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
    try:
        return subprocess.run(
            [*become, *command], env=env | {"TMPDIR": str(home)}, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(
            [], -1, *((part or b"").decode(errors="replace") for part in (late.stdout, late.stderr))
        )


@pytest.mark.parametrize("suite", [*ALWAYS, *(pytest.param(suite, marks=pytest.mark.full) for suite in FULL)])
def test_jobs_of_an_ordinary_user(home: Path, suite: str) -> None:
    words = ["-q", "-x", "--full", "-p", "no:cacheprovider", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml")]
    env = ["env", "CONTRACT_PLACES=server"]
    done = as_user(
        home, *env, sys.executable, "-m", "pytest", *words, "--basetemp", str(home / "tmp"), str(ROOT / "tests" / suite)
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    assert not {word for word in ("failed", "skipped", "error") if f" {word}" in done.stdout.splitlines()[-1]}


def test_doctor_finds_rung_b(home: Path) -> None:
    done = as_user(home, sys.executable, "-m", "picloud", "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok    isolation: rung B" in done.stdout
    assert "ok    interpreter: " in done.stdout
    assert "warn  cgroup memory: memory is watched" in done.stdout or "ok    cgroup memory" in done.stdout
