"""``picloud admin``: accounts, users and keys of the server, and what was done there."""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.parse import urlencode

import click

from picloud.cli import awards, keys, output
from picloud.cli.call import call, configured
from picloud.cli.flags import GlobalFlags, Group, as_json
from picloud.cli.money import add_to
from picloud.cli.output import answer
from picloud.wire.error import BadRequest
from picloud.wire.scope import Role

USER = click.argument("user")
ROLES = click.Choice([*Role.__members__])
account_flag = click.option("--account", default="", metavar="NAME", help="Of this account; without it: your own.")
hours_flag = click.option("--hours", type=click.FloatRange(0, 90 * 24, min_open=True), help="How long the link works.")


def _ask(method: str, path: str, body: Any = None) -> Any:
    return call(configured(), method, path, body)


def _lifetime(hours: float | None) -> dict[str, float]:
    return {} if hours is None else {"hours": hours}


@click.group("admin", cls=Group)
def admin() -> None:
    """Accounts, users, keys, and the audit log.

    For the owner of the server; members, invitations and the log of an account also for its own owners and admins. The key in use
    needs the scope admin.
    """


# -- accounts ----------------------------------------------------------------------------------------------------------


add_to(admin)
admin.add_command(awards.call)


@admin.group("account", cls=Group)
def account() -> None:
    """Accounts: each has its own jobs, data, members and keys."""


@account.command("add", cls=GlobalFlags)
@click.argument("name")
def add(name: str) -> None:
    """Make the account NAME and print its key; the secret is shown only now."""
    server = configured()
    made = call(server, "POST", "/v1/admin/account", {"name": name})
    key, secret = made["api_key"], made["api_secretkey"]
    url = f"{server.url} --fingerprint {server.fingerprint}" if server.fingerprint else server.url
    line = f"picloud setup {url} -a {key} -k {secret}"
    answer(made | {"setup": line}, f"Account {name}, API key {key}, secret {secret}\nIts user types: {line}")


@account.command("list", cls=GlobalFlags)
def list_accounts() -> None:
    """List all accounts; one that was removed is going until nothing is left of it."""
    found = _ask("GET", "/v1/admin/account")["accounts"]
    output.table(
        ["name", "created", "active"],
        found if as_json() else [one | {"created": keys.shown_time(one["created"]), "active": _state(one)} for one in found],
    )


@account.command("deactivate", cls=GlobalFlags)
@click.argument("name")
def deactivate(name: str) -> None:
    """Switch the account NAME off: its keys open nothing, what it runs is killed, what waits goes on waiting."""
    made = _ask("POST", "/v1/admin/account/change", {"name": name, "active": False})
    answer(made, f"Account {name} is switched off.")


@account.command("activate", cls=GlobalFlags)
@click.argument("name")
def activate(name: str) -> None:
    """Switch the account NAME on again."""
    made = _ask("POST", "/v1/admin/account/change", {"name": name, "active": True})
    answer(made, f"Account {name} is switched on.")


@account.command("remove", cls=GlobalFlags)
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def remove(name: str, yes: bool) -> None:
    """Remove the account NAME for good, with all that it has; it must be switched off.

    Its costs and what was done in it stay on record, under its name and number. The name is free at once.
    """
    if not yes and click.prompt("All that it has is removed for good. Its name again", err=True) != name:
        raise BadRequest("that is another name", hint="nothing was removed")
    made = _ask("POST", "/v1/admin/account/remove", {"name": name})
    answer(made, f"Account {name} is removed; `picloud admin account list` shows it until nothing is left of it.")


# -- keys --------------------------------------------------------------------------------------------------------------


@admin.group("key", cls=Group)
def key() -> None:
    """API keys of any account."""


keys.commands(key, click.argument("account"))


# -- users -------------------------------------------------------------------------------------------------------------


@admin.group("user", cls=Group)
def user() -> None:
    """Users: people with a name, a password, and a role in one account or several."""


@user.command("add", cls=GlobalFlags)
@click.argument("email")
@click.option("--name", default="", help="Short and in small letters; without it: made from the address.")
@click.option("--account", default="", metavar="NAME", help="In this account; without it: in a new one of her name.")
@click.option("--role", type=ROLES, default="member", help="What she is there.")
@hours_flag
def add_user(email: str, name: str, account: str, role: str, hours: float | None) -> None:
    """Make a user and print the link by which she sets her password; it works once."""
    body = {"email": email, "name": name, "account": account, "role": role}
    made = _ask("POST", "/v1/admin/user", body | _lifetime(hours))
    answer(made, f"User {made['user']} of account {made['account']}. To set her password, until {_until(made)}:\n{made['link']}")


@user.command("invite", cls=GlobalFlags)
@click.argument("email", default="")
@account_flag
@click.option("--new", is_flag=True, help="To an account of her own instead (the server's owner only).")
@click.option("--role", type=ROLES, default="member", help="What she will be in the account.")
@hours_flag
def invite(email: str, account: str, new: bool, role: str, hours: float | None) -> None:
    """Print a link by which somebody joins an account; it works once, under EMAIL alone if that is given."""
    body = {"email": email, "account": account, "new": new, "role": role}
    made = _ask("POST", "/v1/invitation", body | _lifetime(hours))
    answer(made, f"Works once, until {_until(made)}:\n{made['link']}")


@user.command("list", cls=GlobalFlags)
@account_flag
@click.option("--all", "every", is_flag=True, help="Of all accounts (the server's owner only).")
def list_users(account: str, every: bool) -> None:
    """List the members of an account."""
    query = urlencode({"all": 1} if every else {"account": account})
    found = _ask("GET", f"/v1/member?{query}")["members"]
    if not as_json():
        found = [one | {"password": _yes(one["password"])} for one in found]
    output.table(["user", "email", "account", "role", "password"], found)


@user.command("passwd", cls=GlobalFlags)
@USER
@click.option("--link", is_flag=True, help="Print a link instead, by which the user sets it.")
@hours_flag
def passwd(user: str, link: bool, hours: float | None) -> None:
    """Set a user's password: asked for at a terminal, else a line of standard input."""
    if link:
        made = _ask("POST", "/v1/admin/user/password", {"user": user} | _lifetime(hours))
        answer(made, f"To set the password of {made['user']}, once, until {_until(made)}:\n{made['link']}")
        return
    made = _ask("POST", "/v1/admin/user/password", {"user": user, "password": new_password()})
    answer(made, f"The password of {made['user']} is set; who was logged in by the former is logged out.")


@user.command("role", cls=GlobalFlags)
@USER
@click.argument("role", type=click.Choice([*Role.__members__, "none"]))
@account_flag
def role(user: str, role: str, account: str) -> None:
    """Make USER a member, admin or owner of an account; none takes her out and switches her keys for it off."""
    answer(_ask("POST", "/v1/member", {"user": user, "role": role, "account": account}))


def new_password() -> str:
    """A new password, typed twice, or a line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    made: str = click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    return made


def _state(one: dict[str, Any]) -> str:
    return "going" if one["going"] else _yes(one["active"])


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _until(made: dict[str, Any]) -> str:
    return f"{keys.shown_time(made['expires'])} UTC{', and on its way by mail' if made.get('mailed') else ''}"


# -- the log -----------------------------------------------------------------------------------------------------------


@admin.command("audit", cls=GlobalFlags)
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=100, help="So many rows.")
@click.option("--before", type=int, default=0, metavar="ID", help="Only what came before this row.")
def audit(limit: int, before: int) -> None:
    """What was done that concerns security: who, from where, what, on what, when; the newest first."""
    found = _ask("GET", f"/v1/audit?{urlencode({'limit': limit, 'before': before})}")["acts"]
    if as_json():
        answer(found)
        return
    rows = [{"id": one["id"], "when": keys.shown_time(one["at"]), "who": _who(one), "account": one["account"],
             "from": one["address"] or "this machine", "act": one["act"], "on": one["subject"],
             "facts": json.dumps(one["facts"]) if one["facts"] else ""} for one in found]  # fmt: skip
    output.table(["id", "when", "who", "account", "from", "act", "on", "facts"], rows)


def _who(one: dict[str, Any]) -> str:
    key = f"key {one['api_key']}" if one["api_key"] else ""
    job = f"job {one['jid']}" if one["jid"] else ""
    return " ".join(part for part in (one["user"], key, job) if part) or "-"
