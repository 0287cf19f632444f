"""``picloud admin grant``, ``limit`` and ``report``: the money of accounts."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from picloud.cli import output
from picloud.cli.call import call, configured
from picloud.cli.flags import GlobalFlags
from picloud.cli.usage import summary
from picloud.wire import money
from picloud.wire.money import shown

_SPAN = re.compile(r"(\d{1,5})([dwmy])")
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}


class Dollars(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """``500``, ``$12.50``: an exact amount."""

    name = "dollars"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if not isinstance(value, str) or value == NO_LIMIT:
            return value  # type: ignore[no-any-return]  # converted before
        try:
            return money.amount(value)
        except ValueError as error:
            self.fail(str(error))


NO_LIMIT = "none"


def add_to(group: click.Group) -> None:
    """Put the commands into ``picloud admin``."""
    for command in (grant, limit, report):
        group.add_command(command)


@click.command("grant", cls=GlobalFlags)
@click.argument("account")
@click.argument("amount", type=Dollars())
@click.option("--reason", default="", help="What it is for; the account sees it.")
@click.option("--expires", metavar="DAY", help="2026-12-31 (its last day, UTC), or 90d, 12w, 6m, 1y from now.  [default: never]")
def grant(account: str, amount: int, reason: str, expires: str | None) -> None:
    """Give ACCOUNT an AMOUNT of dollars to spend."""
    body = {"account": account, "amount": amount, "reason": reason, "expires": None if expires is None else moment(expires),
            "token": secrets.token_hex(16)}  # fmt: skip
    server = configured()
    made = call(server, "POST", "/v1/admin/grant", body)
    output.answer(made, f"Grant {made['grant']}: {shown(amount)} for {account}")


def moment(text: str, what: str = "--expires") -> int:
    """A time to come, in epoch ms: the end of a day, or so long from now. ``what``: the flag that says it."""
    span = _SPAN.fullmatch(text)
    if span:
        return int((datetime.now(UTC) + timedelta(days=int(span[1]) * _DAYS[span[2]])).timestamp() * 1000)
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise click.UsageError(f"{what} takes a day as 2026-12-31 or a span as 90d, not {text!r}") from None
    return int((day + timedelta(days=1)).timestamp() * 1000)


@click.command("limit", cls=GlobalFlags)
@click.argument("account")
@click.option("--soft", type=Dollars(), help="Dollars a month after which the account is warned; none takes it away.")
@click.option("--hard", type=Dollars(), help="And after which new work waits; none takes it away.")
def limit(account: str, soft: int | str | None, hard: int | str | None) -> None:
    """Set what ACCOUNT may spend each month, or print it.

    The hard limit stops work only where the setting spending_stops is on.
    """
    given = {name: None if value == NO_LIMIT else value for name, value in (("soft", soft), ("hard", hard)) if value is not None}
    found = call(configured(), "POST", "/v1/admin/limit", {"account": account, **given})
    limits = ", ".join(f"{name} {'none' if found[name] is None else shown(found[name])}" for name in ("soft", "hard"))
    output.answer(found, f"{account}: limits of a month: {limits}; {summary(found)}")


@click.command("report", cls=GlobalFlags)
@click.argument("account")
@click.argument("file", type=click.Path(dir_okay=False, writable=True))
def report(account: str, file: str) -> None:
    """Write one printable page (HTML) on the grants and the work of ACCOUNT to FILE."""
    from picloud.cli import report as page

    page.write(file, account, f"account={account}")
    output.answer({"file": file}, file)
