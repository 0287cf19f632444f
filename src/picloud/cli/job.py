"""The commands about jobs that exist."""

from __future__ import annotations

import datetime
import re
import sys
from typing import Any

import click

from picloud.cli import output
from picloud.cli.client import JIDS, client, each, spelled
from picloud.cli.flags import FORMATS, as_json, command, given, timeout_flag
from picloud.wire.error import CloudException
from picloud.wire.job import Status

LINES = ("stdout", "stderr", "logging", "syslog", "pilog", "exception", "profile")
"""Fields of info that are printed on lines of their own."""

FIGURES = ("cputime", "memory", "swap", "disk", "network", "cpu_percentage", "runtime")
"""Fields of numbers, each part on a line of its own; what is not known is ``-``, never 0."""
BYTES = re.compile(r"memory\.(usage|max_usage|limit|cache)|(swap|disk|network)\..*")

COLUMNS = ("jid", "status", "function", "label", "core_type", "cores", "created", "runtime", "cause")
"""What ``picloud jobs`` shows; its JSON has more."""

NARROW = tuple("type" if name == "core_type" else name for name in COLUMNS)

Asked = int | list[int | range]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

ignore_flag = click.option("-i", "--ignore-errors", is_flag=True, help="Go on where a job failed.")


@command("join")
@click.argument("jids", type=JIDS)
@timeout_flag
@ignore_flag
def join(jids: Asked, timeout: float | None, ignore_errors: bool) -> None:
    """Wait until jobs have finished; exit code 3 if one failed.

    JIDS: 5, or 1,2,7, or 1-4.
    """
    client().join(jids, timeout=timeout, ignore_errors=ignore_errors)
    output.answer({"joined": spelled(each(jids))})


@command("result")
@click.argument("jids", type=JIDS)
@timeout_flag
@ignore_flag
def result(jids: Asked, timeout: float | None, ignore_errors: bool) -> None:
    """Print what jobs returned, waiting for them.

    One job: bytes as they are, a string as a line, anything else as JSON. Several: a block for each.
    """
    values = client().result(jids, timeout=timeout, ignore_errors=ignore_errors)
    if isinstance(jids, int):
        output.result(_in_place(values))
    elif as_json():
        click.echo(output.dumps([{"jid": jid, "result": value} for jid, value in zip(each(jids), values, strict=True)]))
    else:
        for jid, value in zip(each(jids), values, strict=True):
            click.echo(f"Result for jid {jid}:")
            output.result(_in_place(value))
            if isinstance(value, bytes) and value[-1:] != b"\n":
                click.echo()


def _in_place(value: Any) -> Any:
    """A value, or the text of the error that ``--ignore-errors`` put in its place; JSON tells the error whole."""
    return str(value) if isinstance(value, CloudException) and not as_json() else value


@command("info")
@click.argument("jids", type=JIDS)
@click.option(
    "-o", "--fields", metavar="FIELD,FIELD", help="Which fields; all of them: all.  [default: stdout,stderr,status,runtime]"
)
def info(jids: Asked, fields: str | None) -> None:
    """Print facts about jobs.

    Fields: status exception stdout stderr logging syslog pilog runtime created finished env vol function label attributes
    args kwargs profile cputime memory cause attempts, and others; memory.max_usage gives one part.
    """
    if fields in FORMATS:  # -o json is what one types everywhere else
        given().output, fields = fields, None
    wanted: Any = [name.strip() for name in fields.split(",") if name.strip()] if fields else None
    try:
        found = client().info(jids, "all" if wanted == ["all"] else wanted)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json():
        click.echo(output.dumps([{"jid": jid, **facts} for jid, facts in found.items()]))
        return
    for jid, facts in found.items():
        click.echo(f"Info for jid {jid}")
        for name, value in facts.items():
            _print_fact(name, value)


@command("kill")
@click.argument("jids", type=JIDS, required=False)
@click.option("--all", "everything", is_flag=True, help="Every unfinished job of the account.")
def kill(jids: Asked | None, everything: bool) -> None:
    """End jobs that have not finished.

    JIDS: 5, or 1,2,7, or 1-4.
    """
    if (jids is not None) == everything:
        raise click.UsageError("say which jobs: JIDS such as 5 or 1-4, or --all for every unfinished job of the account")
    client().kill(jids)
    output.answer({"killed": "all" if jids is None else spelled(each(jids))})


@command("delete")
@click.argument("jids", type=JIDS)
def delete(jids: Asked) -> None:
    """Erase result, output and description of finished jobs.

    JIDS: 5, or 1,2,7, or 1-4.
    """
    client().delete(jids)
    output.answer({"deleted": spelled(each(jids))})


@command("rerun")
@click.argument("jids", type=JIDS)
@click.option("--failed", is_flag=True, help="Only those that did not end as done.")
def rerun(jids: Asked, failed: bool) -> None:
    """Run jobs again, with the same code and arguments; prints the new jids.

    JIDS: 5, or 1,2,7, or 1-4.
    """
    made = list(client().job.verbs.rerun(jids, failed=failed))
    output.answer({"jids": made}, spelled(made) if made else None)


@command("jobs")
@click.option("--state", type=click.Choice([state.name for state in Status]), help="Only jobs in this state.")
@click.option("--label", help="Only jobs with this label.")
@click.option("--func", help="Only jobs of a function of this name.")
@click.option(
    "--since", metavar="WHEN", help="Created after: 30m, 2h, 7d ago, or a date like 2026-11-22 or 2026-11-22T10:00 (UTC)."
)
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many at most.")
def jobs(state: str | None, label: str | None, func: str | None, since: str | None, limit: int) -> None:
    """List jobs, newest first."""
    found = client().jobs(state=state, label=label, func=func, since=moment(since) if since else None, limit=limit)
    if as_json():
        output.table(COLUMNS, found)
    elif sys.stdout.isatty():  # within 80 columns, as a rule
        output.table(
            NARROW, [row | {"type": row["core_type"], "created": _brief(row["created"], "%m-%d %H:%M:%S")} for row in found]
        )
    else:
        output.table(COLUMNS, [row | {"created": _brief(row["created"], "%Y-%m-%d %H:%M:%S")} for row in found])


def moment(text: str, now: datetime.datetime | None = None) -> datetime.datetime:
    """What ``--since`` means: so long ago, or a date (UTC where it names no zone).

    Raises:
        click.UsageError: neither.
    """
    ago = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if ago:
        return _before(now or datetime.datetime.now(datetime.UTC), float(ago[1]) * _UNITS[ago[2]])
    try:
        found = datetime.datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise click.UsageError(f"--since {text!r} is no time: write 2h, 7d or 2026-11-22T10:00") from error
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def _before(now: datetime.datetime, seconds: float) -> datetime.datetime:
    try:
        return now - datetime.timedelta(seconds=seconds)
    except OverflowError:
        return datetime.datetime.min.replace(tzinfo=datetime.UTC)  # longer ago than there are dates


def _brief(value: Any, form: str) -> Any:
    return value.strftime(form) if isinstance(value, datetime.datetime) else value


def _print_fact(name: str, value: Any) -> None:
    if isinstance(value, dict) and name in FIGURES:
        for part, figure in value.items():
            _print_fact(f"{name}.{part}", figure)
    elif name.partition(".")[0] in FIGURES:
        click.echo(f"{name}: {_figure(name, value)}")
    elif name in LINES and value:
        click.echo(f"{name}:")
        click.echo(str(value).rstrip("\n"))
    elif isinstance(value, str) or value is None:
        click.echo(f"{name}: {value or ''}".rstrip())
    else:
        click.echo(f"{name}: {output.dumps(value)}")


def _figure(name: str, value: Any) -> str:
    """A number as people read it, its exact value first."""
    if value is None:
        return "-"
    if BYTES.fullmatch(name) and isinstance(value, int) and value >= 10_000:
        return f"{value} ({value / 2**20:.1f} MB)"
    return str(value)
