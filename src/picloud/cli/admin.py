"""``picloud admin``: what only the owner of a server may do."""

from __future__ import annotations

import click

from picloud.cli.call import call, configured
from picloud.cli.flags import GlobalFlags, Group
from picloud.cli.output import answer


@click.group("admin", cls=Group)
def admin() -> None:
    """Accounts of the server (its owner only)."""


@admin.group("account", cls=Group)
def account() -> None:
    """Accounts: each has its own jobs and keys."""


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
