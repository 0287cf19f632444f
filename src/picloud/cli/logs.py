"""``picloud logs``: what a job prints, as it comes."""

from __future__ import annotations

import datetime
import re
import sys
from typing import Any

import click

from picloud.cli import output
from picloud.cli.client import client
from picloud.cli.flags import as_json, command

STREAMS = ("stdout", "stderr", "logging", "pilog", "syslog")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@command("logs")
@click.argument("jid", type=click.IntRange(min=0))
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@click.option("--stream", type=click.Choice(STREAMS), help="Only this one, as it is.")
@click.option("--since", metavar="BYTES|TIME", help="Leave out so many bytes of the one stream, or what is older: 30s, 5m.")
def logs(jid: int, follow: bool, stream: str | None, since: str | None) -> None:
    """Print what a job has printed.

    All streams are told line by line, each behind its name; one stream is told as it is. Of several attempts the newest.
    """
    try:
        found = client().logs(jid, stream, follow, _since(since))
    except ValueError as error:
        raise click.UsageError(f"--since: {error}") from error
    if as_json():
        for name, text in found:
            click.echo(output.dumps({"stream": name, "text": text}))
    elif stream is not None:
        for _, text in found:
            sys.stdout.write(text)
            sys.stdout.flush()
    else:
        _by_line(found)


def _since(text: str | None) -> Any:
    """An offset, or how long ago."""
    if text is None or text.isdecimal():
        return None if text is None else int(text)
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if found is None:
        raise click.UsageError(f"--since {text!r}: write a number of bytes, or 30s, 5m, 2h")
    return datetime.timedelta(seconds=min(float(found[1]) * _UNITS[found[2]], 1e9))


def _by_line(found: Any) -> None:
    """Whole lines, each behind the name of its stream."""
    width = max(map(len, STREAMS))
    begun: dict[str, str] = {}

    def say(name: str, lines: list[str]) -> None:
        for line in lines:
            click.echo(f"{name:<{width}} | {line}")

    for name, text in found:
        *lines, begun[name] = (begun.get(name, "") + text).split("\n")
        say(name, lines)
        sys.stdout.flush()
    for name, text in begun.items():
        say(name, [text] if text else [])
