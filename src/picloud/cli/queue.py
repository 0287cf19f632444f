"""``picloud queue``: messages that stay until they are handled."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from picloud.cli import output
from picloud.cli.client import client
from picloud.cli.flags import GlobalFlags, Group, as_json
from picloud.cli.graph import graph

NAME = click.argument("name")
IDS = click.argument("ids", nargs=-1, type=click.IntRange(min=1), metavar="[ID]..")
ALL = click.option("--all", "every", is_flag=True, help="All dead letters of the queue.")


@click.group("queue", cls=Group)
def queue() -> None:
    """Queues: messages that stay until somebody has handled them.

    NAME is 1 to 39 letters, digits, - or _. A queue comes to be with the first push.
    """


queue.add_command(graph)


def _queues() -> Any:
    return client().queue


@contextmanager
def _wrong_value() -> Iterator[None]:
    """Numbers and texts that cannot be are no fault of ours."""
    try:
        yield
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _used(name: str) -> Any:
    """A queue that is there: a name that was mistyped makes none."""
    found = _queues().get(name)
    found.info()
    return found


# -- queues -------------------------------------------------------------------------------------------------------------

IN_QUEUE = {"name": "name", "messages": "count", "in hand": "in_hand", "delayed": "delayed", "oldest": "oldest", "dead": "dead",
            "paused": "paused"}  # fmt: skip
OF_HANDLER = ("handler", "jobs", "in/s", "out/s", "empty in", "$/h", "trouble")


@queue.command("list", cls=GlobalFlags)
def list_queues() -> None:
    """List your queues with what is in them and who handles it.

    OLDEST is the age in seconds of what waits longest; IN/S and OUT/S are messages a second, EMPTY IN the seconds until none is
    left at these rates, $/H what the handler costs an hour if all its jobs run, TROUBLE why they do not come to work.
    """
    found = _queues().graph()["queues"]
    if as_json():
        output.answer(found)
    else:
        output.table([*IN_QUEUE, *OF_HANDLER], [_line_of(one) for one in found])


def _line_of(one: Mapping[str, Any]) -> dict[str, Any]:
    rates = {"in/s": f"{one['enqueue_rate']:.1f}", "out/s": f"{one['dequeue_rate']:.1f}"}
    empty = "-" if one["empty_in"] is None else f"{one['empty_in']:.0f}"
    return {title: one[name] for title, name in IN_QUEUE.items()} | rates | {"empty in": empty} | _line_of_handler(one["handler"])


def _line_of_handler(handler: Mapping[str, Any] | None) -> dict[str, Any]:
    if handler is None:
        return {}
    jobs = f"{handler['running']} of {handler['max_parallel_jobs']}"
    return {"handler": handler["name"], "jobs": jobs, "$/h": f"{handler['ceiling']:.2f}", "trouble": handler["trouble"]}


@queue.command("info", cls=GlobalFlags)
@NAME
def info(name: str) -> None:
    """Print what is known of a queue."""
    found = _queues().get(name).info()
    output.answer(found, "\n".join(_told(found)))


def _told(found: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """A line for each thing that is known, those of its handler too."""
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from _told(value, f"{name}.")
        elif name != "windows":
            yield f"{prefix}{name}: {_shown(value)}"


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(str(_shown(one)) for one in value) or "-"
    return value.strftime("%Y-%m-%d %H:%M:%S") if hasattr(value, "strftime") else "-" if value is None else value


@queue.command("count", cls=GlobalFlags)
@NAME
def count(name: str) -> None:
    """Print about how many messages wait."""
    found = _queues().get(name).count()
    output.answer({"count": found}, str(found))


@queue.command("pause", cls=GlobalFlags)
@NAME
def pause(name: str) -> None:
    """Hand nothing to the handler of a queue until it is resumed."""
    _used(name).pause()


@queue.command("resume", cls=GlobalFlags)
@NAME
def resume(name: str) -> None:
    """Hand messages to the handler again."""
    _used(name).resume()


@queue.command("purge", cls=GlobalFlags)
@NAME
def purge(name: str) -> None:
    """Remove all messages that wait; prints how many. Those in hand stay, dead letters too."""
    found = _queues().get(name).purge()
    output.answer({"removed": found}, str(found))


@queue.command("delete", cls=GlobalFlags)
@NAME
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete a queue with all that is in it, dead letters too."""
    found = _used(name)
    if not yes:
        held = found.info()
        what = f"{held['count'] + held['in_hand']} messages and {held['dead']} dead letters"
        click.confirm(f"Delete queue {name} with {what}?", abort=True, err=True)
    output.answer({"deleted": found.delete()})


# -- messages -----------------------------------------------------------------------------------------------------------


@queue.command("push", cls=GlobalFlags)
@NAME
@click.argument("messages", nargs=-1, required=True, metavar="MESSAGE..")
@click.option("--delay", type=click.FloatRange(0, 900), default=0, metavar="SEC", help="Nobody sees them before.")
@click.option(
    "--key", "keys", multiple=True, help="Do not push what was pushed with this key within a day; one for each message."
)
@click.option("--text", is_flag=True, help="Take messages as text, even if they are JSON.")
def push(name: str, messages: tuple[str, ...], delay: float, keys: tuple[str, ...], text: bool) -> None:
    """Push messages: each is JSON, or else text; - reads lines of stdin."""
    words = _lines() if messages == ("-",) else iter(messages)
    values = words if text else map(_value, words)
    with _wrong_value():
        _queues().get(name).push(values, delay, keys=keys or None)


def _lines() -> Iterator[str]:
    for line in sys.stdin:
        yield line.rstrip("\n")


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return word


@queue.command("pop", cls=GlobalFlags)
@NAME
@click.option(
    "-n", "--max-count", type=click.IntRange(1, 10), default=10, show_default=True, metavar="N", help="At most so many."
)
@click.option("-t", "--timeout", type=click.FloatRange(0, 20), default=0, metavar="SEC", help="Wait so long for the first one.")
def pop(name: str, max_count: int, timeout: float) -> None:
    """Take messages away and print them: a line of JSON each, of what JSON cannot say its repr."""
    found = _used(name).pop(max_count, timeout)
    if as_json():
        output.answer(found)
    for value in [] if as_json() else found:
        click.echo(_line(value))


def _line(value: Any) -> str:
    from cloud import _messages

    return json.dumps(value, ensure_ascii=False) if _messages.exact(value) else repr(value)


# -- dead letters -------------------------------------------------------------------------------------------------------


@queue.command("dead", cls=GlobalFlags)
@NAME
@click.option("-n", "--max-count", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="At most so many.")
@click.option("--traceback", type=click.IntRange(min=1), metavar="ID", help="Print all that is known of this one.")
def dead(name: str, max_count: int, traceback: int | None) -> None:
    """List messages that failed for good, the newest first."""
    found = _queues().get(name)
    if traceback is None:
        output.table(("id", "cause", "exception", "message", "retries", "when"), [_row(one) for one in found.dead(max_count)])
        return
    one = next(iter(found.dead(1, before=traceback + 1)), None)
    if one is None or one.id != traceback:
        raise click.ClickException(f"queue {name} has no dead letter {traceback}; picloud queue dead {name} lists them")
    failure = one.failure
    parts = (f"{one.cause}: {failure.message}", f"Message: {one.text}", failure.traceback.rstrip(), _tip(failure.advice))
    output.answer(_row(one) | {"traceback": failure.traceback}, "\n\n".join(filter(None, parts)))


def _row(one: Any) -> dict[str, Any]:
    when = one.died if as_json() else _shown(one.died)
    said = one.failure.message if as_json() else one.failure.message.partition("\n")[0][:80]
    more = {"advice": one.failure.advice, "given": one.given, "deaths": one.deaths, "pushed": one.pushed} if as_json() else {}
    return {"id": one.id, "cause": one.cause, "exception": said, "message": one.text, "retries": one.retries, "when": when} | more


def _tip(advice: str) -> str:
    return f"TIP: {advice}" if advice else ""


@queue.command("replay", cls=GlobalFlags)
@NAME
@IDS
@ALL
def replay(name: str, ids: tuple[int, ...], every: bool) -> None:
    """Put dead letters back into their queue, as new messages; prints how many."""
    found = _queues().get(name).replay(_chosen(ids, every))
    output.answer({"replayed": found}, str(found))


@queue.command("bury", cls=GlobalFlags)
@NAME
@IDS
@ALL
def bury(name: str, ids: tuple[int, ...], every: bool) -> None:
    """Remove dead letters for good; prints how many."""
    found = _queues().get(name).bury(_chosen(ids, every))
    output.answer({"removed": found}, str(found))


def _chosen(ids: Iterable[int], every: bool) -> list[int] | None:
    chosen = [*ids]
    if every == bool(chosen):
        raise click.UsageError("name dead letters by their ids, or give --all")
    return None if every else chosen
