"""The client as the command line uses it: ``cloud``, with the key and mode that the global flags say."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import click

from picloud.cli.flags import given


def client() -> Any:
    """The module ``cloud``, set to the flags ``-a``, ``-k`` and ``-s``."""
    import cloud

    flags = given()
    cloud.job.verbs.module = cloud.job.SHELL
    if flags.simulate:
        cloud.start_simulator()
    elif flags.api_key is not None:
        cloud.setkey(flags.api_key, flags.api_secretkey)
    elif flags.api_secretkey is not None:
        raise click.UsageError("-k/--api-secretkey is the secret of a key: give -a/--api-key too")
    if flags.verbose:
        _tell_all(cloud, flags.simulate)
    return cloud


def _tell_all(cloud: ModuleType, simulate: bool) -> None:
    import logging

    found = {} if simulate else cloud.connection_info()
    where = f"key {found['api_key']} at {found['server_url']}" if found else "simulated on this machine"
    click.echo(f"picloud: {where}; configuration in {cloud.getconfigpath()}", err=True)

    logging.basicConfig(level=logging.DEBUG, format="%(name)s: %(message)s")
    logging.getLogger(cloud.__name__).setLevel(logging.DEBUG)


class Jids(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """``5``, ``1,2,7`` or ``1-4``: one int, or a list of ints and ranges."""

    name = "jids"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | list[int | range]:
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]  # click converts a converted value again
        if re.fullmatch(r"\d+", value.strip()):
            return int(value)
        return [self._part(part.strip(), value) for part in value.split(",") if part.strip()]

    def _part(self, part: str, whole: str) -> int | range:
        found = re.fullmatch(r"(\d+)(?:\s*-\s*(\d+))?", part)
        if found is None:
            self.fail(f"{whole!r} names no jobs: write 5, or 1,2,7, or 1-4")
        first, last = found.groups()
        if last is None:
            return int(first)
        if int(last) < int(first):
            self.fail(f"{part!r} ends before it begins")
        return range(int(first), int(last) + 1)


JIDS = Jids()


def each(jids: int | list[int | range]) -> list[int]:
    """The jids one by one, in the order given."""
    if isinstance(jids, int):
        return [jids]
    return [jid for part in jids for jid in ([part] if isinstance(part, int) else part)]


def spelled(jids: Any) -> str:
    """Jids as the command line writes them: ``5``, ``1-4``, ``1,2,7-9``."""
    if isinstance(jids, int):
        return str(jids)
    words: list[list[int]] = []
    for jid in jids:
        if words and jid == words[-1][1] + 1:
            words[-1][1] = jid
        else:
            words.append([jid, jid])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in words)
