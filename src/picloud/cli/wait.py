"""The commands that wait until a job gets somewhere: wait-for, open."""

from __future__ import annotations

import click

from picloud.cli import output
from picloud.cli.client import client
from picloud.cli.flags import GlobalFlags, Group, command, timeout_flag
from picloud.cli.words import JID
from picloud.wire.job import Status


@click.group("wait-for", cls=Group)
def wait_for() -> None:
    """Wait until a job gets somewhere."""


@wait_for.command("status", cls=GlobalFlags)
@click.argument("jid", type=JID)
@click.argument("status", type=click.Choice(list(Status.__members__)))
@timeout_flag
def wait_for_status(jid: int, status: str, timeout: float | None) -> None:
    """Wait until the job has this status; exit code 3 if it can no longer get there."""
    found = client().wait_for.status(jid, status, timeout)
    output.answer({"jid": jid, "status": found}, found)


@wait_for.command("port", cls=GlobalFlags)
@click.argument("jid", type=JID)
@click.argument("port", type=click.IntRange(1, 65_535))
@click.option("-p", "--protocol", type=click.Choice(["tcp", "udp"]), default="tcp", help="tcp or udp.  [default: tcp]")
@timeout_flag
def wait_for_port(jid: int, port: int, protocol: str, timeout: float | None) -> None:
    """Wait until the job listens on this port, and print where it is reached."""
    try:
        found = client().wait_for.port(jid, port, protocol, timeout)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    output.table(("address", "port"), [found])


@command("open")
@click.argument("jid", type=JID)
@click.argument("port", type=click.IntRange(1, 65_535))
@click.option("--for", "hours", type=click.FloatRange(min=0, max=720), metavar="HOURS",
              help="A link that others may use too, for so long; otherwise it works once, within a minute.")  # fmt: skip
@timeout_flag
def open_page(jid: int, port: int, hours: float | None, timeout: float | None) -> None:
    """Print a link to the web page that a job serves on PORT; waits until it does."""
    cloud = client()
    cloud.wait_for.port(jid, port, timeout=timeout)
    from cloud import _session

    found = _session.session().link.json("POST", f"/v1/job/{jid}/link", {"port": port, "seconds": (hours or 0.0) * 3600})
    output.answer(found, found["url"])
