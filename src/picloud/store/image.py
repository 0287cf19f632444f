"""What ``kind.env`` says: which file system jobs of a kind see.

""              base/host with the server's interpreter
"h[..]"         base/host with another one, as JSON: executable, version, folders
"b<id>"         a base
"v<id>"         a version of an environment
"s<id>.<n>"     the n-th setup job of an environment

resolve(tx, account, path, host, python, program) -> such a text; NotFound, Conflict, Skew
shown(tx, texts) -> {text: Shown}
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from sqlalchemy import Connection, select

from picloud.store import base as bases
from picloud.store import environment as environments
from picloud.store.base import PREFIX
from picloud.store.environment_schema import base, environment, version
from picloud.wire.error import BadRequest, Conflict, Skew
from picloud.wire.image import HOST


class Shown(Struct, frozen=True):
    """An image for people."""

    name: str
    version: int | None = None  # its number
    digest: str = ""


def resolve(tx: Connection, account: int, path: str, *, host: str, python: str, program: bool) -> str:
    """What jobs submitted now under that name run in.

    Args:
        path: "" or "base/host", "base/name", "name" or "/owner/name".
        host: the text for base/host with the interpreter of this client.
        python: the client's version, "3.11".
        program: the jobs are command lines, so that no Python is needed.

    Raises:
        NotFound: no such base or environment; near names are told.
        Conflict: the environment was never saved.
        Skew: its Python is of another minor version than the client's.
        BadRequest: it has no Python.
    """
    if path in ("", HOST):
        return host
    if path.startswith(PREFIX):
        found = bases.current(tx, account, path)
        if not program:
            _check_python(path, found.python, found.python_version, python)
        return f"b{found.id}"
    one = environments.find(tx, account, path)
    if one.version is None:
        raise Conflict(f"environment {path!r} was never saved", hint=f"picloud env save {one.name}; only saved versions run jobs",
                       status=one.status, action=one.action)  # fmt: skip
    current = environments.version(tx, one.version)
    if not program:
        _check_python(path, current.python, current.python_version, python)
    return f"v{one.version}"


def _check_python(path: str, found: str, version_there: str, python: str) -> None:
    if not found:
        raise BadRequest(f"{path!r} has no Python: it can only run programs",
                         hint="use picloud exec, or install python3 in it (picloud env modify)", env=path)  # fmt: skip
    if version_there and version_there != python:
        raise Skew(f"{path!r} has Python {version_there}, and this client is Python {python}: functions do not travel",
                   hint=f"use an environment with Python {python}, or a client with Python {version_there}",
                   client=python, server=version_there)  # fmt: skip


def check_there(tx: Connection, text: str) -> None:
    """The image of a recorded job can still be had.

    Raises:
        NotFound: its environment was deleted, or its base.
        Conflict: it was a setup job.
    """
    match text[:1]:
        case "v":
            environments.version(tx, int(text[1:]))
        case "b":
            bases.by_id(tx, int(text[1:]))
        case "s":
            raise Conflict("a setup job cannot be run again", hint="picloud env modify starts a new one")


def shown(tx: Connection, texts: Iterable[str]) -> dict[str, Shown]:
    """What is told of images to people."""
    every = set(texts)
    numbers = {sort: {int(text[1:].partition(".")[0]) for text in every if text[:1] == sort} for sort in "vbs"}
    made = {text: Shown(HOST) for text in every if text[:1] in ("", "h")}
    if numbers["v"]:
        rows = select(version.c.id, environment.c.name, version.c.number, version.c.digest).join_from(
            version, environment, environment.c.id == version.c.environment
        )
        for row in tx.execute(rows.where(version.c.id.in_(numbers["v"]))):
            made[f"v{row.id}"] = Shown(row.name, row.number, row.digest)
    if numbers["b"]:
        for number, name, digest in tx.execute(select(base.c.id, base.c.name, base.c.digest).where(base.c.id.in_(numbers["b"]))):
            made[f"b{number}"] = Shown(PREFIX + name, None, digest)
    if numbers["s"]:
        names = select(environment.c.id, environment.c.name).where(environment.c.id.in_(numbers["s"]))
        found = {row.id: row.name for row in tx.execute(names)}
        made |= {text: Shown(found.get(int(text[1:].partition(".")[0]), "")) for text in every if text[:1] == "s"}
    return made
