"""One browser and one server for the tests of a file; a window of its own, or several, for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from picloud.server.api import page
from tests.browser.chromium import chromium
from tests.browser.screen import Screen
from tests.conftest import INTERPRETERS, Server, serving


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of its own: pages show all that an account has, also what other tests would leave."""
    with serving(INTERPRETERS) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser."""
    page.FOLDER.file("index.html")  # make dashboard
    with chromium() as started:
        yield started


@pytest.fixture
def screen(browser: Browser, server: Server) -> Iterator[Screen]:
    """Windows of the owner, who is logged in; closed at the end, and nothing bad was seen."""
    opened = Screen(browser, server)
    yield opened
    opened.close()
