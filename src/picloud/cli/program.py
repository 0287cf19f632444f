"""``picloud exec`` and ``mapexec``: programs as jobs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from picloud.cli import output
from picloud.cli.client import JIDS, client, spelled
from picloud.cli.flags import as_json, command
from picloud.cli.words import line

_SETTINGS = {"allow_interspersed_args": False}
"""What follows the program's name belongs to the program."""

_KEYWORD = re.compile(r"\b_(type|cores|env|vol|label|max_runtime|depends_on_errors|depends_on|priority|secrets|webhook)\b")
"""A keyword of ``cloud.call`` in a message of its; here people typed the flag."""

_COPY = "picloud_copy"
"""Parameter that makes each copy of a command a job of its own."""


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that say how a job shall run."""
    for flag in reversed((
        click.option("-t", "--type", "core_type", metavar="TYPE", help="Core type; `picloud types` lists them."),
        click.option("-c", "--cores", type=int, metavar="N", help="Cores, as many as the type allows."),
        click.option("-r", "--return", "return_file", metavar="FILE", help="The result is this file of the job, not stdout."),
        click.option("-e", "--env", metavar="NAME", help="Environment."),
        click.option("-v", "--vol", multiple=True, metavar="NAME", help="Volume; may be repeated."),
        click.option("--secret", "secrets", multiple=True, metavar="NAME", help="Secret, as variables; may be repeated."),
        click.option("--webhook", metavar="URL", help="Where the end of each job is told, by a signed POST."),
        click.option("-l", "--label", help="Label, to find the job again."),
        click.option("-i", "--ignore-exit-status", is_flag=True, help="An exit code other than 0 is no error."),
        click.option("-w", "--cwd", metavar="DIR", help="Folder in the job to run in."),
        click.option("-m", "--max-runtime", type=float, metavar="MIN", help="Minutes after which the job is killed."),
        click.option("-x", "--depends-on", type=JIDS, metavar="JIDS", help="Start after these jobs have finished."),
        click.option("--depends-on-errors", type=click.Choice(["abort", "ignore"]), help="What a failed dependency means."),
        click.option("--not-restartable", is_flag=True, help="Never run twice, not even after a lost worker."),
        click.option("--priority", type=int, metavar="N", help="Lower runs earlier.  [default: 5]"),
        click.option("-d", "--data", "data", multiple=True, metavar="P=V", help="Value of {P}; @FILE sends a file. Repeatable."),
    )):  # fmt: skip
        function = flag(function)
    return function


@command("exec", context_settings=_SETTINGS)
@common
@click.argument("words", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(words: tuple[str, ...], data: tuple[str, ...], **flags: Any) -> None:
    """Run a program as a job; prints its jid (simulated: its output).

    Several words are run as they are; one word is a line for the shell: picloud exec 'sort {f} | uniq -c' with -d f=@names.
    Flags stand before COMMAND.
    """
    cloud = client()
    options = keywords(flags)
    jid = checked(lambda: cloud.shell.execute(line(words), dict(map(pair, data)), **options))
    if cloud.is_simulated():  # its jobs end with this process
        output.result(cloud.result(jid))
    else:
        output.answer({"jid": jid}, str(jid))


@command("mapexec", context_settings=_SETTINGS)
@common
@click.option("-n", "--map-data", "lists", multiple=True, metavar="P=V1,V2,..", help="A job per value of {P}; \\, is a comma.")
@click.option("-N", "--map-file", "files", multiple=True, metavar="P=FILE", help="A job per line of FILE; @ is relative to it.")
@click.option("-k", "--copies", type=click.IntRange(min=1), metavar="N", help="So many jobs of each.")
@click.option("--estimate", is_flag=True, help="Only tell what it would cost, by earlier runs of the program.")
@click.argument("words", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
def execute_map(words: tuple[str, ...], data: tuple[str, ...], lists: tuple[str, ...], files: tuple[str, ...],
                copies: int | None, estimate: bool, **flags: Any) -> None:  # fmt: skip
    """Run a program once per value; prints the jids (simulated: the outputs).

    Several -n and -N go in step: the first job gets the first value of each.
    """
    cloud = client()
    options = keywords(flags)
    columns = {name: values(text) for name, text in map(pair, lists)} | {name: _lines(path) for name, path in map(pair, files)}
    if not columns and copies is None:
        raise click.UsageError("nothing to map over: give -n, -N or -k")
    template, columns = _copied(line(words), columns, copies or 1)
    if estimate:
        from picloud.cli.usage import tell_estimate

        tell_estimate(cloud, template, max(map(len, columns.values())), options)
        return
    jids = checked(lambda: cloud.shell.execute_map(template, dict(map(pair, data)), columns, **options))
    if not cloud.is_simulated():
        output.answer({"jids": list(jids)} if as_json() else None, spelled(jids))
    elif as_json():
        output.result(cloud.result(jids))
    else:
        for value in cloud.result(jids):
            output.result(value)


def keywords(flags: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``cloud.shell`` that the common flags stand for; what was not given is left to it."""
    named = {
        "return_file": flags.get("return_file"),
        "ignore_exit_status": flags.get("ignore_exit_status") or None,
        "cwd": flags.get("cwd"),
        "_type": flags.get("core_type"),
        "_cores": flags.get("cores"),
        "_env": flags.get("env"),
        "_vol": list(flags.get("vol") or ()) or None,
        "_secrets": list(flags.get("secrets") or ()) or None,
        "_webhook": flags.get("webhook"),
        "_label": flags.get("label"),
        "_max_runtime": flags.get("max_runtime"),
        "_depends_on": flags.get("depends_on"),
        "_depends_on_errors": flags.get("depends_on_errors"),
        "_restartable": False if flags.get("not_restartable") else None,
        "_priority": flags.get("priority"),
    }
    return {name: value for name, value in named.items() if value is not None}


def checked(act: Callable[[], Any]) -> Any:
    """What the client refuses before it sends anything is wrong usage."""
    try:
        return act()
    except (TypeError, ValueError) as error:
        raise click.UsageError(_KEYWORD.sub(_as_flag, str(error))) from error


def _as_flag(found: re.Match[str]) -> str:
    """The flag that a keyword of ``cloud.call`` is here."""
    return f"--{found[1].replace('_', '-')}"


def pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise click.UsageError(f"{text!r} does not have the form P=V, P being the name in braces")
    return name, value


def values(text: str) -> list[str]:
    return [value.replace("\\,", ",") for value in re.split(r"(?<!\\),", text)]


def _lines(path: str) -> list[str]:
    """The lines of a file but for blank ones; files they name lie beside it."""
    try:
        found = [text for text in Path(path).read_text().splitlines() if text.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    return ["@" + os.path.join(os.path.dirname(path), text[1:]) if text.startswith("@") else text for text in found]


def _copied(template: str, columns: dict[str, list[str]], copies: int) -> tuple[str, dict[str, list[str]]]:
    """``copies`` jobs of each position. Without any other parameter the shell's no-op takes the copy's number."""
    if columns:
        return template, {name: [value for value in values for _ in range(copies)] for name, values in columns.items()}
    return f": {{{_COPY}}}\n{template}", {_COPY: [str(number) for number in range(copies)]}
