"""For all tests: what needs a server is marked so; on the CI machine a skipped test is a failure."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

IN_CI = os.environ.get("CI", "").lower() in ("1", "true")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use the fixture ``server`` are ``live``: ``-m "not live"`` leaves them out."""
    for item in items:
        if "server" in getattr(item, "fixturenames", ()):
            item.add_marker("live")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """A test that skips itself, or is expected to fail."""
    return _refused((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """A whole module that skips itself."""
    return _refused((yield))


def _refused(report: Any) -> Any:
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, which is not allowed in CI: {report.longrepr}"
    return report
