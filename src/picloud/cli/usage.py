"""``picloud usage`` and ``picloud credit``: what work cost, and what there is to spend."""

from __future__ import annotations

import csv
import sys
from typing import Any

import click

from picloud.cli import output
from picloud.cli.client import client
from picloud.cli.flags import as_json, command
from picloud.wire.money import shown

BY = ("day", "label", "function", "type", "queue", "job")
BAR = 30
"""Characters of the longest bar."""
EXACT = ("attempts", "core_ms", "core_hours", "amount", "dollars")
EVERYTHING = 100_000


@command("usage")
@click.option("--by", type=click.Choice(BY), default="day", show_default=True, help="What to sum by.")
@click.option("--since", metavar="DAY", help="From this day (UTC) on, as 2026-01-31.")
@click.option("--until", metavar="DAY", help="To this day.")
@click.option("--limit", type=click.IntRange(1, EVERYTHING), help="So many rows at most.  [default: 30; CSV: all]")
@click.option("--csv", "as_csv", is_flag=True, help="As comma-separated values, with exact amounts.")
def usage(by: str, since: str | None, until: str | None, limit: int | None, as_csv: bool) -> None:
    """What was used and what it cost, with a chart.

    The newest days and jobs, of everything else the dearest. An amount of 3,600,000,000,000 is $1.
    """
    client()
    from cloud import _usage

    found = _usage.page(by, since, until, limit or (EVERYTHING if as_csv or as_json() else 30))
    columns = (by, *(("function",) if by == "job" else ()))
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([*columns, *EXACT])
        writer.writerows([_harmless(row[name]) for name in (*columns, *EXACT)] for row in found["rows"])
    elif as_json():
        output.answer(found)
    else:
        _chart(columns, found)


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet takes for no formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _chart(columns: tuple[str, ...], found: dict[str, Any]) -> None:
    most = max((row["amount"] for row in found["rows"]), default=0)
    rows = [
        {name: row[name] for name in columns}
        | {"attempts": row["attempts"], "core-hours": _hours(row["core_hours"]), "cost": shown(row["amount"]),
           " ": bar(row["amount"], most) or " "}
        for row in found["rows"]
    ]  # fmt: skip
    output.table((*columns, "attempts", "core-hours", "cost", " "), rows)
    total = found["total"]
    click.echo(f"total: {shown(total['amount'])}, {_hours(total['core_hours'])} core-hours, {total['attempts']} attempts")


def bar(amount: int, most: int) -> str:
    """A bar in eighths of a character."""
    eighths = round(8 * BAR * amount / most) if most else 0
    ending: str = ("", *"▏▎▍▌▋▊▉")[eighths % 8]
    return "█" * (eighths // 8) + ending


def _hours(hours: float) -> str:
    return f"{hours:.2f}" if hours >= 0.1 or not hours else f"{hours:.2g}"


@command("credit")
@click.option("--report", "file", type=click.Path(dir_okay=False, writable=True), help="Write one printable page (HTML) to FILE.")
def credit(file: str | None) -> None:
    """What there is to spend: free hours, grants, limits."""
    found = client().credit()
    if file is not None:
        from picloud.cli import report

        report.write(file, "", "")
    lines = [summary(found)]
    if found["hard"] is not None or found["soft"] is not None:
        limits = [f"{name} {shown(found[name])}" for name in ("soft", "hard") if found[name] is not None]
        lines.append(f"limits of a month: {', '.join(limits)}")
    if found["beyond"]:
        lines.append(f"spent and paid by nothing: {shown(found['beyond'])}")
    for one in found["grants"]:
        lines.append(f"grant {one['id']}: {shown(one['amount'])}, {shown(one['left'])} left{_until(one['ends'])}{_why(one)}")
    output.answer(found, "\n".join(lines))


def summary(found: dict[str, Any]) -> str:
    """The money of an account in one line."""
    line = f"{shown(found['spent'])} spent since {found['month']}, {shown(found['left'])} left"
    if found["stopped"]:
        return f"{line}; new work waits: {found['stopped']}"
    if found["would_stop"] and not found["stops"]:
        return f"{line} (money stops nothing here)"
    return f"{line}; the soft limit of {shown(found['soft'])} is reached" if found["warns"] else line


def _until(ends: int | None) -> str:
    from datetime import UTC, datetime

    return "" if ends is None else f", until {datetime.fromtimestamp(ends / 1000, UTC).date().isoformat()}"


def _why(one: dict[str, Any]) -> str:
    return f" ({one['reason']})" if one["reason"] else ""


def tell_estimate(cloud: Any, template: str, count: int, options: dict[str, Any]) -> None:
    """Print what so many runs of a program would cost."""
    from cloud._program import name_of

    found = cloud.estimate(name_of(template), count, _type=options.get("_type"), _cores=options.get("_cores") or 1)
    known = found["measured"]
    if known is None:
        output.answer(found, f"{count} jobs of {found['function']}: it never ran, so nobody knows; run one first")
        return
    where = "" if known["type"] == found["type"] else f" on {known['type']}"
    output.answer(
        found,
        f"{count} jobs of {found['function']} on {found['type']}: about {shown(found['amount'])} ({shown(found['low'])} to "
        f"{shown(found['high'])}), {_hours(found['core_hours'] or 0)} core-hours; {known['runs']} runs{where} took "
        f"{known['mean']:.3g} s ({known['low']:.3g} to {known['high']:.3g}). Left to spend: {shown(found['left'])}",
    )
