from __future__ import annotations

import subprocess
import sys

import pytest

import cloud

HEAVY = ("http.client", "ssl", "msgspec", "cloudpickle", "rich", "inspect", "asyncio", "socket", "sqlite3")


def test_import_is_light() -> None:
    code = f"import sys, cloud; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_public_names() -> None:
    for name in cloud.__all__:
        assert getattr(cloud, name) is not None
    assert cloud.finished_statuses == ["done", "stalled", "error", "killed"]
    assert cloud.c2 == "c2"


def test_submodules_are_attributes() -> None:
    assert cloud.shell.__name__ == "cloud.shell"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        cloud.nothing  # noqa: B018 asking is the test
