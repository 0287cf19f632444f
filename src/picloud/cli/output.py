"""How answers are printed: tables, values and bytes for people and pipes, JSON for programs."""

from __future__ import annotations

import base64
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from picloud.cli.flags import as_json, given

GAP = "  "
FREE = ("function", "label", "cause", "handler", "trouble")
"""Columns whose text may be broken where a terminal is narrow."""


def answer(value: Any, text: str | None = None) -> None:
    """Print ``value`` as JSON if that was asked for, else ``text`` (None = nothing)."""
    if as_json():
        click.echo(dumps(value))
    elif text is not None:
        click.echo(text)


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows: a list of objects as JSON, a rich table on a terminal, else columns padded with blanks.

    Args:
        columns: names to show, in order; the JSON has every member of a row.
        rows: one mapping a row; a missing or None member is shown as ``-``.
    """
    if as_json():
        click.echo(dumps(list(rows)))
        return
    header = given().output != "no-header"
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    if sys.stdout.isatty():
        _rich(columns, cells, header)
    else:
        lines = [list(columns), *cells] if header else cells
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)] if lines else []
        for line in lines:
            click.echo(GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def result(value: Any) -> None:
    """Print what one job returned: bytes as they are, a string as a line, anything else as JSON."""
    if as_json():
        click.echo(dumps(value))
    elif isinstance(value, bytes | bytearray | memoryview):
        sys.stdout.flush()
        sys.stdout.buffer.write(value)
        sys.stdout.buffer.flush()
    else:
        click.echo(value if isinstance(value, str) else dumps(value))


def dumps(value: Any) -> str:
    """Valid JSON of any value at all (see :func:`plain`)."""
    return json.dumps(plain(value), indent=2 if as_json() and sys.stdout.isatty() else None)


def plain(value: Any) -> Any:
    """A value that JSON can say, as near as may be.

    Bytes become text if they are UTF-8, else ``{"base64": ..}``; tuples and sets lists; keys strings; NaN and infinities
    null; times ISO 8601; an error what crosses HTTP; arrays nested lists; the rest its repr.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | range):
        return [plain(item) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return _text(bytes(value))
    for method in ("isoformat", "tolist", "to_dict"):
        if callable(getattr(type(value), method, None)):
            made = getattr(value, method)()
            return plain(made) if method != "to_dict" else {"error": plain(made)}
    return repr(value)


def _text(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    # One row, one line: control characters of a label or a file name must not draw on the terminal.
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _rich(columns: Sequence[str], cells: Sequence[Sequence[str]], header: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, show_header=header, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column not in FREE)
    for line in cells:
        made.add_row(*map(Text, line))
    console = Console()
    # The other columns are never cut: a line longer than the terminal is better than a jid that lacks its last digit.
    needed = sum(min(8, size) if name in FREE else size for name, size in _sizes(columns, cells)) + 2 * len(columns)
    console.width = max(console.width, needed)
    console.print(made)


def _sizes(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[tuple[str, int]]:
    """Each column with the length of its longest cell."""
    for at, name in enumerate(columns):
        yield name, max(len(name), *(len(line[at]) for line in cells), 0)
