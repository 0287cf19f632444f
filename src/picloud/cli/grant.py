"""``picloud grant``: apply for credit, and see what became of it."""

from __future__ import annotations

from typing import Any, TextIO

import click

from picloud.cli import output
from picloud.cli.client import client
from picloud.cli.flags import GlobalFlags, Group, as_json
from picloud.wire.money import shown

CALL = click.argument("call", default="")
LINES = ("name", "institution", "position")


@click.group("grant", cls=Group)
def grant() -> None:
    """Grants: apply for credit at a call, and see what became of it.

    CALL need be named only where several are open.
    """


@grant.command("calls", cls=GlobalFlags)
def calls() -> None:
    """List the calls that are open; times are in UTC."""
    found = client().grant.calls()
    rows = [{"name": one["name"], "deadline": one["deadline"], "awards": one["awards"], "amount": shown(one["amount"]),
             "expires": one["expires"]} for one in found]  # fmt: skip
    output.table(["name", "deadline", "awards", "amount", "expires"], found if as_json() else rows)


@grant.command("apply", cls=GlobalFlags)
@CALL
@click.option("--name", help="The applicant's.")
@click.option("--institution", help="Where she works.")
@click.option("--position", help="And as what.")
@click.option(
    "--biography", type=click.File(encoding="utf-8"), metavar="FILE", help="Of the applicant, plain text; - = standard input."
)
@click.option(
    "--research", type=click.File(encoding="utf-8"), metavar="FILE", help="A summary of what the hours are for, plain text."
)
@click.option(
    "-f", "--attach", "attachments", multiple=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE",
    help="Sent along; may be repeated. All that were attached before are replaced.",
)  # fmt: skip
@click.option("--attach-none", is_flag=True, help="Remove all that were attached.")
def apply(
    call: str,
    biography: TextIO | None,
    research: TextIO | None,
    attachments: tuple[str, ...],
    attach_none: bool,
    **lines: str | None,
) -> None:
    """Send an application for CALL; once more before the deadline, change what is given."""
    if attachments and attach_none:
        raise click.UsageError("either --attach or --attach-none")
    told: dict[str, Any] = {**lines, "biography": _read(biography), "research": _read(research)}
    files = list(attachments) if attachments or attach_none else None
    made = client().grant.apply(**told, attachments=files, call=call or None)
    output.answer(made, f"Application {made['application']} for {made['call']!r} is sent; picloud grant status tells its state.")


@grant.command("status", cls=GlobalFlags)
def status() -> None:
    """List your applications and what became of them."""
    found = client().grant.status()
    rows = [{"application": one["application"], "call": one["call"], "state": one["state"], "changed": one["changed"],
             "grant": shown(one["amount"]) if one["grant"] else None, "note": one["note"] or None} for one in found]  # fmt: skip
    output.table(["application", "call", "state", "changed", "grant", "note"], found if as_json() else rows)


@grant.command("withdraw", cls=GlobalFlags)
@CALL
def withdraw(call: str) -> None:
    """Take your application for CALL back; before the deadline, apply sends it again."""
    found = client().grant.withdraw(call or None)
    output.answer(found, f"Application {found['application']} for {found['call']!r} is withdrawn.")


def _read(file: TextIO | None) -> str | None:
    try:
        return None if file is None else file.read()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{getattr(file, 'name', 'the text')} is no text in UTF-8: {error}") from error
