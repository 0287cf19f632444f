"""The pages behind the links of an admin, in a real browser: one signs up, and sets another password."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from cloud import account
from picloud.server.api import page as pages
from tests.browser.chromium import chromium
from tests.browser.screen import DEADLINE

PASSWORD, SECOND = "a horse that reads pages", "another horse that does"


@pytest.fixture
def page() -> Iterator[Page]:
    """A window of somebody who is not logged in."""
    pages.FOLDER.file("index.html")  # make dashboard
    with chromium() as browser:
        made = browser.new_page(reduced_motion="reduce")
        made.set_default_timeout(DEADLINE)
        yield made


def sign_up(page: Page, email: str) -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()


def test_one_signs_up_and_renews_the_password(server: Any, page: Page) -> None:
    link = server.picloud("admin", "user", "invite", "pam@example.org")["link"]
    page.goto(link)
    sign_up(page, "eve@example.org")
    expect(page.get_by_role("alert")).to_contain_text("another e-mail")
    assert page.evaluate("location.hash") == "", "the link stays in no history"
    sign_up(page, "pam@example.org")
    expect(page.get_by_role("heading", name="Welcome, pam")).to_be_visible()
    line = page.locator("pre").inner_text().split()
    assert line[:4] == ["picloud", "setup", server.url, "-a"]
    assert account.get_key_by_key(line[4], line[6])["active"]
    page.goto("about:blank")  # where only what is behind # differs nothing is loaded
    page.goto(link)
    sign_up(page, "pam@example.org")
    expect(page.get_by_role("alert")).to_contain_text("used")
    page.goto(server.picloud("admin", "user", "passwd", "pam", "--link")["link"])
    page.get_by_label("Password", exact=True).fill(SECOND)
    assert page.get_by_label("E-mail address").count() == 0
    page.get_by_role("button", name="Set it").click()
    expect(page.get_by_text("The password of pam is set")).to_be_visible()
    assert account.list_keys("pam", SECOND) == [int(line[4])]


def test_the_command_line_prints_a_fresh_link_into_the_dashboard(server: Any, page: Page) -> None:
    page.goto(server.picloud("login-link")["login_url"])
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()
