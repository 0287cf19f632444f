"""Programs as jobs for those who speak plain HTTP: a command line comes as JSON, its output goes as bytes.

The job is that of ``cloud.shell``; the pickles that it needs are written by hand here, as in ``wire.plain``.
"""

from __future__ import annotations

import hashlib
import os
from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

from picloud.server.api.submission import take_in
from picloud.server.check import PYTHON
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.wire import plain
from picloud.wire.error import BadRequest, Conflict, NotFound, Skew, StorageFull
from picloud.wire.job import Options
from picloud.wire.message import Arguments, Code, Submit

LONGEST = 60_000
"""Bytes of a command line."""
LONGEST_KEY = 200
"""Characters."""
PREVIEW = 200
SECOND = 1000
YEARS = 10 * 365 * 86_400


class Program(msgspec.Struct):
    """A command line for bash."""

    command: Annotated[str, Meta(min_length=1)]
    label: str = ""
    type: str = ""  # of core; "" = the server's default
    cores: int = 1
    env: str = ""  # environment
    vol: list[str] = []  # volumes
    variables: dict[str, str] = {}  # of the process
    priority: int = 5  # lower runs earlier
    max_runtime: Annotated[float, Meta(ge=0, le=YEARS)] = 0.0  # seconds; 0 = no limit
    retries: Annotated[int, Meta(ge=0, le=1000)] = 0
    cwd: str | None = None  # folder in the job; null = home
    return_file: str | None = None  # file of the job that is the result; null = what it prints
    ignore_exit_status: bool = False
    key: Annotated[str, Meta(max_length=LONGEST_KEY)] = ""  # a repeat with the same key and program is the same job


class Accepted(TypedDict):
    jid: int


@operation(body=Program, answer=Accepted, raises=(NotFound, Conflict, Skew, StorageFull))
async def submit(control: Control, request: Request) -> None:
    """POST /v1/job: {command, ..} -> {jid}: run a command line as a job; its result is what it prints"""
    asked = await request.read(Program, 'for example {"command": "uname -a"}')
    if not asked.command.strip() or "\0" in asked.command or len(asked.command.encode()) > LONGEST:
        raise BadRequest("a command is a line with something in it and without a NUL", hint=f"at most {LONGEST} bytes")
    made = await take_in(control, request.principal, _submission(asked))
    await request.json(Accepted(jid=made.first))


def _submission(asked: Program) -> Submit:
    words = asked.command.split()
    name = os.path.basename(words[0])[:60] or "bash"
    data = plain.program(name)
    code = Code(hashlib.sha256(data).hexdigest(), "function", data, {"name": name})
    call = plain.command(asked.command, asked.return_file, asked.ignore_exit_status, asked.cwd)
    options = Options(
        label=asked.label, priority=asked.priority, core_type=asked.type, cores=asked.cores, env=asked.env, vol=asked.vol,
        max_runtime_ms=int(asked.max_runtime * SECOND), retries=asked.retries, env_names=sorted(asked.variables),
        interactive=True,
    )  # fmt: skip
    arguments = Arguments([len(call)], call, [asked.command[:PREVIEW]])
    return Submit(_token(asked), code.digest, [], PYTHON, name, options, 1, arguments, asked.variables, [code])


def _token(asked: Program) -> bytes:
    """A request with the same key is the same request."""
    return hashlib.blake2b(f"program {asked.key}".encode(), digest_size=16).digest() if asked.key else os.urandom(16)
