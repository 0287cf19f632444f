"""``picloud realtime``: cores that are kept ready."""

from __future__ import annotations

from typing import Any

import click

from picloud.cli import output
from picloud.cli.client import client
from picloud.cli.flags import GlobalFlags, Group

COLUMNS = ("request_id", "type", "cores", "start_time", "max_duration", "end_time", "state", "why")
NUMBER = click.argument("request_id", metavar="ID", type=click.IntRange(1))
CORES = click.argument("cores", type=click.IntRange(1))
HOURS = click.IntRange(1)


@click.group("realtime", cls=Group)
def realtime() -> None:
    """Real-time cores: cores that are kept ready, so that your jobs of their type begin at once."""


def _realtime() -> Any:
    return client().realtime


@realtime.command("list", cls=GlobalFlags)
@click.argument("request_id", metavar="[ID]", type=click.IntRange(1), required=False)
def list_reservations(request_id: int | None) -> None:
    """List your reservations, or tell of one, also if it has ended; times are in UTC."""
    output.table(COLUMNS, _realtime().list("" if request_id is None else request_id))


@realtime.command("request", cls=GlobalFlags)
@click.argument("core_type", metavar="TYPE")
@CORES
@click.option("-m", "--max-duration", type=HOURS, metavar="HOURS", help="Release them after so long.  [default: never]")
def request(core_type: str, cores: int, max_duration: int | None) -> None:
    """Reserve CORES cores of TYPE (c1 c2 f2 m1 s1): picloud realtime request c2 1 -m 8

    They are ready a moment later and paid from then on until they are released; jobs on them cost nothing more.
    """
    output.table(COLUMNS, [_realtime().request(core_type, cores, max_duration)])


@realtime.command("release", cls=GlobalFlags)
@NUMBER
def release(request_id: int) -> None:
    """Release cores. They are paid until the jobs that run on them have ended."""
    output.table(COLUMNS, [_realtime().release(request_id)])


@realtime.command("change-max-duration", cls=GlobalFlags)
@NUMBER
@click.argument("hours", type=HOURS, required=False)
def change_max_duration(request_id: int, hours: int | None) -> None:
    """Release cores HOURS after they were ready, not when it was said before; without HOURS never by themselves."""
    output.table(COLUMNS, [_realtime().change_max_duration(request_id, hours)])
