"""Logins by OpenID Connect: a server, a provider, a browser and a terminal."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from cloud import account
from picloud.server.api import page as pages
from picloud.wire.error import Conflict, Forbidden, NotAuthorized
from picloud.wire.link import Link
from tests.browser.chromium import chromium
from tests.browser.screen import DEADLINE
from tests.conftest import PICLOUD, Server, serving
from tests.oidc import CLIENT, SECRET, Provider

HOLDER = "what the browser keeps"
PASSWORD = "a horse that battles staples"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = tmp_path_factory.mktemp("oidc") / "secret"
    file.write_text(SECRET)
    file.chmod(0o600)
    lines = {"oidc_issuer": provider.issuer, "oidc_client": CLIENT, "oidc_secret_file": str(file), "oidc_account": "lab"}
    settings = "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())
    with serving(f"{settings}oidc_sign_up = true\noidc_domains = ['example.org']\n") as made:
        made.picloud("admin", "account", "add", "lab")
        yield made


@pytest.fixture
def nobody(server: Server) -> Iterator[Link]:
    link = Link(server.url)
    yield link
    link.close()


@pytest.fixture
def page() -> Iterator[Page]:
    """A window of somebody who is not logged in."""
    pages.FOLDER.file("index.html")  # make dashboard
    with chromium() as browser:
        made = browser.new_page(reduced_motion="reduce")
        made.set_default_timeout(DEADLINE)
        yield made


def begun(nobody: Link) -> str:
    body = {"holder": hashlib.sha256(HOLDER.encode()).hexdigest()}
    return str(nobody.json("POST", "/v1/login/oidc", body)["url"])


def finished(nobody: Link, provider: Provider, **more: str) -> Any:
    state, code = provider.log_in(begun(nobody))
    return nobody.json("POST", "/v1/login/oidc/finish", {"state": state, "code": code, "holder": HOLDER, **more})


def test_somebody_new_logs_in_with_a_browser(server: Server, provider: Provider, page: Page) -> None:
    provider.subject, provider.email = "100", "jane@example.org"
    page.goto(f"{server.url}/sign-in")
    page.get_by_role("button", name="OpenID Connect").click()
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()
    expect(page.get_by_role("button", name="Account menu")).to_contain_text("lab")
    assert page.context.cookies() == [] and page.evaluate("JSON.stringify(sessionStorage)") == "{}"
    assert "code=" not in page.url
    page.evaluate("localStorage.clear()")
    page.goto(f"{server.url}/sign-in?error=access_denied&error_description=She%20said%20no&state=x")
    expect(page.get_by_role("alert")).to_contain_text("She said no")
    acts = {one["act"]: one for one in reversed(server.picloud("admin", "audit"))}
    assert acts["login.tied"]["facts"]["known_as"] == "100" and acts["login.tied"]["user"] == "jane"
    assert [one["role"] for one in server.picloud("admin", "user", "list", "--account", "lab") if one["user"] == "jane"] == [
        "member"
    ]


def test_a_terminal_gets_a_key_by_a_browser(server: Server, provider: Provider, page: Page, tmp_path: Path) -> None:
    provider.subject, provider.email = "200", "carol@example.org"
    (tmp_path / "home").mkdir()
    env = {**os.environ, "PICLOUD_HOME": str(tmp_path / "home"), "BROWSER": "true"}
    words = [*PICLOUD, "setup", server.url, "--oidc"]
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as terminal:
        assert terminal.stderr is not None and terminal.stdout is not None
        assert "browser" in terminal.stderr.readline()
        page.goto(terminal.stderr.readline().strip())
        expect(page.get_by_text("close this page")).to_be_visible()
        assert "Account lab" in terminal.stdout.read()
        assert terminal.wait(30) == 0
    done = subprocess.run([*PICLOUD, "--json", "keys", "list"], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert [one["user"] for one in json.loads(done.stdout)] == ["carol"]


def test_a_ticket_and_a_code_work_once(server: Server, provider: Provider, nobody: Link) -> None:
    provider.subject, provider.email = "300", "dora@example.org"
    state, code = provider.log_in(begun(nobody))
    body = {"state": state, "code": code, "holder": HOLDER}
    with pytest.raises(NotAuthorized, match="elsewhere"):
        nobody.json("POST", "/v1/login/oidc/finish", body | {"holder": "an intruder's"})
    made = finished(nobody, provider)
    token = nobody.json("POST", "/v1/login", {"ticket": made["ticket"]})["token"]
    dora = Link(server.url, authorization=f"Bearer {token}")
    assert dora.json("GET", "/v1/server")["account"] == "lab"
    dora.close()
    with pytest.raises(NotAuthorized):
        nobody.json("POST", "/v1/login", {"ticket": made["ticket"]})
    with pytest.raises(NotAuthorized, match="finished before"):
        nobody.json("POST", "/v1/login/oidc/finish", body)


def test_an_address_that_is_not_verified_or_not_ours_opens_nothing(server: Server, provider: Provider, nobody: Link) -> None:
    provider.subject = "400"
    try:
        for email, verified in (("eve@example.org", False), ("eve@example.com", True)):
            provider.email, provider.said = email, {"email_verified": verified}
            with pytest.raises(Forbidden):
                finished(nobody, provider)
    finally:
        provider.said = {}
    assert "eve" not in {one["user"] for one in server.picloud("admin", "user", "list", "--all")}


def test_who_has_a_password_ties_a_login_by_it(server: Server, provider: Provider, nobody: Link) -> None:
    link = server.picloud("admin", "user", "add", "fay@example.org", "--account", "lab")["token"]
    nobody.json("POST", "/v1/password/reset", {"link": link, "password": PASSWORD})
    provider.subject, provider.email = "500", "fay@example.org"
    state, code = provider.log_in(begun(nobody))
    body = {"state": state, "code": code, "holder": HOLDER}
    with pytest.raises(Conflict, match="password"):
        nobody.json("POST", "/v1/login/oidc/finish", body)
    for wrong, why in (("not hers at all", HOLDER), (PASSWORD, "an intruder's")):
        again, code = provider.log_in(begun(nobody))
        with pytest.raises(NotAuthorized):
            nobody.json(
                "POST", "/v1/login/oidc/finish", {"state": again, "code": code, "holder": why, "user": "fay", "password": wrong}
            )
    mine = {"user": "fay", "password": "mistyped"}
    with pytest.raises(NotAuthorized, match="name or the password"):
        nobody.json("POST", "/v1/login/oidc/finish", body | mine)
    assert nobody.json("POST", "/v1/login/oidc/finish", body | mine | {"password": PASSWORD})["user"] == "fay", (
        "without the provider"
    )
    with pytest.raises(NotAuthorized, match="finished before"):
        nobody.json("POST", "/v1/login/oidc/finish", body)
    assert finished(nobody, provider)["user"] == "fay"
    assert account.list_keys("fay", PASSWORD) == []


def test_a_browser_asks_for_the_password_once_and_ties_the_two(
    server: Server, provider: Provider, nobody: Link, page: Page
) -> None:
    link = server.picloud("admin", "user", "add", "gil@example.org", "--account", "lab")["token"]
    nobody.json("POST", "/v1/password/reset", {"link": link, "password": PASSWORD})
    provider.subject, provider.email = "600", "gil@example.org"
    page.goto(f"{server.url}/login")
    page.get_by_role("button", name="OpenID Connect").click()
    expect(page.get_by_role("heading", name="One more thing")).to_be_visible()
    for password in ("mistyped", PASSWORD):
        page.get_by_label("Name or e-mail address").fill("gil")
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_role("button", name="Tie and log in").click()
        if password != PASSWORD:
            expect(page.get_by_role("alert")).to_contain_text("the password is wrong")
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()
    assert finished(nobody, provider)["user"] == "gil"


def test_a_provider_that_is_down_disturbs_nobody_else(server: Server, provider: Provider, nobody: Link) -> None:
    url = begun(nobody)
    state, code = provider.log_in(url)
    provider.down = True
    try:
        impatient = Link(server.url, patience=0.1)
        with pytest.raises(Exception, match="503"):
            impatient.json("POST", "/v1/login/oidc/finish", {"state": state, "code": code, "holder": HOLDER})
        impatient.close()
        assert account.list_keys("fay", PASSWORD) == []
    finally:
        provider.down = False
