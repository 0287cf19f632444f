"""The documentation in the application."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.screen import Screen, accessible, fits

pytestmark = [pytest.mark.slow, pytest.mark.live]


def test_one_reads_searches_and_follows_links(screen: Screen) -> None:
    page = screen.open("/docs")
    expect(page).to_have_url("/docs/start/install")
    expect(page.get_by_role("heading", name="Install", level=1)).to_be_visible()
    page.get_by_role("navigation", name="Documentation").get_by_role("link", name="Accounts, keys and people").click()
    expect(page.get_by_role("heading", name="Accounts, keys and people", level=1)).to_be_visible()
    expect(page.locator("pre").first.locator("..").get_by_role("button", name="Copy")).to_have_count(1)
    page.get_by_role("article").get_by_role("link", name="HTTP", exact=True).click()
    expect(page.get_by_role("heading", name="HTTP routes", level=1)).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("overlap rotate")
    found = page.get_by_role("region", name="Results").get_by_role("link").first
    expect(found).to_be_visible()
    found.click()
    expect(page.get_by_role("article")).to_be_visible()
    page.goto("/docs/guides/accounts#switch-an-account-off")
    expect(page.get_by_role("heading", name=re.compile("Switch an account off"))).to_be_in_viewport()
    page.goto("/docs/no/such-page")
    expect(page.get_by_text("There is no such page")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_docs_are_for_everybody(screen: Screen, dark: bool) -> None:
    page = screen.open("/docs/reference/http", dark=dark, narrow=True)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    fits(page)
    page.goto("/docs/guides/accounts")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    fits(page)
    accessible(page)
    page.get_by_role("button", name="Contents").click()
    expect(page.get_by_role("navigation", name="Documentation")).to_be_visible()
