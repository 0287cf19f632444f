"""The pages behind the links of an admin, in a real browser: one signs up, and sets another password."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cloud import account
from tests.flow.browser import Page, browser

PASSWORD, SECOND = "a horse that reads pages", "another horse that does"


def fill(page: Page, **values: str) -> str:
    """Fill the form in, send it, and read what the page says then."""
    for name, value in values.items():
        page.run(f"document.getElementById('{name}').value = '{value}'")
    page.run("document.getElementById('said').textContent = ''")
    page.run("document.querySelector('button').click()")
    return str(page.wait("document.getElementById('said').textContent"))


def test_one_signs_up_and_renews_the_password(server: Any, tmp_path: Path) -> None:
    link = server.picloud("admin", "user", "invite", "pam@example.org")["link"]
    with browser(tmp_path) as page:
        page.open(link)
        assert page.run("location.hash") == "", "the link stays in no history"
        assert "another e-mail" in fill(page, email="eve@example.org", password=PASSWORD)
        assert "Welcome, pam" in fill(page, email="pam@example.org", password=PASSWORD)
        line = page.run("document.getElementById('next').textContent").split()
        assert line[:4] == ["picloud", "setup", server.url, "-a"]
        assert account.get_key_by_key(line[4], line[6])["active"]
        page.open(link)
        assert "used" in fill(page, email="pam@example.org", password=PASSWORD)
        page.open(server.picloud("admin", "user", "passwd", "pam", "--link")["link"])
        assert page.run("document.getElementById('email').offsetParent === null")
        assert "is set" in fill(page, password=SECOND)
    assert account.list_keys("pam", SECOND) == [int(line[4])]
