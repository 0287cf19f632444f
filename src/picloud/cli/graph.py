"""``picloud queue graph``: the account's queues and handlers as a picture, also live."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import click

from picloud.cli import output, picture
from picloud.cli.canvas import Canvas
from picloud.cli.client import client
from picloud.cli.flags import as_json, command

EVERY = 1.0
"""Seconds from one picture to the next."""


@command("graph")
@click.option(
    "-w", "--watch", is_flag=True, help="Draw it anew each second, until Ctrl-C; as much of it as the terminal has lines for."
)
@click.option("-p", "--plain", is_flag=True, help="With ASCII characters alone, as where the output is no terminal.")
def graph(watch: bool, plain: bool) -> None:
    """Draw your queues, their handlers, and what leads where.

    Rectangles are queues, with how many messages wait. Rounded boxes are handlers, with their jobs and the messages a second
    that they end. A lane leads from a handler to its output queues, a dashed one, beside an exception's name, to where messages
    go that failed with it.
    """
    queues = client().queue
    plain = plain or not _draws_well()
    if not watch:
        _print(queues.graph(), plain)
        return
    try:
        (_redraw if sys.stdout.isatty() and not as_json() else _repeat)(queues, plain)
    except KeyboardInterrupt:
        return  # that is how one leaves


def _draws_well() -> bool:
    """Whether lines and boxes can be shown: at a terminal, in an encoding that has them."""
    try:
        "┌╭┄◀".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return sys.stdout.isatty()


def _print(found: dict[str, Any], plain: bool) -> None:
    if as_json():
        click.echo(output.dumps(found))
    elif not found["queues"]:
        click.echo("no queues yet: picloud queue push NAME MESSAGE makes one")
    elif sys.stdout.isatty():
        _console().print(_text(_drawn(found, plain)), soft_wrap=True)
    else:
        for line in _drawn(found, plain).lines():
            click.echo("".join(sign for sign, _ in line).rstrip())


def _drawn(found: dict[str, Any], plain: bool) -> Canvas:
    return picture.draw(found, shutil.get_terminal_size().columns, plain)


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


def _text(canvas: Canvas) -> Any:
    from rich.text import Text

    runs = [[("".join(sign for sign, _ in run), style) for style, run in groupby(line, itemgetter(1))] for line in canvas.lines()]
    return Text("\n", no_wrap=True).join([Text.assemble(*line, end="") for line in runs])


def _found(queues: Any) -> Iterator[dict[str, Any]]:
    """The graph, again and again."""
    while True:
        yield queues.graph()
        time.sleep(EVERY)


def _redraw(queues: Any, plain: bool) -> None:
    from rich.live import Live

    with Live(console=_console(), auto_refresh=False, screen=False) as live:
        for found in _found(queues):
            live.update(_text(_drawn(found, plain)), refresh=True)


def _repeat(queues: Any, plain: bool) -> None:
    """One picture behind the other, each followed by an empty line; one line of JSON each."""
    for found in _found(queues):
        if as_json():
            click.echo(json.dumps(output.plain(found)))
        else:
            _print(found, plain)
            click.echo()
        sys.stdout.flush()
