"""Recipes: what is asked for, the script, and what it leaves."""

from __future__ import annotations

import re
import subprocess

import pytest

from cloud import _building
from cloud._requirements import from_current
from picloud.image import science
from picloud.wire import recipe
from picloud.wire.recipe import Plan

TEXT = """# written by a build
base base/bookworm
apt curl=7.88.1-10
pip cowsay==6.1 --hash=sha256:ab
run "echo 'a\\nb' > /etc/x"
"""


def test_a_recipe_is_read_as_it_was_written() -> None:
    plan = recipe.parsed(TEXT)
    assert plan == Plan("base/bookworm", ["curl=7.88.1-10"], ["cowsay==6.1 --hash=sha256:ab"], ["echo 'a\nb' > /etc/x"])
    assert plan.locked and not Plan(pip=["cowsay"]).locked
    with pytest.raises(ValueError, match="no line of a recipe"):
        recipe.parsed("base base/host\nwget x")


@pytest.mark.parametrize("plan", [recipe.parsed(TEXT), Plan("base/host", run=["true"]), Plan("base/host", ["a b"], ["x>1"])])
def test_scripts_are_valid(plan: Plan) -> None:
    script = recipe.script(plan)
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert f"base {plan.base}" in script


def test_hashes_mean_that_nothing_else_is_installed() -> None:
    assert "--require-hashes" in recipe.script(recipe.parsed(TEXT))
    assert "--require-hashes" not in recipe.script(Plan("base/host", pip=["cowsay"]))


def test_over_the_machines_own_system_everything_asked_for_is_installed() -> None:
    assert "--ignore-installed" in recipe.script(Plan("base/host", pip=["cowsay"]))
    assert "--ignore-installed" not in recipe.script(Plan("base/bookworm", pip=["cowsay"]))


def test_what_is_asked_for() -> None:
    assert _building.plan(None, False, (), ()) is None
    made = _building.plan("# x\nnumpy>=2 \\\n  ; python_version > '3'\n\n", False, "git", ["true"])
    assert made == Plan("", ["git"], ["numpy>=2 ; python_version > '3'"], ["true"])
    made = _building.plan(["a", "b"], False, [], [])
    assert made is not None and made.pip == ["a", "b"]
    for bad in ([""], [1], ["a\0"]):
        with pytest.raises(ValueError, match="must list texts"):
            _building.plan(None, False, bad, ())  # type: ignore[arg-type]


def test_what_is_installed_here() -> None:
    found = from_current().lines
    assert any(line.startswith("pytest==") for line in found)
    assert found == sorted(found, key=lambda line: re.sub("[-_.]+", "-", line.partition("==")[0].lower()))
    assert not [line for line in found if line.startswith(("picloud==", "pip=="))]


def test_the_science_base_is_built_by_the_same_script() -> None:
    steps = science.steps()
    assert subprocess.run(["sh", "-n"], input=steps, text=True, check=False).returncode == 0
    assert "opencv" in steps and "python3 -m venv" in steps
