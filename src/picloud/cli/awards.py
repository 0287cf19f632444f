"""``picloud admin call``: the grant programme as the owner of the installation runs it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from picloud.cli import output
from picloud.cli.call import call as ask
from picloud.cli.call import configured
from picloud.cli.flags import GlobalFlags, Group, as_json
from picloud.cli.keys import shown_time
from picloud.cli.money import Dollars, moment
from picloud.wire.award import file_name
from picloud.wire.money import shown

NUMBER = click.argument("number", type=int)
note_flag = click.option("--note", default="", help="For the applicant.")
DEADLINES = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


@click.group("call", cls=Group)
def call() -> None:
    """The grant programme: calls, applications, awards. For the owner of the server."""


@call.command("open", cls=GlobalFlags)
@click.argument("name")
@click.argument("deadline", metavar="DEADLINE")
@click.option("--awards", type=click.IntRange(min=1), default=1, show_default=True, help="At most so many.")
@click.option(
    "--amount", type=Dollars(), default="500", show_default=True, help="Dollars of each award; $500 are 10,000 hours of c1."
)
@click.option("--expires", metavar="DAY", help="When the grants end: 2026-12-31, or 90d, 12w, 6m, 1y from now.  [default: never]")
def open_call(name: str, deadline: str, awards: int, amount: int, expires: str | None) -> None:
    """Let accounts apply until DEADLINE: 2026-12-31 (that day's end, UTC), 2026-12-31T12:00, or 30d, 6w from now."""
    until = _deadline(deadline)
    body = {"name": name, "deadline": until, "awards": awards, "amount": amount, "expires": moment(expires) if expires else 0}
    ask(configured(), "POST", "/v1/admin/call", body)
    text = f"{name!r} is open until {shown_time(until)} UTC: {awards} x {shown(amount)}. `picloud grant apply` applies."
    output.answer(body, text)


@call.command("close", cls=GlobalFlags)
@click.argument("name")
def close(name: str) -> None:
    """Let nobody apply any further; what was sent can still be awarded."""
    output.answer(ask(configured(), "POST", "/v1/admin/call/close", {"call": name}))


@call.command("list", cls=GlobalFlags)
def list_calls() -> None:
    """List all calls, the newest first; times are in UTC."""
    found = ask(configured(), "GET", "/v1/admin/call")["calls"]
    rows = [{"name": one["name"], "open": "yes" if one["open"] else "no", "deadline": shown_time(one["deadline"]),
             "applications": one["applications"], "given": f"{one['given']} of {one['awards']}",
             "amount": shown(one["amount"])} for one in found]  # fmt: skip
    output.table(["name", "open", "deadline", "applications", "given", "amount"], found if as_json() else rows)


@call.command("applications", cls=GlobalFlags)
@click.argument("name")
def applications(name: str) -> None:
    """List the applications for the call NAME, the oldest first."""
    found = _received(call=name)
    rows = [one | {"applicant": one["name"], "attachments": len(one["attachments"])} for one in found]
    columns = ["application", "account", "applicant", "institution", "position", "attachments", "state"]
    output.table(columns, found if as_json() else rows)


@call.command("read", cls=GlobalFlags)
@NUMBER
@click.option(
    "--save", type=click.Path(file_okay=False), metavar="DIR", help="Store what is attached in this folder, which may be new."
)
def read(number: int, save: str | None) -> None:
    """Print application NUMBER."""
    (found,) = _received(application=number)
    if save is not None:
        _save(found, Path(save))
    output.answer(found, _text(found))


@call.command("award", cls=GlobalFlags)
@NUMBER
@note_flag
def award(number: int, note: str) -> None:
    """Give application NUMBER what its call promises; its account has the grant from now on."""
    made = ask(configured(), "POST", "/v1/admin/application/award", {"application": number, "note": note})
    output.answer(made, f"Grant {made['grant']}: {shown(made['amount'])} for {made['account']}")


@call.command("decline", cls=GlobalFlags)
@NUMBER
@note_flag
def decline(number: int, note: str) -> None:
    """Give application NUMBER nothing."""
    made = ask(configured(), "POST", "/v1/admin/application/decline", {"application": number, "note": note})
    output.answer(made, f"Application {number} of {made['account']} is declined.")


def _received(**query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(configured(), "GET", f"/v1/admin/application?{urlencode(query)}")["applications"]
    return found


def _save(found: dict[str, Any], folder: Path) -> None:
    from picloud.cli.client import client

    client()
    from cloud import _session

    folder.mkdir(parents=True, exist_ok=True)
    link = _session.session().link
    for one in found["attachments"]:
        body = {"application": found["application"], "name": one["name"]}
        url = link.json("POST", "/v1/admin/application/attachment", body)["url"]
        with open(os.path.join(folder, file_name(one["name"])), "xb") as file:  # what is there is never replaced
            file.write(link.get(url))


def _text(found: dict[str, Any]) -> str:
    head = [
        f"{what:<12} {found[what]}" for what in ("application", "call", "account", "state", "name", "institution", "position")
    ]
    files = ", ".join(f"{one['name']} ({one['size']:,} bytes)" for one in found["attachments"])
    head += [f"{'attachments':<12} {files or '-'}", *([f"{'note':<12} {found['note']}"] if found["note"] else [])]
    return "\n".join([*head, "", "Biography", "", found["biography"] or "-", "", "Research", "", found["research"]])


def _deadline(text: str) -> int:
    """Epoch ms."""
    for form in DEADLINES:
        try:
            return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp() * 1000)
        except ValueError:
            continue
    return moment(text, "DEADLINE")
