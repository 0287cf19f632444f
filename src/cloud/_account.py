"""How ``cloud.account`` asks: logged in by name and password for one question, or by a key that is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cloud import _session
from picloud.wire.error import CloudException, SetupError

if TYPE_CHECKING:
    from picloud.wire.link import Link


def server() -> tuple[str, str]:
    """URL and fingerprint of the server in use; no key is needed for it.

    Raises:
        SetupError: jobs are simulated.
        CloudException: this is a job, which manages no keys.
    """
    if _session.running_on_cloud():
        raise CloudException("a job manages no keys", hint="use cloud.account on your machine")
    if _session.is_simulated():
        raise SetupError(
            "the simulator has no accounts", hint="cloud.setkey(...) leads back to a server; `picloud up` starts one"
        )
    current = _session._current
    url = current.url if current is not None else str(_session.config.url).rstrip("/")
    return url, str(_session.config.fingerprint)


@contextmanager
def door() -> Iterator[Link]:
    """A way to the server as nobody, as long as the block lasts."""
    from picloud.wire.link import Link

    url, fingerprint = server()
    link = Link(url, fingerprint=fingerprint)
    try:
        yield link
    finally:
        link.close()


@contextmanager
def login(username: str, password: str, account: str | None = None) -> Iterator[Link]:
    """A way to the server as a user, as long as the block lasts.

    Raises:
        NotAuthorized: the name or the password is wrong.
        TooMany: there were many wrong ones.
        NotFound: she does not belong to the account.
    """
    from picloud.wire.link import Link

    with door() as far:
        asked = {"user": username, "password": password, "account": account or ""}
        token = far.json("POST", "/v1/login/password", asked)["token"]
    url, fingerprint = server()
    link = Link(url, authorization=f"Bearer {token}", fingerprint=fingerprint)
    try:
        yield link
    finally:
        with suppress(CloudException):  # a new password has ended the session already
            link.json("POST", "/v1/logout", {})
        link.close()


def own(key: int, secret: str) -> dict[str, Any]:
    """What the server tells about a key to who shows it."""
    from picloud.wire.link import Link

    url, fingerprint = server()
    link = Link(url, key=str(key), secret=secret, fingerprint=fingerprint)
    try:
        found: dict[str, Any] = link.json("GET", "/v1/key/own")
        return found
    finally:
        link.close()


def shown(one: dict[str, Any], private: str | None = None) -> dict[str, Any]:
    """A key as users see it."""
    return {
        "api_key": one["api_key"], "api_secretkey": one.get("api_secretkey"), "private_key": private, "active": one["active"],
        "note": one["note"], "scopes": one["scopes"], "expires": moment(one["expires"]), "created": moment(one["created"]),
    }  # fmt: skip


def moment(value: int) -> datetime | None:
    """A time of the server; 0 = never."""
    return datetime.fromtimestamp(value / 1000, UTC) if value else None


def milliseconds(when: datetime | None) -> int:
    """The same the other way; a time without a zone is of this machine's.

    Raises:
        TypeError: it is no datetime.
    """
    if when is None:
        return 0
    if not isinstance(when, datetime):
        raise TypeError(f"expires is a datetime, not {when!r}")
    return int(when.timestamp() * 1000)


def key_pair() -> tuple[str, str]:
    """A new key pair for ssh into jobs: private and public half; both "" where OpenSSH's client is not installed."""
    import os
    import shutil
    import subprocess
    import tempfile

    program = shutil.which("ssh-keygen")
    if program is None:
        return "", ""
    with tempfile.TemporaryDirectory() as folder:
        made = os.path.join(folder, "key")
        words = [program, "-q", "-t", "ed25519", "-N", "", "-C", "picloud", "-f", made]
        subprocess.run(words, check=True, capture_output=True)
        with open(made, encoding="ascii") as private, open(f"{made}.pub", encoding="ascii") as public:
            return private.read(), " ".join(public.read().split()[:2])
