"""Mails against a real SMTP server: what it refuses, what it does not answer, and what must never reach it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from picloud.server import mail
from picloud.server.mail import Mail
from picloud.server.selfsigned import certificate
from picloud.settings import Settings
from picloud.wire.error import SetupError
from tests.smtp import Post

FROM = "picloud@example.org"


@pytest.fixture
def post() -> Iterator[Post]:
    made = Post()
    yield made
    made.stop()


def to(post: Post, **more: Any) -> Settings:
    return Settings(**{"smtp_host": "127.0.0.1", "smtp_port": post.port, "smtp_tls": "none", "smtp_from": FROM, **more})


def rounds(mails: Mail) -> int:
    """How often it takes until none waits."""
    mails.pauses = (0.0, 0.0, 0.0)

    async def all_of_them() -> int:
        count = 1
        while await mails.deliver():
            count += 1
            assert count < 20
        return count

    return asyncio.run(all_of_them())


def test_a_mail_goes_out_beside_everything_else(post: Post) -> None:
    async def work() -> None:
        mails = Mail(to(post))
        loop = asyncio.ensure_future(mails.run())
        assert mails.send("anna@example.org", "Grüße", "A link:\n\nhttp://x/#y\n")
        ((sender, recipients, told),) = await asyncio.to_thread(post.wait, 1)
        assert (sender, recipients, told["Subject"], told["To"]) == (FROM, ["anna@example.org"], "Grüße", "anna@example.org")
        assert "http://x/#y" in told.get_content() and told["Auto-Submitted"] == "auto-generated"
        loop.cancel()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("answers", "count", "taken"),
    [([], 1, 1), (["451 later", "452 later"], 3, 1), (["550 never"], 1, 0), (["451 later"] * 9, 4, 0)],
    ids=["at once", "later", "never", "not for ever"],
)
def test_what_is_refused_for_now_comes_again_and_not_for_ever(post: Post, answers: list[str], count: int, taken: int) -> None:
    post.answers, mails = answers, Mail(to(post))
    mails.send("anna@example.org", "x", "x")
    assert (rounds(mails), len(post.mails)) == (count, taken)


def test_a_server_that_is_not_there_is_asked_a_few_times() -> None:
    mails = Mail(Settings(smtp_host="127.0.0.1", smtp_port=1, smtp_tls="none", smtp_from=FROM))
    assert mails.send("anna@example.org", "x", "x")
    assert rounds(mails) == 4


@pytest.mark.parametrize("address", ["a@b.org\r\nBcc: eve@b.org", "a@b.org,eve@b.org", "a b@c", "", "@", "<a@b.org>"])
def test_an_address_that_is_none_gets_nothing(post: Post, address: str) -> None:
    mails = Mail(to(post))
    mails.send(address, "x", "x")
    assert rounds(mails) == 1 and not post.mails


def test_lines_in_a_subject_are_no_headers(post: Post) -> None:
    mails = Mail(to(post))
    mails.send("anna@example.org", "x\r\nBcc: eve@b.org", "x")
    assert rounds(mails) == 1 and not post.mails


def test_over_tls_it_logs_in_with_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key, _ = certificate(tmp_path, "127.0.0.1")
    file = tmp_path / "password"
    file.write_text("secret\n")
    file.chmod(0o600)
    post = Post("ann", "secret", (cert, key))
    settings = to(post, smtp_tls="starttls", smtp_user="ann", smtp_password_file=str(file))
    try:
        for vouched, password, taken in ((False, "", 0), (True, "", 1), (True, "wrong", 1)):
            if vouched:
                monkeypatch.setenv("SSL_CERT_FILE", str(cert))
            if password:
                monkeypatch.setenv("PICLOUD_SMTP_PASSWORD", password)
            mails = Mail(settings)
            mails.send("anna@example.org", "x", "x")
            rounds(mails)
            assert len(post.mails) == taken, (vouched, password)
    finally:
        post.stop()


def test_without_a_server_none_is_sent_and_too_many_are_dropped(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Mail(Settings()).send("anna@example.org", "x", "x")
    monkeypatch.setattr(mail, "WAITING", 2)
    mails = Mail(to(post))
    assert [mails.send("anna@example.org", "x", "x") for _ in range(4)] == [True, True, False, False]


def test_settings_that_cannot_be_are_told_at_the_start(post: Post) -> None:
    for wrong in ({"smtp_from": ""}, {"smtp_from": "nobody"}, {"smtp_from": "a@b\n"},
                  {"smtp_host": "mail.example.org", "smtp_user": "ann"}):  # fmt: skip
        with pytest.raises(SetupError):
            Mail(to(post, **wrong))
