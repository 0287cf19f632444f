"""``picloud rest``: programs that any other program calls by HTTP."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import click

from picloud.cli import output
from picloud.cli.client import client, spelled
from picloud.cli.cron import kept
from picloud.cli.flags import GlobalFlags, Group, as_json
from picloud.cli.keys import Length, expires_flag, moment, note_flag, overlap_flag, shown_time
from picloud.cli.program import checked, keywords, pair, values
from picloud.cli.words import line

LABEL = click.argument("label")
DATA = click.option(
    "-d", "--data", multiple=True, metavar="P=V", help="Value of P: JSON or text; @FILE sends a file. Repeatable."
)
KEYS = ["api_key", "active", "expires", "note"]
COLUMNS = ("label", "uri", "signature", "output_encoding", "description")


@click.group("rest", cls=Group)
def rest() -> None:
    """Addresses: programs that any other program calls by HTTP."""


def _rest() -> Any:
    return client().rest


@rest.command("publish", cls=GlobalFlags, context_settings={"allow_interspersed_args": False})
@kept
@LABEL
@click.argument("words", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
def publish(label: str, words: tuple[str, ...], **flags: Any) -> None:
    """Give a program an address; prints the URL: picloud rest publish count 'wc -w < {text}'

    What {PARAMETERS} of COMMAND stand for is posted: texts, numbers or files. An address that has LABEL is replaced. Flags stand
    before LABEL.
    """
    shell, options = client().shell, keywords(flags)
    url = checked(lambda: shell.rest_publish(line(words), label, **options))
    output.answer({"url": url}, url)


@rest.command("list", cls=GlobalFlags)
def list_addresses() -> None:
    """List the labels of your addresses."""
    labels = _rest().list()
    output.answer(labels, "\n".join(labels) if labels else None)


@rest.command("info", cls=GlobalFlags)
@LABEL
def info(label: str) -> None:
    """Tell what is known of an address."""
    found = _rest().info(label)
    if as_json():
        output.answer(found)
    else:
        output.table(COLUMNS, [found])


@rest.command("remove", cls=GlobalFlags)
@LABEL
def remove(label: str) -> None:
    """Take an address away."""
    _rest().remove(label)


@rest.command("key", cls=GlobalFlags)
@LABEL
@note_flag
@expires_flag
def key(label: str, note: str, expires: str | None) -> None:
    """Make a key that calls this address alone; its secret is shown only now."""
    end = moment(expires)
    _show_secret(_rest().create_key(label, note, datetime.fromtimestamp(end / 1000, UTC) if end else None))


@rest.command("keys", cls=GlobalFlags)
@LABEL
def list_keys(label: str) -> None:
    """List the keys of an address, oldest first."""
    found = _rest().list_keys(label)
    rows = [one | {"active": "yes" if one["active"] else "no", "expires": shown_time(one["expires"])} for one in found]
    if as_json():
        output.answer(found)
    else:
        output.table(KEYS, rows)


@rest.command("rotate-key", cls=GlobalFlags)
@click.argument("key", type=int)
@overlap_flag
def rotate_key(key: int, overlap: str) -> None:
    """Give a key of an address a new secret."""
    _show_secret(_rest().rotate_key(key, Length().convert(overlap, None, None) if overlap else 0.0))


@rest.command("remove-key", cls=GlobalFlags)
@click.argument("key", type=int)
def remove_key(key: int) -> None:
    """End a key of an address for good."""
    _rest().remove_key(key)


def _show_secret(made: dict[str, Any]) -> None:
    text = f"API key {made['api_key']}, secret {made['api_secretkey']}\nIt is shown only now, and calls this address alone."
    output.answer(made, text)


@rest.command("invoke", cls=GlobalFlags)
@LABEL
@DATA
def invoke(label: str, data: tuple[str, ...]) -> None:
    """Call what has an address; prints the jid."""
    with ExitStack() as files:
        given = {name: _value(text, files) for name, text in map(pair, data)}
        jid = checked(lambda: _rest().invoke(label, **given))
    output.answer({"jid": jid}, str(jid))


@rest.command("mapinvoke", cls=GlobalFlags)
@LABEL
@DATA
@click.option("-n", "--map-data", "lists", multiple=True, metavar="P=V1,V2,..", help="A job per value of P; \\, is a comma.")
def mapinvoke(label: str, data: tuple[str, ...], lists: tuple[str, ...]) -> None:
    """Call it once per value; prints the jids. Several -n go in step; -d is for all jobs."""
    with ExitStack() as files:
        shared = {name: _value(text, files) for name, text in map(pair, data)}
        given = {name: value if hasattr(value, "read") else [value] for name, value in shared.items()}
        given |= {name: [_json(one) for one in values(text)] for name, text in map(pair, lists)}
        jids = checked(lambda: _rest().invoke_map(label, **given))
    output.answer({"jids": list(jids)} if as_json() else None, spelled(jids))


def _value(text: str, files: ExitStack) -> Any:
    """JSON where it is some, an open file, or the text itself."""
    if not text.startswith("@"):
        return _json(text)
    try:
        return files.enter_context(open(text[1:], "rb"))
    except OSError as error:
        raise click.UsageError(f"cannot read {text[1:]}: {error.strerror}") from error


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
