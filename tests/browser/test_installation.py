"""The machine, and what only its owner does."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

import cloud
from picloud.cli.call import Server as At
from picloud.cli.call import call
from tests.browser.screen import Screen, accessible, fits

pytestmark = [pytest.mark.slow, pytest.mark.live]


def dialog(page: Page, button: str) -> None:
    """Press a button of the dialog."""
    page.get_by_role("dialog").get_by_role("button", name=button, exact=True).click()


def waits() -> None:
    import time

    time.sleep(600)


def test_the_cluster_shows_what_runs_and_what_waits(screen: Screen) -> None:
    page = screen.open("/cluster")
    expect(page.get_by_role("heading", name="Machine", exact=True)).to_be_visible()
    jids = [cloud.call(waits) for _ in range(60)]
    try:
        expect(page.get_by_role("table", name="Workers").get_by_text("working").first).to_be_visible()
        expect(page.get_by_role("table", name="What waits").get_by_role("row").nth(1)).to_be_visible()
        expect(page.get_by_role("meter", name="Cores that jobs have")).not_to_have_attribute("aria-valuenow", "0")
    finally:
        cloud.kill(jids)
    expect(page.get_by_text("Nothing waits")).to_be_visible()


def test_an_account_is_added_paid_switched_off_and_removed(screen: Screen) -> None:
    page = screen.open("/admin")
    page.get_by_role("button", name="Add an account").click()
    page.get_by_label("Name").fill("from-a-page")
    dialog(page, "Add")
    line = page.get_by_role("dialog").locator("pre").first.inner_text().split()
    theirs = At(screen.server.url, line[4], line[6])
    assert call(theirs, "GET", "/v1/server")["account"] == "from-a-page"
    dialog(page, "Close")
    page.get_by_role("tab", name="Grants and limits").click()
    page.get_by_label("Account", exact=True).select_option("from-a-page")
    page.get_by_role("button", name="Give a grant").click()
    page.get_by_label("Dollars").fill("7.25")
    page.get_by_label("For", exact=True).fill("a <b>thesis</b>")
    dialog(page, "Give it")
    expect(page.get_by_role("table", name="Grants of from-a-page").get_by_text("a <b>thesis</b>")).to_be_visible()
    page.get_by_role("button", name="Set limits").click()
    page.get_by_label("Limit", exact=True).fill("20")
    dialog(page, "Set them")
    expect(page.get_by_text("$20.00")).to_be_visible()
    money = call(theirs, "GET", "/v1/credit")["dollars"]
    assert (money["hard"], money["left"]) == (20.0, 8.25) and money["soft"] is None
    page.get_by_role("tab", name="Accounts").click()
    row = page.get_by_role("table", name="Accounts").get_by_role("row").filter(has_text="from-a-page")
    row.get_by_role("button", name="Switch off").click()
    dialog(page, "Switch off")
    expect(row).to_contain_text("off")
    row.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True)).to_be_disabled()
    page.get_by_label(re.compile("Type")).fill("from-a-page")
    dialog(page, "Remove")
    expect(row.get_by_role("button")).to_have_count(0)
    with pytest.raises(cloud.CloudException):
        call(theirs, "GET", "/v1/server")


def test_a_user_is_added_and_all_that_is_in_the_log(screen: Screen) -> None:
    page = screen.open("/admin?tab=users")
    page.get_by_role("button", name="Add a user").click()
    page.get_by_label("E-mail address").fill("rita@example.org")
    page.get_by_label("Account", exact=True).select_option(screen.server.account())
    dialog(page, "Add")
    expect(page.get_by_role("dialog").locator("pre")).to_contain_text("/password#")
    dialog(page, "Close")
    page.get_by_label(re.compile("Role of rita")).select_option("admin")
    page.get_by_role("tab", name="Audit log").click()
    page.get_by_label("Acts").select_option("member")
    table = page.get_by_role("table", name="Audit log")
    expect(table.get_by_text("rita", exact=True).first).to_be_visible()
    expect(table.get_by_text("user.add")).to_have_count(0)
    expect(page).to_have_url("/admin?tab=audit&act=member")
    page.get_by_role("tab", name="Space").click()
    page.get_by_role("button", name="Sweep now").click()
    dialog(page, "Sweep")
    expect(page.get_by_text("The sweep has begun")).to_be_visible()


def test_who_is_not_the_owner_is_told_so(screen: Screen) -> None:
    made = call(At(screen.server.url, screen.server.key, screen.server.secret), "POST", "/v1/admin/account", {"name": "a-guest"})
    ticket = call(At(screen.server.url, str(made["api_key"]), made["api_secretkey"]), "POST", "/v1/login/ticket")["ticket"]
    page = screen.open(f"/#{ticket}", stranger=True)
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="Admin")).to_have_count(0)
    page.goto("/admin")
    expect(page.get_by_text("for the owner of the installation")).to_be_visible()
    page.goto("/cluster")
    expect(page.get_by_role("heading", name="Machine", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="By account")).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_cluster_and_admin_are_for_everybody(screen: Screen, dark: bool) -> None:
    page = screen.open("/cluster", dark=dark, narrow=True)
    for path in ("/cluster", "/admin", "/admin?tab=users", "/admin?tab=money", "/admin?tab=audit", "/admin?tab=space"):
        page.goto(path)
        expect(page.get_by_role("heading", level=2).first).to_be_visible()
        expect(page.locator(".mantine-Skeleton-root")).to_have_count(0)
        fits(page)
        accessible(page)
