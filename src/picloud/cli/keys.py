"""``picloud keys``: API keys of your account. Also what ``picloud admin key`` is made of."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import click

from picloud import settings
from picloud.cli import output
from picloud.cli.call import call, configured
from picloud.cli.flags import GlobalFlags, Group, as_json
from picloud.server.credentials import secret_of, write_secret
from picloud.wire.scope import NAMES

KEY = click.argument("key", type=int)
COLUMNS = ["api_key", "active", "scopes", "expires", "user", "note"]
UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}
LENGTH = re.compile(r"(\d+(?:\.\d+)?)([mhdw])")

note_flag = click.option("-n", "--note", default="", help="What it is for; at most 200 characters.")
scope_flag = click.option(
    "--scope", "scopes", type=click.Choice(NAMES), multiple=True,
    help="What it may do; may be repeated. A new key without it: all but admin.",
)  # fmt: skip
expires_flag = click.option("--expires", metavar="WHEN", help="When it ends: after 12h, 30d, 8w, or on 2030-12-31; 'never'.")
overlap_flag = click.option("--overlap", metavar="LENGTH", default="", help="The former secret works for so long: 30m, 12h, 7d.")


class Length(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """``30m``, ``12h``, ``7d`` or ``8w``, as seconds."""

    name = "length"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = LENGTH.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no length of time: write 30m, 12h, 7d or 8w", param, ctx)
        return float(found[1]) * UNITS[found[2]]


def moment(text: str | None) -> int | None:
    """A time in words as epoch ms; 0 = never, None = nothing was said."""
    if text is None:
        return None
    if text == "never":
        return 0
    if LENGTH.fullmatch(text):
        return int((time.time() + Length().convert(text, None, None)) * 1000)
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except ValueError:
        raise click.UsageError(f"{text!r} is no time: write 12h, 30d, 8w, a date such as 2030-12-31, or never") from None


def show_keys(account: str = "") -> None:
    """List keys."""
    query = f"?{urlencode({'account': account})}" if account else ""
    found = call(configured(), "GET", f"/v1/key{query}")["keys"]
    if as_json():
        output.answer(found)
        return
    rows = [{**one, "active": "yes" if one["active"] else "no", "scopes": " ".join(one["scopes"]),
             "expires": shown_time(one["expires"])} for one in found]  # fmt: skip
    output.table(COLUMNS, rows)


def shown_time(value: int) -> str:
    """Epoch ms in UTC, without the zone; "" = never."""
    return f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M}" if value else ""


def make_key(note: str, scopes: Sequence[str], expires: str | None, account: str = "") -> None:
    """Make a key and print its secret."""
    wish = {"note": note, "scopes": list(scopes) or None, "expires": moment(expires) or 0, "account": account}
    show_secret(call(configured(), "POST", "/v1/key", wish))


def show_secret(made: dict[str, Any]) -> None:
    """Print a key with its secret."""
    server = configured()
    pin = f" --fingerprint {server.fingerprint}" if server.fingerprint else ""
    line = f"picloud setup {server.url}{pin} -a {made['api_key']} -k {made['api_secretkey']}"
    text = f"API key {made['api_key']}, secret {made['api_secretkey']}\nIt is shown only now. Its user types: {line}"
    output.answer(made | {"setup": line}, text)


def change_key(key: int, account: str = "", **wish: Any) -> None:
    """Change what is given of a key."""
    output.answer(call(configured(), "POST", "/v1/key/change", {"api_key": key, "account": account, **wish}))


def rotate_key(key: int, overlap: str, account: str = "") -> None:
    """Give a key a new secret; where this machine has the former one stored, store it here."""
    seconds = Length().convert(overlap, None, None) if overlap else 0.0
    made = call(configured(), "POST", "/v1/key/rotate", {"api_key": key, "overlap": seconds, "account": account})
    home = settings.home()
    if secret_of(home, key):
        write_secret(home, key, made["api_secretkey"])
    show_secret(made)


@click.group("keys", cls=Group)
def keys() -> None:
    """API keys of your account; the key in use needs the scope admin to change any.

    Scopes: jobs, code (bring functions and programs), bucket, queue, read (all that only asks), admin.
    """


def commands(group: click.Group, of_account: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """The commands of ``group``; ``of_account`` says whose keys they are about."""

    @group.command("list", cls=GlobalFlags)
    @of_account
    def list_(account: str = "") -> None:
        """List keys, oldest first."""
        show_keys(account)

    @group.command("create", cls=GlobalFlags)
    @of_account
    @note_flag
    @scope_flag
    @expires_flag
    def create(note: str, scopes: tuple[str, ...], expires: str | None, account: str = "") -> None:
        """Make a key and print its secret, which is shown only now."""
        make_key(note, scopes, expires, account)

    @group.command("activate", cls=GlobalFlags)
    @of_account
    @KEY
    def activate(key: int, account: str = "") -> None:
        """Switch a key on again."""
        change_key(key, account, active=True)

    @group.command("deactivate", cls=GlobalFlags)
    @of_account
    @KEY
    def deactivate(key: int, account: str = "") -> None:
        """Switch a key off, at once, with all that is open by it."""
        change_key(key, account, active=False)


commands(keys, lambda command: command)


@keys.command("rotate", cls=GlobalFlags)
@KEY
@overlap_flag
def rotate(key: int, overlap: str) -> None:
    """Give a key a new secret; one that is stored on this machine is stored anew."""
    rotate_key(key, overlap)


@keys.command("note", cls=GlobalFlags)
@KEY
@click.argument("text")
def note(key: int, text: str) -> None:
    """Say what a key is for."""
    change_key(key, note=text)


@keys.command("limit", cls=GlobalFlags)
@KEY
@scope_flag
@expires_flag
def limit(key: int, scopes: tuple[str, ...], expires: str | None) -> None:
    """Give a key other scopes, or another end."""
    if not scopes and expires is None:
        raise click.UsageError("say which: --scope, --expires, or both")
    change_key(key, scopes=list(scopes) or None, expires=moment(expires))
