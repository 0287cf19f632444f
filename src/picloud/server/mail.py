"""Mails: sent beside the requests that they come of, a few times if need be, and never in the way of anything.

They wait in memory. What is in them are links that work once, of which we keep the sha256 alone; so a mail that was not sent when
the server ends is lost, and its link with it. An admin has the link anyway, and who asks for one asks again.
"""

from __future__ import annotations

import asyncio
import logging
import smtplib
import ssl
import time
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import NamedTuple

from picloud.server.address import is_loopback
from picloud.server.confided import secret
from picloud.settings import Settings
from picloud.wire.error import SetupError

log = logging.getLogger("picloud.mail")

PORTS = {"starttls": 587, "tls": 465, "none": 25}
TIMEOUT = 20.0
PAUSES = (5.0, 60.0, 600.0)
"""Seconds before a mail that could not be sent is tried again; after the last of them it is dropped."""
WAITING = 1000
"""Mails; further ones are dropped."""


class _Mail(NamedTuple):
    due: float  # of the monotonic clock
    tries: int
    to: str
    subject: str
    text: str


class Mail:
    """The way to an SMTP server, where the settings name one.

    Raises:
        SetupError: they are not whole, or would send a password in the clear.
    """

    pauses = PAUSES

    def __init__(self, settings: Settings) -> None:
        self._host, self._tls, self._user = settings.smtp_host, settings.smtp_tls, settings.smtp_user
        self._port = settings.smtp_port or PORTS[settings.smtp_tls]
        self._password = secret("PICLOUD_SMTP_PASSWORD", settings.smtp_password_file, "smtp_password_file")
        self._from = settings.smtp_from
        self._waiting: list[_Mail] = []
        self._news = asyncio.Event()
        if self._host:
            self._check()

    def _check(self) -> None:
        try:
            Address(addr_spec=self._from)
        except (ValueError, IndexError, MessageError) as error:
            raise SetupError(f"smtp_from cannot be {self._from!r}", hint="an address, such as picloud@example.org") from error
        if self._user and self._tls == "none" and not is_loopback(self._host):
            raise SetupError("smtp_tls is none: everybody on the way could read the password", hint="smtp_tls = 'starttls'")

    @property
    def is_set(self) -> bool:
        """Whether mails are sent at all."""
        return bool(self._host)

    def send(self, to: str, subject: str, text: str) -> bool:
        """Send a mail soon; whether that will be tried.

        Args:
            to: one address; "" = nobody.
        """
        if not self._host or not to or len(self._waiting) >= WAITING:
            if self._host and to:
                log.error("a mail is dropped: %d wait already", WAITING)
            return False
        self._waiting.append(_Mail(time.monotonic(), 0, to, subject, text))
        self._news.set()
        return True

    async def run(self) -> None:
        """Send what waits, until cancelled."""
        while True:
            self._news.clear()
            due = min((one.due for one in self._waiting), default=None)
            try:
                async with asyncio.timeout(None if due is None else max(0.0, due - time.monotonic())):
                    await self._news.wait()
            except TimeoutError:
                await self.deliver()

    async def deliver(self) -> int:
        """Send those whose time has come; how many wait then."""
        now = time.monotonic()
        due = [one for one in self._waiting if one.due <= now]
        self._waiting = [one for one in self._waiting if one.due > now]
        for one in due:
            again = await asyncio.to_thread(self._deliver, one)
            if again and one.tries < len(self.pauses):
                self._waiting.append(one._replace(due=time.monotonic() + self.pauses[one.tries], tries=one.tries + 1))
            elif again:
                log.error("a mail to %r was tried %d times and is dropped", one.to, one.tries + 1)
        return len(self._waiting)

    def _deliver(self, one: _Mail) -> bool:
        """Hand a mail to the server; whether it makes sense to try again."""
        try:
            message = self._message(one)
            with self._connected() as server:
                server.send_message(message, self._from, [one.to])
        except smtplib.SMTPRecipientsRefused as error:
            code = max((answer[0] for answer in error.recipients.values()), default=0)
            return self._failed(one, error, for_good=code >= 500)
        except smtplib.SMTPNotSupportedError as error:
            return self._failed(one, error, for_good=True)
        except smtplib.SMTPResponseException as error:
            return self._failed(one, error, for_good=error.smtp_code >= 500 and not isinstance(error, smtplib.SMTPConnectError))
        except (ValueError, MessageError) as error:
            return self._failed(one, error, for_good=True)
        except OSError as error:  # also all else of smtplib and ssl
            return self._failed(one, error, for_good=False)
        return False

    def _failed(self, one: _Mail, error: Exception, *, for_good: bool) -> bool:
        log.warning("a mail to %r could not be sent%s: %s", one.to, " and is dropped" if for_good else "", error)
        return not for_good

    def _message(self, one: _Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"] = Address(addr_spec=self._from), Address(addr_spec=one.to)
        message["Subject"], message["Date"] = one.subject, formatdate()
        message["Message-ID"] = make_msgid(domain=self._from.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(one.text)
        return message

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=TIMEOUT, context=context)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=TIMEOUT)
        try:
            if self._tls == "starttls":
                server.starttls(context=context)
            if self._user:
                server.login(self._user, self._password)
        except BaseException:
            server.close()
            raise
        return server
