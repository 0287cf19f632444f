"""``picloud secret``: values that jobs get and nobody sees."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

from picloud.cli import output
from picloud.cli.client import client
from picloud.cli.flags import GlobalFlags, Group, as_json
from picloud.cli.program import checked

NAME = click.argument("name")
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


@click.group("secret", cls=Group)
def secret() -> None:
    """Secrets: passwords and keys that jobs get (--secret NAME, or _secrets=) and nobody sees."""


def _secrets() -> Any:
    return client().secret


@secret.command("set", cls=GlobalFlags)
@NAME
@click.argument("words", metavar="[VARIABLE|VARIABLE=VALUE]...", nargs=-1)
@click.option("--from-file", "file", metavar="FILE", help="Lines VARIABLE=VALUE, as in .env; - reads stdin.")
def set_secret(name: str, words: tuple[str, ...], file: str | None) -> None:
    """Keep values under a name, in the place of all that it had before: picloud secret set db PASSWORD

    Of a VARIABLE alone the value is asked for, without showing it; where stdin is no terminal, all of stdin is the value. Other
    users of this machine can read VARIABLE=VALUE in the list of processes, and so can your shell's history.
    """
    values = _from_file(file) if file is not None else {}
    asked = [word for word in words if "=" not in word]
    if len(asked) > 1 and not sys.stdin.isatty() or (asked and file == "-"):
        raise click.UsageError("stdin can be only one value: use --from-file - for several")
    for word in words:
        variable, sign, value = word.partition("=")
        values[variable] = value if sign else _asked(variable)
    if not values:
        raise click.UsageError("nothing to keep: name a VARIABLE, or give --from-file")
    unmasked = checked(lambda: _secrets().set(name, values))
    if unmasked:
        click.echo(f"Too short to be masked in what jobs print: {', '.join(unmasked)}", err=True)
    output.answer({"name": name, "variables": list(values), "unmasked": unmasked})


@secret.command("list", cls=GlobalFlags)
def list_secrets() -> None:
    """List your secrets, without their values: these are never shown."""
    rows = _secrets().list()
    shown = [row | {"variables": " ".join(row["variables"])} for row in rows]
    output.table(("name", "variables", "changed", "usable"), rows if as_json() else shown)


@secret.command("rm", cls=GlobalFlags)
@NAME
def remove(name: str) -> None:
    """Forget a secret; jobs that name it fail from then on."""
    _secrets().remove(name)


def _asked(variable: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(variable, hide_input=True, err=True))
    return _text(sys.stdin.buffer.read(), "stdin").removesuffix("\n").removesuffix("\r")


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{where} is no UTF-8: encode bytes, as base64 say") from error


def _from_file(path: str) -> dict[str, str]:
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise click.UsageError(f"cannot read {path}: {error.strerror or error}") from error
    return parsed(_text(data, path))


def parsed(text: str) -> dict[str, str]:
    """The variables of a ``.env`` file: comments, ``export``, values as they are, in '..' or, with escapes, in "..".

    Raises:
        click.UsageError: a line that is none, by its number and without what is in it.
    """
    made = dict[str, str]()
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        value = _value(found[2]) if found else None
        if found is None or value is None:
            raise click.UsageError(f"line {number} is no VARIABLE=VALUE")
        made[found[1]] = value
    return made


def _value(text: str) -> str | None:
    """What a line says; None where its quotes do not close."""
    if text[:1] not in ("'", '"'):
        return re.split(r"\s#", text, maxsplit=1)[0].rstrip()
    quoted = re.fullmatch(r"""'([^']*)'(?:\s*#.*)?|"((?:[^"\\]|\\.)*)"(?:\s*#.*)?""", text)
    if quoted is None:
        return None
    if quoted[1] is not None:
        return quoted[1]
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), quoted[2])
