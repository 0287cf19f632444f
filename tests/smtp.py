"""An SMTP server that tests start, with a knob for what it answers."""

from __future__ import annotations

import ssl
import threading
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

DEADLINE = 20.0


class _Controller(Controller):
    def _trigger_server(self) -> None:  # it would look for itself at port 0
        assert self.server is not None
        self.port = int(self.server.sockets[0].getsockname()[1])
        super()._trigger_server()


class Post:
    """The server, and the mails that it has taken."""

    def __init__(self, user: str = "", password: str = "", certificate: tuple[Path, Path] | None = None) -> None:
        self.mails: list[tuple[str, list[str], EmailMessage]] = []
        self.answers: list[str] = []  # to the next mails, instead of taking them
        self._account, self._news = (user, password), threading.Condition()
        more: dict[str, Any] = {}
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*certificate)
            more = {"tls_context": context, "require_starttls": True}
        if user:
            more |= {"authenticator": self._knows, "auth_required": True, "auth_require_tls": bool(certificate)}
        self._server = _Controller(self, hostname="127.0.0.1", port=0, **more)
        self._server.start()
        self.port = self._server.port

    def stop(self) -> None:
        self._server.stop()

    def wait(self, count: int) -> list[tuple[str, list[str], EmailMessage]]:
        """The mails, when there are so many."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.mails) >= count, DEADLINE), f"{len(self.mails)} mails, not {count}"
            return list(self.mails)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        with self._news:
            if self.answers:
                return self.answers.pop(0)
            told = message_from_bytes(envelope.content, policy=default)
            assert isinstance(told, EmailMessage)
            self.mails.append((envelope.mail_from, list(envelope.rcpt_tos), told))
            self._news.notify_all()
        return "250 taken"

    def _knows(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == self._account, handled=False)
