"""The global flags: understood before the command and after it, unless the command has a flag of that name itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

FORMATS = ("default", "json", "no-header")


@dataclass
class Given:
    """What the global flags said."""

    output: str = "default"
    verbose: bool = False
    api_key: int | None = None
    api_secretkey: str | None = None
    simulate: bool = False


def given() -> Given:
    """The global flags of the command that runs now."""
    found = click.get_current_context().find_root().ensure_object(Given)
    return found


def as_json() -> bool:
    """Whether the answer shall be JSON."""
    return given().output == "json"


def wants_json(words: list[str]) -> bool:
    """The same, from a command line that may be wrong elsewhere."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    return any(
        word in ("--json", "-ojson", "--output=json") or (word in ("-o", "--output") and value == "json") for word, value in pairs
    )


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value is None or value is False or context.resilient_parsing:
        return
    found = context.find_root().ensure_object(Given)
    if parameter.name == "json":
        found.output = "json"
    else:
        setattr(found, str(parameter.name), value)


def _flags(hidden: bool) -> list[click.Option]:
    def flag(*names: str, **more: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_keep, hidden=hidden, **more)

    return [
        flag("-v", "--verbose", is_flag=True, help="Tell on stderr what is done."),
        flag("-o", "--output", type=click.Choice(FORMATS), help="How answers are printed."),
        flag("--json", is_flag=True, help="The same as -o json."),
        flag("-a", "--api-key", type=int, help="Numeric API key to use."),
        flag("-k", "--api-secretkey", help="Its secret, on a machine that has not stored it."),
        flag("-s", "--simulate", is_flag=True, help="Run jobs on this machine, without a server."),
    ]


class GlobalFlags(click.Command):
    """A command that also takes the global flags; flags of its own with the same letters come first."""

    flags_hidden = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = {name for parameter in self.params for name in parameter.opts}
        for flag in _flags(self.flags_hidden):
            free = [name for name in flag.opts if name not in own]
            if free:
                flag.opts = free
                self.params.append(flag)

    def get_help_option_names(self, ctx: click.Context) -> list[str]:
        """``-h`` too, in whatever context the command is looked at: what it finds first it keeps."""
        return ["-h", "--help"]


class Group(GlobalFlags, click.Group):
    """Commands under one name."""


def command(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """``@click.command`` with the global flags."""
    return click.command(name, cls=GlobalFlags, **attributes)


timeout_flag = click.option("-t", "--timeout", type=click.FloatRange(min=0), metavar="SEC", help="Wait at most so long.")
