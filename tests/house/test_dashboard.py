"""The sources of the dashboard: their linter, types, and the tests of its scripts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.live]


@pytest.mark.parametrize("script", ["lint", "test"])
def test_a_script_finds_nothing(script: str) -> None:
    done = subprocess.run(["npm", "run", "--silent", script], cwd=ROOT / "dashboard", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_package_is_told_of() -> None:
    told = (ROOT / "docs/explain/dependencies.md").read_text()
    named = json.loads((ROOT / "dashboard/package.json").read_text())
    for name in named["dependencies"]:
        assert f"`{name.removeprefix('@mantine/')}`" in told or f"`{name}`" in told, name
