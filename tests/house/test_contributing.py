"""The contributor's door: the Makefile, the scripts and the import rules are what the papers say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_make_targets_of_the_papers_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md", "bench/README.md"):
        assert set(re.findall(r"\bmake ([a-z]+)\b(?=`|\s+#|$|\n)", (ROOT / page).read_text())) <= targets
    assert targets >= {"setup", "demo", "test", "check", "bench", "soak", "help"}


def test_import_rules_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(lint), "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_ci_runs_setup_and_test_and_nothing_else() -> None:
    text = (ROOT / ".ci" / "run").read_text()
    assert re.findall(r"^(?:exec )?make .*?(\w+)$", text, re.MULTILINE) == ["setup", "test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    reasons = (ROOT / "docs" / "explain" / "dependencies.md").read_text()
    assert not [name for one in wanted if f"`{(name := re.split(r'[^A-Za-z0-9-]', one)[0])}`" not in reasons]


def test_a_skip_is_a_failure_in_ci(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (tmp_path / "test_one.py").write_text("import pytest\n\ndef test_one():\n    pytest.skip('not today')\n")
    (tmp_path / "test_two.py").write_text("import pytest\npytest.skip('nor this', allow_module_level=True)\n")
    for ci, code in (("", 0), ("true", 1)):
        env = os.environ | {"CI": ci}
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_one.py"]
        assert subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, timeout=60, check=False).returncode == code
        words[-1] = "test_two.py"
        assert (
            subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, timeout=60, check=False).returncode in (1, 2)
        ) == bool(ci)


def test_system_packages_names_what_lacks() -> None:
    done = subprocess.run(
        [str(ROOT / "scripts" / "system-packages"), "--list"], capture_output=True, text=True, timeout=30, check=True
    )
    assert set(done.stdout.split()) <= {"python3-venv", "postgresql", "iproute2", "ca-certificates"}
