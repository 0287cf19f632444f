"""``scripts/test`` forgives what fails beside others and passes alone, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.live
ONCE = """
import pathlib
def test_once():
    seen = pathlib.Path("seen")
    again = seen.exists()
    seen.touch()
    assert again
"""


def run(folder: Path, **files: str) -> subprocess.CompletedProcess[str]:
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "test", folder / "scripts" / "test")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env |= {"WORKERS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}
    return subprocess.run(["scripts/test"], cwd=folder, env=env, capture_output=True, text=True, timeout=120)


def test_what_passes_alone_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, once=ONCE, good="def test_good(): pass\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Unsteady" in done.stdout and done.stdout.rstrip().endswith("test_once.py::test_once")


def test_what_fails_again_has_failed(tmp_path: Path) -> None:
    done = run(tmp_path, once=ONCE, bad="def test_bad(): assert False\n")
    assert done.returncode == 1 and "Unsteady" not in done.stdout


def test_many_that_fail_are_no_accident(tmp_path: Path) -> None:
    done = run(tmp_path, bad="".join(f"def test_{n}(): assert {n} > 9\n" for n in range(6)), once=ONCE)
    assert done.returncode == 1 and "once more" not in done.stdout


def test_nothing_to_test_is_no_success(tmp_path: Path) -> None:
    assert run(tmp_path).returncode == 5
