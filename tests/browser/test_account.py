"""Keys, secrets, webhooks; passwords, sessions, members."""

from __future__ import annotations

import base64
import re

import pytest
from playwright.sync_api import Page, expect

import cloud
from cloud import account
from picloud.cli.call import Server as At
from picloud.cli.call import call
from tests.browser.screen import Screen, accessible, fits

pytestmark = [pytest.mark.slow, pytest.mark.live]
PASSWORD, SECOND = "a horse that reads pages", "another horse that does"
PUBLIC = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()
HOSTILE = "<script>alert(1)</script> " + "n" * 170


def dialog(page: Page, button: str) -> None:
    """Press a button of the dialog."""
    page.get_by_role("dialog").get_by_role("button", name=button, exact=True).click()


def test_a_key_is_made_rotated_and_switched_off(screen: Screen) -> None:
    page = screen.open("/keys")
    page.get_by_role("button", name="Create a key").click()
    page.get_by_label("Note").fill(HOSTILE)
    page.get_by_role("checkbox", name="code").uncheck()
    dialog(page, "Create")
    line = page.get_by_label("In a shell of the machine that uses it").inner_text().split()
    key, secret = line[4], line[6]
    assert line[:4] == ["picloud", "setup", screen.server.url, "-a"]
    assert account.get_key_by_key(key, secret)["scopes"] == ["jobs", "bucket", "queue", "read"]
    dialog(page, "I have it")
    row = page.get_by_role("table", name="API keys").get_by_role("row").filter(has_text=key)
    expect(row).to_contain_text(HOSTILE)
    page.get_by_role("button", name=f"More on key {key}").click()
    page.get_by_role("menuitem", name="A new secret").click()
    page.get_by_label("The former secret ends").select_option("0")
    dialog(page, "Make it")
    fresh = page.get_by_label("The secret", exact=True).inner_text().strip()
    assert account.get_key_by_key(key, fresh)["active"]
    with pytest.raises(cloud.CloudException):
        account.get_key_by_key(key, secret)
    dialog(page, "I have it")
    row.locator("label, .mantine-Switch-track").first.click()
    dialog(page, "Switch off")
    expect(row.get_by_role("switch")).not_to_be_checked()
    with pytest.raises(cloud.CloudException):
        account.get_key_by_key(key, fresh)


def test_ssh_keys_secrets_and_webhooks(screen: Screen) -> None:
    page = screen.open("/keys")
    page.get_by_role("button", name="Add an ssh key").click()
    page.get_by_label("Public key").fill(f"{PUBLIC} me@here")
    dialog(page, "Add")
    row = page.get_by_role("table", name="ssh keys").get_by_role("row").filter(has_text=PUBLIC[-16:])
    row.get_by_role("button", name="Remove").click()
    dialog(page, "Remove")
    expect(row).to_have_count(0)
    page.get_by_role("tab", name="Secrets").click()
    page.get_by_role("button", name="Add a secret").click()
    page.get_by_label("Name").fill("from-a-page")
    page.get_by_role("textbox", name="Variable").fill("FROM_A_PAGE")
    page.get_by_label(re.compile("^Value")).fill("what nobody sees")
    dialog(page, "Keep it")
    expect(page.get_by_role("table", name="Secrets").get_by_text("FROM_A_PAGE")).to_be_visible()
    assert cloud.secret.list()[0]["variables"] == ["FROM_A_PAGE"] and "what nobody sees" not in page.content()
    page.get_by_role("button", name="Remove").click()
    dialog(page, "Remove")
    expect(page.get_by_text("No secrets yet")).to_be_visible()
    page.get_by_role("tab", name="Webhooks").click()
    page.get_by_role("button", name="Add a webhook").click()
    page.get_by_label("Label").fill("nightly")
    page.get_by_label("Address").fill("https://example.org/ended")
    dialog(page, "Add")
    expect(page.get_by_role("dialog").locator("pre")).to_contain_text("whsec_")
    dialog(page, "Close")
    expect(page.get_by_role("table", name="Webhooks").get_by_text("https://example.org/ended")).to_be_visible()


def test_somebody_is_invited_and_changes_her_password(screen: Screen) -> None:
    page = screen.open("/account")
    page.get_by_role("button", name="Invite").click()
    page.get_by_label("Role", exact=True).select_option("admin")
    dialog(page, "Make the link")
    link = page.get_by_role("dialog").locator("pre").inner_text().strip()
    dialog(page, "Close")
    call(At(screen.server.url, "", ""), "POST", "/v1/signup", {
        "email": "quinn@example.org", "password": PASSWORD, "invitation": link.partition("#")[2]
    })  # fmt: skip
    expect(page.get_by_role("table", name="Members").get_by_text("quinn@example.org")).to_be_visible()
    hers = screen.open("/login?next=/account", stranger=True)
    hers.get_by_label("Name or e-mail address").fill("quinn")
    hers.get_by_label("Password", exact=True).fill(PASSWORD)
    hers.get_by_role("button", name="Log in", exact=True).click()
    expect(hers.get_by_role("table", name="Sessions").get_by_text("this one")).to_be_visible()
    hers.get_by_label("Password until now").fill(PASSWORD)
    hers.get_by_label(re.compile("New password")).fill(SECOND)
    hers.get_by_role("button", name="Change it").click()
    expect(hers.get_by_text("you are logged out everywhere else")).to_be_visible()
    assert account.list_keys("quinn", SECOND)
    page.get_by_role("row").filter(has_text="quinn").get_by_role("button", name="Remove").click()
    dialog(page, "Remove")
    expect(page.get_by_role("table", name="Members").get_by_text("quinn")).to_have_count(0)
    hers.goto("/account")
    expect(hers).to_have_url(re.compile("/login"))


def test_sessions_elsewhere_are_ended(screen: Screen) -> None:
    page = screen.open("/account")
    ticket = call(At(screen.server.url, screen.server.key, screen.server.secret), "POST", "/v1/login/ticket")["ticket"]
    other = screen.open(f"/#{ticket}", stranger=True)
    expect(other.get_by_role("heading", name="Home", level=1)).to_be_visible()
    other.goto("/jobs?state=error")
    expect(other.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    page.get_by_role("button", name="End all others").click()
    dialog(page, "End")
    expect(page.get_by_role("table", name="Sessions").get_by_role("row")).to_have_count(2)
    expect(other).to_have_url(re.compile(r"/login\?next=%2Fjobs%3Fstate%3Derror$"))
    expect(other.get_by_text("Your session has ended")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_keys_and_account_are_for_everybody(screen: Screen, dark: bool) -> None:
    page = screen.open("/account", dark=dark, narrow=True)
    for path in ("/account", "/keys", "/keys?tab=secrets", "/keys?tab=webhooks"):
        page.goto(path)
        expect(page.get_by_role("heading", level=2).first).to_be_visible()
        expect(page.locator(".mantine-Skeleton-root")).to_have_count(0)
        fits(page)
        accessible(page)
    page.goto("/keys")
    page.get_by_role("button", name="Create a key").click()
    expect(page.get_by_label("Note")).to_be_visible()
    accessible(page)
