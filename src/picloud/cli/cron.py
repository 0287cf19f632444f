"""``picloud cron``: programs that run at given times."""

from __future__ import annotations

from typing import Any

import click

from picloud.cli import output
from picloud.cli.client import client
from picloud.cli.flags import GlobalFlags, Group, as_json
from picloud.cli.program import checked, common, keywords
from picloud.cli.words import line

LABEL = click.argument("label")
COLUMNS = ("label", "schedule", "timezone", "next_run", "last_run", "last_jid", "created", "creator_host", "func_name")
NOT_HERE = {"-l", "-x", "--depends-on-errors", "-d"}
"""Flags of `picloud exec` that make no sense where nobody is there."""


@click.group("cron", cls=Group)
def cron() -> None:
    """Crons: programs that run at given times, whether you are there or not."""


def _crons() -> Any:
    return client().cron


def kept(function: Any) -> Any:
    """The flags that say how the jobs of a stored command shall run."""
    function = common(function)
    function.__click_params__ = [flag for flag in function.__click_params__ if not NOT_HERE.intersection(flag.opts)]
    return function


@cron.command("register", cls=GlobalFlags, context_settings={"allow_interspersed_args": False})
@kept
@click.option("-z", "--timezone", default="UTC", metavar="ZONE", help="In whose time, such as Europe/Vienna.  [default: UTC]")
@click.option("--day-or", is_flag=True, help="A day that fits day or weekday is enough, as in Unix.")
@click.option("--missed", type=click.Choice(["skip", "once"]), default="skip", help="Times without a server.  [default: skip]")
@click.option(
    "--overlap", type=click.Choice(["allow", "skip"]), default="allow", help="The run before is not over.  [default: allow]"
)
@LABEL
@click.argument("crontab")
@click.argument("words", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
def register(
    label: str, crontab: str, words: tuple[str, ...], timezone: str, day_or: bool, missed: str, overlap: str, **flags: Any
) -> None:
    """Run a program at given times: picloud cron register nightly '30 2 * * *' ./report.sh

    CRONTAB is five fields in quotes: minute hour day month weekday, or @hourly, @daily and the like. A day must fit both day and
    weekday. A cron that has LABEL is replaced. Flags stand before LABEL.
    """
    options = keywords(flags) | {"timezone": timezone, "day_or": day_or, "missed": missed, "overlap": overlap}
    shell = client().shell
    checked(lambda: shell.cron_register(line(words), label, crontab, **options))


@cron.command("list", cls=GlobalFlags)
def list_crons() -> None:
    """List the labels of your crons."""
    labels = _crons().list()
    output.answer(labels, "\n".join(labels) if labels else None)


@cron.command("info", cls=GlobalFlags)
@LABEL
def info(label: str) -> None:
    """Tell what is known of a cron; times are in UTC."""
    found = _crons().info(label)
    if as_json():
        output.answer(found)
    else:
        output.table(COLUMNS, [found])


@cron.command("runs", cls=GlobalFlags)
@LABEL
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, help="At most so many.  [default: 20]")
def runs(label: str, limit: int) -> None:
    """List the newest runs of a cron, and times at which it did not run with the reason."""
    output.table(["time", "why", "jid", "status", "trouble"], _crons().runs(label, limit))


@cron.command("run", cls=GlobalFlags)
@LABEL
def run(label: str) -> None:
    """Run a cron now; prints the jid."""
    jid = _crons().manual_run(label)
    output.answer({"jid": jid}, str(jid))


@cron.command("deregister", cls=GlobalFlags)
@LABEL
def deregister(label: str) -> None:
    """Forget a cron and its history."""
    _crons().deregister(label)
