"""``picloud setup``: use a server from this machine and user. ``picloud completion``: the shell's."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from typing import Any

import click

from picloud import settings
from picloud.cli.call import Server, call, fingerprint, is_trusted, parts
from picloud.cli.flags import command, given
from picloud.cli.output import answer
from picloud.server.address import is_loopback
from picloud.server.credentials import configuration, secret_of, write_owner_credentials
from picloud.wire.error import Forbidden, SetupError
from picloud.wire.link import Link

DEFAULT_URL = "http://127.0.0.1:7421"


@command("setup")
@click.argument("url", required=False)
@click.option(
    "--fingerprint", "pinned", metavar="HEX", help="sha256 of the server's certificate, as `picloud up --host` prints it."
)
@click.option("-a", "--api-key", type=int, metavar="KEY", help="Numeric API key; PICLOUD_API_KEY.")
@click.option("-k", "--api-secretkey", metavar="SECRET", help="Its secret; PICLOUD_API_SECRETKEY.")
@click.option("-e", "--email", help="Log in by your name or e-mail address instead, and make a key for this machine.")
@click.option("-p", "--password", help="Asked for where it is not given.")
@click.option("--oidc", is_flag=True, help="Log in by OpenID Connect in a browser instead, and make a key for this machine.")
@click.option("--link", metavar="USER", help="With --oidc: tie that login to this user, by her password here.")
@click.option("--insecure", is_flag=True, help="Send the key over plain HTTP to another machine.")
def setup(
    url: str | None,
    pinned: str | None,
    api_key: int | None,
    api_secretkey: str | None,
    insecure: bool,
    **login: Any,
) -> None:
    """Use a server from this machine and user.

    What is not given is taken from PICLOUD_URL, PICLOUD_API_KEY and PICLOUD_API_SECRETKEY, else asked for; a secret that
    is stored already need not be given again. The key is tried before anything is stored.
    """
    home = settings.home()
    url = (url or os.environ.get("PICLOUD_URL") or _ask("Server", configuration(home).get("url") or DEFAULT_URL)).rstrip("/")
    pinned = _checked(url, pinned or os.environ.get("PICLOUD_FINGERPRINT", ""), insecure)
    api_key, api_secretkey = api_key or given().api_key, api_secretkey or given().api_secretkey
    api_key, api_secretkey = _logged_in(url, pinned, **login) or (api_key, api_secretkey)
    key = str(api_key or os.environ.get("PICLOUD_API_KEY") or _ask("API key"))
    if not key.isdigit():
        raise click.UsageError(f"an API key is a number, not {key!r}")
    secret = api_secretkey or os.environ.get("PICLOUD_API_SECRETKEY") or secret_of(home, key) or _ask("Secret", hidden=True)
    found = call(Server(url, key, secret, pinned), "GET", "/v1/server")
    write_owner_credentials(home, key, secret, url, pinned)
    _make_identity()
    account = found.get("account", "")
    answer(
        {"url": url, "api_key": int(key), "account": account, "home": str(home)}, f"Setup successful! Account {account} at {url}."
    )


def _logged_in(url: str, pinned: str, email: str, password: str, oidc: bool, link: str) -> tuple[int, str] | None:
    """A key for this machine, made by who logs in; None where nobody wants to."""
    if link and not oidc:
        raise click.UsageError("--link needs --oidc")
    if oidc:
        from picloud.cli import browser

        proof = {"user": link, "password": password or _ask("Password", hidden=True)} if link else {}
        return _made_by(url, pinned, browser.token(url, pinned, proof))
    return _key_of(url, pinned, email, password or _ask("Password", hidden=True)) if email else None


def _key_of(url: str, pinned: str, user: str, password: str) -> tuple[int, str]:
    """A key for this machine, made by somebody's password."""
    with closing(Link(url, fingerprint=pinned)) as door:
        token = door.json("POST", "/v1/login/password", {"user": user, "password": password})["token"]
    return _made_by(url, pinned, token)


def _made_by(url: str, pinned: str, token: str) -> tuple[int, str]:
    """A key for this machine, made by who is logged in; then the login ends."""
    import socket

    with closing(Link(url, authorization=f"Bearer {token}", fingerprint=pinned)) as link:
        made = link.json("POST", "/v1/key", {"note": socket.gethostname()[:200]})
        link.json("POST", "/v1/logout", {})
    return int(made["api_key"]), str(made["api_secretkey"])


def _make_identity() -> None:
    """The key pair for ssh into jobs; without OpenSSH's client here, the first use will say what lacks."""
    from cloud import _identity, config

    config.commit()
    try:
        _identity.path()
    except (SetupError, Forbidden) as error:
        click.echo(f"No ssh into jobs from here: {error}", err=True)


@command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a shell's completion script.

    For bash, put into ~/.bashrc:  eval "$(picloud completion bash)"
    """
    from click.shell_completion import get_completion_class

    from picloud.cli.main import picloud

    kind = get_completion_class(shell)
    assert kind
    script = kind(picloud, {}, "picloud", "_PICLOUD_COMPLETE").source()
    answer({"shell": shell, "script": script}, script)


def _checked(url: str, pinned: str, insecure: bool) -> str:
    """The fingerprint to pin ("" = none is needed), after asking about a certificate that nobody vouches for."""
    scheme, host, _ = parts(url)
    if scheme == "http":
        if not is_loopback(host) and not insecure:
            raise SetupError(
                f"{url} is plain HTTP to another machine: everybody on the way could read the key",
                hint="start the server with picloud up --host, or add --insecure",
            )
        return ""
    if pinned or is_trusted(url):
        return pinned
    seen = fingerprint(url)
    if not _interactive():
        raise SetupError(f"the certificate of {url} is not trusted", hint=f"if it is the right one, add --fingerprint {seen}")
    click.confirm(f"The certificate of {url} has the fingerprint\n  {seen}\nIs that what `picloud up` printed there?", abort=True)
    return seen


def _ask(what: str, default: str | None = None, hidden: bool = False) -> str:
    if not _interactive():
        if default:
            return default
        raise click.UsageError(f"{what} is missing: give it as a flag or in the environment (see picloud setup --help)")
    found: str = click.prompt(what, default=default, hide_input=hidden, err=True)
    return found


def _interactive() -> bool:
    return sys.stdin.isatty()
