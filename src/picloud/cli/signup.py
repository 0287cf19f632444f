"""``picloud sign-up`` and ``picloud password``: what the pages behind the links of an admin do, at a terminal."""

from __future__ import annotations

import sys
from typing import Any

import click

from picloud import settings
from picloud.cli.admin import new_password
from picloud.cli.call import Server, call, parts
from picloud.cli.flags import command
from picloud.cli.output import answer
from picloud.server.credentials import write_owner_credentials

pin_flag = click.option("--fingerprint", "pinned", metavar="HEX", default="", help="sha256 of the server's certificate.")


def _far(link: str, pinned: str) -> tuple[Server, str]:
    """The server that a link leads to, and what it has behind #."""
    address, _, token = link.partition("#")
    scheme, host, port = parts(address)
    return Server(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}", "", "", pinned), token


@command("sign-up")
@click.argument("link")
@click.option("-e", "--email", help="Your e-mail address.")
@click.option("--name", default="", help="Short and in small letters; without it: made from the address.")
@pin_flag
def sign_up(link: str, email: str | None, name: str, pinned: str) -> None:
    """Join by LINK, or by a server's URL where everybody may; the key that you get is stored on this machine.

    Who is a user there already gives her password and joins one more account. The password is asked for at a terminal, else it is
    a line of standard input.
    """
    server, token = _far(link, pinned)
    email = email or _ask("E-mail address")
    body = {"email": email, "name": name, "password": new_password(), "invitation": token}
    made: dict[str, Any] = call(server, "POST", "/v1/signup", body)
    write_owner_credentials(settings.home(), made["api_key"], made["api_secretkey"], server.url, pinned)
    text = f"Welcome, {made['user']}: {made['role']} of account {made['account']}. Key {made['api_key']} is stored and in use."
    answer({name: value for name, value in made.items() if name != "api_secretkey"}, text)


@command("password")
@click.argument("link", default="")
@click.option("-u", "--user", help="Your name or e-mail address, where there is no link.")
@click.option("--forgotten", is_flag=True, help="With --user: have a link sent to your e-mail address.")
@pin_flag
def password(link: str, user: str | None, forgotten: bool, pinned: str) -> None:
    """Set your password by LINK, which an admin prints; or, with --user, by the former one.

    Passwords are asked for at a terminal, else they are lines of standard input: the former one, then the new one.
    """
    if link:
        server, token = _far(link, pinned)
        done = call(server, "POST", "/v1/password/reset", {"link": token, "password": new_password()})
        answer(done, f"The password of {done['user']} is set.")
        return
    if not user:
        raise click.UsageError("give a link, or --user")
    from cloud import _account

    if forgotten:
        with _account.door() as far:
            far.json("POST", "/v1/password/forgotten", {"user": user})
        answer({"user": user}, f"If {user} is a user with an e-mail address, a link is on its way there.")
        return
    old = _old()
    with _account.login(user, old) as door:
        door.json("POST", "/v1/password", {"old": old, "new": new_password()})
    answer({"user": user}, f"The password of {user} is set; who was logged in by the former is logged out.")


def _old() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    found: str = click.prompt("Password until now", hide_input=True, err=True)
    return found


def _ask(what: str) -> str:
    if not sys.stdin.isatty():
        raise click.UsageError(f"{what} is missing: add --email")
    found: str = click.prompt(what, err=True)
    return found
