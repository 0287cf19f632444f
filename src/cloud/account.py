"""API keys of your account, managed with your login name and password.

    made = cloud.account.create_key("anna@example.org", password, note="laptop")
    cloud.setkey(made["api_key"], made["api_secretkey"])
    cloud.account.deactivate_key("anna@example.org", password, made["api_key"])

A key is a dict: ``api_key`` (a number), ``api_secretkey`` and ``private_key`` (None but in the answer of :func:`create_key`:
the server does not know them), ``active``, ``note``, ``scopes``, ``expires`` and ``created`` (datetimes). Who is a member of an
account sees her own keys, its owners and admins all. Login names are names or e-mail addresses of users.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cloud import _account
from picloud.wire.error import NotFound

__all__ = ["activate_key", "create_key", "deactivate_key", "get_key", "get_key_by_key", "list_keys"]


def list_keys(username: str, password: str, active_only: bool = False, *, account: str | None = None) -> list[int]:
    """The numbers of the keys, oldest first.

    Args:
        username: login name.
        password: of that user.
        active_only: leave out those that are switched off.
        account: of which account; None = the one that the user owns, else the oldest that she belongs to.

    Raises:
        NotAuthorized: the name or the password is wrong.
        TooMany: there were many wrong ones; the hint says how long to wait.
        NotFound: the user does not belong to that account.
    """
    return [one["api_key"] for one in _all(username, password, account) if one["active"] or not active_only]


def get_key(username: str, password: str, api_key: int | str, *, account: str | None = None) -> dict[str, Any]:
    """One key; its secrets are None.

    Raises:
        NotFound: there is no such key. As :func:`list_keys` besides.
    """
    for one in _all(username, password, account):
        if one["api_key"] == int(api_key):
            return _account.shown(one)
    raise NotFound(f"there is no key {api_key}", hint="cloud.account.list_keys tells those that are there")


def _all(username: str, password: str, account: str | None) -> list[dict[str, Any]]:
    with _account.login(username, password, account) as link:
        found: list[dict[str, Any]] = link.json("GET", "/v1/key")["keys"]
    return found


def create_key(
    username: str,
    password: str,
    *,
    note: str = "",
    scopes: Sequence[str] | None = None,
    expires: datetime | None = None,
    account: str | None = None,
) -> dict[str, Any]:
    """Make a key. Its secrets are in this answer and can never be asked for again.

    Args:
        username: login name.
        password: of that user.
        note: what it is for; at most 200 characters.
        scopes: some of ``jobs``, ``code``, ``bucket``, ``queue``, ``read``, ``admin``; None = all but ``admin``.
        expires: when it ends by itself; None = never.
        account: as in :func:`list_keys`.

    Returns:
        The key, with ``api_secretkey``, and ``private_key``, an OpenSSH one for ssh into jobs (None where OpenSSH's client is
        not installed on this machine).

    Raises:
        BadRequest: there is no such scope, or ``expires`` has passed.
        Forbidden: more scopes than this user may give. As :func:`list_keys` besides.
    """
    wish = {"note": note, "scopes": None if scopes is None else list(scopes), "expires": _account.milliseconds(expires)}
    private, public = _account.key_pair()
    with _account.login(username, password, account) as link:
        made = link.json("POST", "/v1/key", {**wish, "public": public})
    return _account.shown(made, private or None)


def activate_key(username: str, password: str, api_key: int | str, *, account: str | None = None) -> bool:
    """Switch a key on again; True.

    Raises:
        NotFound: there is no such key. As :func:`list_keys` besides.
    """
    return _switch(username, password, api_key, True, account)


def deactivate_key(username: str, password: str, api_key: int | str, *, account: str | None = None) -> bool:
    """Switch a key off, at once, with all that is open by it; True.

    Raises:
        NotFound: there is no such key. As :func:`list_keys` besides.
    """
    return _switch(username, password, api_key, False, account)


def _switch(username: str, password: str, api_key: int | str, active: bool, account: str | None) -> bool:
    with _account.login(username, password, account) as link:
        link.json("POST", "/v1/key/change", {"api_key": int(api_key), "active": active})
    return True


def get_key_by_key(api_key: int | str, api_secretkey: str) -> dict[str, Any]:
    """What the server knows of a key, asked with that key itself; its secrets are None.

    Raises:
        NotAuthorized: the secret is wrong, or the key is switched off or has expired.
    """
    return _account.shown(_account.own(int(api_key), api_secretkey))
