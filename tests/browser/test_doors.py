"""Doors for strangers: becoming a user by a link, and getting in again without the password."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from cloud import account
from tests.browser.screen import Screen, accessible, fits
from tests.conftest import Server, serving
from tests.smtp import Post

pytestmark = [pytest.mark.slow, pytest.mark.live]
PASSWORD, SECOND = "a horse at the door", "another horse, inside"


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    made = Post()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(post: Post) -> Iterator[Server]:
    """One that sends mails."""
    lines = {"smtp_host": "127.0.0.1", "smtp_port": post.port, "smtp_tls": "none", "smtp_from": "picloud@example.org"}
    with serving("".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())) as made:
        yield made


def signs_up(page: Page, email: str, password: str = PASSWORD) -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign up").click()


@pytest.mark.parametrize("way", ["/sign-up#", "/invite/"])
def test_an_invitation_leads_in_once(screen: Screen, way: str) -> None:
    token = screen.server.picloud("admin", "user", "invite")["invitation"]
    name = "ida" if "#" in way else "ivo"
    page = screen.open(way + token, stranger=True, narrow=True)
    expect(page.get_by_role("heading", name="You are invited")).to_be_visible()
    fits(page)
    accessible(page)
    signs_up(page, f"{name}@example.org", "short")  # the form itself refuses that
    signs_up(page, f"{name}@example.org")
    expect(page.get_by_role("heading", name=f"Welcome, {name}")).to_be_visible()
    expect(page.get_by_text(f"picloud setup {screen.server.url} -a ")).to_be_visible()
    page.get_by_role("button", name="Open the dashboard").click()
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()
    again = screen.open(way + token, stranger=True)
    signs_up(again, "another@example.org")
    expect(again.get_by_role("alert")).to_contain_text(re.compile("used or is too old"))


def test_without_an_invitation_one_is_told_whom_to_ask(screen: Screen) -> None:
    page = screen.open("/signup", stranger=True)
    expect(page.get_by_text("One signs up here by invitation")).to_be_visible()
    expect(page.get_by_role("button", name="Sign up")).to_have_count(0)


def test_a_forgotten_password_is_set_anew_by_a_mail(screen: Screen, post: Post) -> None:
    screen.server.picloud("admin", "user", "add", "olga@example.org", "--account", screen.server.account())
    page = screen.open(link_in(post, 1), stranger=True)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Set it").click()
    page.get_by_role("link", name="Log in").click()
    page.get_by_label("Name or e-mail address").fill("olga")
    page.get_by_label("Password", exact=True).fill("not a horse at all")
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("is wrong")
    page.get_by_role("button", name="Forgot your password?").click()
    page.get_by_label("Name or e-mail address").fill("olga@example.org")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    page.goto(link_in(post, 2))
    page.get_by_label("Password", exact=True).fill(SECOND)
    page.get_by_role("button", name="Set it").click()
    expect(page.get_by_text("The password of olga is set")).to_be_visible()
    assert account.list_keys("olga", SECOND) is not None


def link_in(post: Post, count: int) -> str:
    """The path and the secret of the link in the mail of that number."""
    _, recipients, told = post.wait(count)[count - 1]
    found = re.search(r"https?://[^/\s]+(/password#\S+)", told.get_content())
    assert found and recipients == ["olga@example.org"], told.get_content()
    return found[1]
