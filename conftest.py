"""For all tests: what needs a server is marked so; on the CI machine a skipped test is a failure."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from typing import Any

import pytest

IN_CI = os.environ.get("CI", "").lower() in ("1", "true")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--full``: also the tests that are marked so."""
    parser.addoption("--full", action="store_true", help="run the tests marked full too")


def pytest_configure() -> None:
    """A shell gives what it runs behind it (``make test &``) no Ctrl-C; the programs that tests start here must have theirs."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that use the fixture ``server`` are ``live``: ``-m "not live"`` leaves them out. ``full`` ones need --full."""
    for item in items:
        if "server" in getattr(item, "fixturenames", ()):
            item.add_marker("live")
    left_out = [] if config.getoption("--full") else [item for item in items if item.get_closest_marker("full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


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
