"""Links that go out by mail: invitations, and passwords that somebody has forgotten."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import cloud
from cloud import account
from picloud.wire.error import NotFound, TooMany
from picloud.wire.link import Link
from tests.conftest import PICLOUD, Server, serving
from tests.smtp import Post

PASSWORD, SECOND = "a horse that battles staples", "another horse altogether"
PUBLIC = "https://cloud.example.org"


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    made = Post()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(post: Post) -> Iterator[Server]:
    lines = {"smtp_host": "127.0.0.1", "smtp_port": post.port, "smtp_tls": "none", "smtp_from": "picloud@example.org",
             "public_url": f"{PUBLIC}/"}  # fmt: skip
    with serving("".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())) as made:
        yield made


@pytest.fixture
def nobody(server: Server) -> Iterator[Link]:
    link = Link(server.url)
    yield link
    link.close()


def token_to(post: Post, count: int, to: str, what: str) -> str:
    """What the mail of that number has behind #."""
    sender, recipients, told = post.wait(count)[count - 1]
    assert (sender, recipients) == ("picloud@example.org", [to])
    found = re.search(rf"{PUBLIC}/{what}#(\S+)", told.get_content())
    assert found, told.get_content()
    return found[1]


def test_an_invitation_is_printed_and_mailed(server: Server, post: Post, nobody: Link) -> None:
    made = server.picloud("admin", "user", "invite", "anna@example.org")
    assert made["mailed"] and made["link"].startswith(server.url)
    token = token_to(post, 1, "anna@example.org", "sign-up")
    assert token == made["invitation"]
    body = {"email": "anna@example.org", "password": PASSWORD, "invitation": token}
    assert nobody.json("POST", "/v1/signup", body)["user"] == "anna"
    assert not server.picloud("admin", "user", "invite")["mailed"], "nobody is named"


def test_who_has_forgotten_her_password_gets_a_link(server: Server, post: Post, nobody: Link, tmp_path: Path) -> None:
    env = {**os.environ, "PICLOUD_HOME": str(server.home)}
    for _ in range(2):  # one mail is on its way already: there is no second one
        done = subprocess.run([*PICLOUD, "password", "--user", "anna@example.org", "--forgotten"], env=env, capture_output=True,
                              text=True, timeout=60, check=True)  # fmt: skip
        assert "If anna@example.org is a user" in done.stdout
    token = token_to(post, 2, "anna@example.org", "password")
    nobody.json("POST", "/v1/password/reset", {"link": token, "password": SECOND})
    cloud.setkey(server.key, server.secret, server.url)
    assert account.list_keys("anna", SECOND)
    made = server.picloud("admin", "user", "passwd", "anna", "--link")
    assert made["mailed"] and token_to(post, 3, "anna@example.org", "password") == made["token"]
    assert len(post.mails) == 3


def test_nobody_learns_whether_there_is_such_a_user(server: Server, post: Post, nobody: Link) -> None:
    before = len(post.mails)
    known = nobody.json("POST", "/v1/password/forgotten", {"user": "anna"})
    for name in ("nobody", "nobody@example.org", server.account(), "", "\0", "%", "x" * 10_000):
        assert nobody.json("POST", "/v1/password/forgotten", {"user": name}) == known == {}
    server.picloud("admin", "user", "invite", "last@example.org")
    assert post.wait(before + 1)[before][1] == ["last@example.org"], "no other mail went out before"
    impatient = Link(server.url, patience=0.1)
    for _ in range(4):
        impatient.json("POST", "/v1/password/forgotten", {"user": "eve@example.org"})
    impatient.json("POST", "/v1/password/forgotten", {"user": "eve@example.org"})
    with pytest.raises(TooMany):
        impatient.json("POST", "/v1/password/forgotten", {"user": "eve@example.org"})
    impatient.close()
    told = server.picloud("admin", "audit")
    assert [one["subject"] for one in told if one["act"] == "password.forgotten"] == ["anna"]


def test_a_foreign_host_name_is_in_no_mail(server: Server, post: Post, nobody: Link) -> None:
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    at, before = urlsplit(server.url), len(post.mails)
    link = server.picloud("admin", "user", "add", "carl@example.org", "--account", server.account())["token"]
    nobody.json("POST", "/v1/password/reset", {"link": link, "password": PASSWORD})
    line = HTTPConnection(at.hostname or "", at.port, timeout=10)
    line.request("POST", "/v1/password/forgotten", json.dumps({"user": "carl"}), {"Host": "192.0.2.1"})
    assert line.getresponse().status == 200
    line.close()
    token_to(post, before + 2, "carl@example.org", "password")
    assert all("192.0.2.1" not in told.get_content() for _, _, told in post.mails)


def test_without_a_mail_server_it_is_said(tmp_path: Path) -> None:
    with serving() as plain:
        link = Link(plain.url)
        with pytest.raises(NotFound, match="no mails"):
            link.json("POST", "/v1/password/forgotten", {"user": "anna"})
        link.close()
        assert not plain.picloud("admin", "user", "invite", "anna@example.org")["mailed"]


def test_a_dead_mail_server_disturbs_no_act() -> None:
    lines = "smtp_host = '127.0.0.1'\nsmtp_port = 1\nsmtp_tls = 'none'\nsmtp_from = 'picloud@example.org'\n"
    with serving(lines) as lonely:
        made = lonely.picloud("admin", "user", "invite", "anna@example.org")
        assert made["link"].startswith(lonely.url)
        assert lonely.picloud("status")["address"] == lonely.url
