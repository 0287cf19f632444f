"""Settings of the server: the table of core types that an operator adds to."""

from __future__ import annotations

from pathlib import Path

import pytest

from picloud import settings
from picloud.settings import CORE_TYPES, CoreType
from picloud.wire.error import SetupError


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICLOUD_HOME", str(tmp_path))


def write(text: str) -> None:
    (settings.home() / "settings.toml").write_text(text)


def test_a_type_of_an_operator_s_own_comes_beside_the_others() -> None:
    write("[core_types.x1]\nunits = 500\nmemory = 1000000\nmultiples = [1, 3]\nprice = 10\n")
    assert settings.load().core_types == {**CORE_TYPES, "x1": CoreType(500, 1_000_000, (1, 3), 10)}


def test_one_value_of_a_known_type_may_be_changed() -> None:
    write("[core_types.m1]\nmultiples = [1, 2]\n")
    found = settings.load().core_types
    assert found["m1"].multiples == (1, 2)
    assert found["m1"].memory == CORE_TYPES["m1"].memory
    assert found["c1"] == CORE_TYPES["c1"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[core_types.x1]\nunits = 500\n", "lacks memory, lacks multiples, lacks price"),
        ("[core_types.c1]\nmemry = 5\n", "knows no memry"),
        ("[core_types.c1]\nmemory = 0\n", "cannot be"),
        ("[core_types.c1]\nmultiples = []\n", "cannot be"),
        ("[core_types.c1]\nmultiples = [0]\n", "cannot be"),
        ("[core_types.c1]\nmemory = 'much'\n", "int"),
        ("[core_types]\nc1 = 5\n", "no table"),
        ("core_types = 5\n", "no table"),
        ("default_type = 'c9'\n", "not a core type"),
    ],
)
def test_what_no_job_could_have_is_refused(text: str, told: str) -> None:
    write(text)
    with pytest.raises(SetupError, match=told):
        settings.load()
