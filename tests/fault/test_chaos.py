"""The short soak: jobs while server, workers and runners are killed; `make soak` is the full one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.live
@pytest.mark.parametrize("soak", ["soak", "soak_queues"])
def test_everything_ends_once_while_everything_is_killed(soak: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{soak}", "--short", "--seed", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 faults" in done.stdout
