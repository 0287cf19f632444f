"""What all pages share: getting in and out, the navigation, the live stream, light and dark, narrow and wide."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

import cloud
from picloud.cli.call import Server as At
from picloud.cli.call import call
from tests.browser.screen import Screen, accessible, fits
from tests.conftest import serving

pytestmark = [pytest.mark.slow, pytest.mark.live]


def test_a_link_logs_in_once_and_nothing_is_a_cookie(screen: Screen) -> None:
    at = At(screen.server.url, screen.server.key, screen.server.secret)
    ticket = call(at, "POST", "/v1/login/ticket")["ticket"]
    page = screen.open(f"/#{ticket}", stranger=True)
    expect(page.get_by_role("navigation").first).to_be_visible()
    assert ticket not in page.url and page.context.cookies() == []
    there = screen.server.picloud("login-link", "/nowhere?x=1")["login_url"]
    expect(screen.open(there, stranger=True)).to_have_url(re.compile(r"/nowhere\?x=1$"))
    again = screen.open(f"/#{ticket}", stranger=True)
    expect(again).to_have_url(re.compile("/login"))


def test_who_is_not_logged_in_comes_back_to_where_she_wanted(screen: Screen) -> None:
    page = screen.open("/nowhere-at-all?x=1", stranger=True)
    expect(page.get_by_text("Log in").first).to_be_visible()
    expect(page).to_have_url(re.compile(r"/login\?next="))


def test_home_tells_of_a_job_while_it_runs_and_when_it_has_failed(screen: Screen) -> None:
    def fails_at_home() -> None:
        raise ValueError("<script>alert(1)</script>")

    page = screen.open("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    jid = cloud.call(fails_at_home)
    expect(page.get_by_text("fails_at_home").first).to_be_visible()
    cloud.join(jid, timeout=60, ignore_errors=True)
    expect(page.get_by_text("raised an exception").first).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
def test_home_and_login_are_for_everybody(screen: Screen, dark: bool, narrow: bool) -> None:
    for path, stranger in (("/", False), ("/login", True)):
        page = screen.open(path, dark=dark, narrow=narrow, stranger=stranger)
        expect(page.get_by_role("heading").first).to_be_visible()
        fits(page)
        accessible(page)


def test_a_broken_line_is_told_and_heals(browser: Browser) -> None:
    with serving() as own:
        screen = Screen(browser, own)
        page = screen.open("/")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        own.picloud("down")
        expect(page.get_by_text(re.compile("connection", re.IGNORECASE)).first).to_be_visible()
        own.picloud("up", "--port", own.url.rsplit(":", 1)[1])
        expect(page.get_by_text(re.compile("connection lost", re.IGNORECASE))).to_have_count(0)
        cloud.result(cloud.call(after_the_break, 2), timeout=60)
        expect(page.get_by_text("after_the_break").first).to_be_visible()
        screen.close()


def after_the_break(x: int) -> int:
    return x
