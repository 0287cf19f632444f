"""A job once more, with other settings."""

from __future__ import annotations

import hashlib
import os
from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta, structs

from picloud.server.check import check_submit
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.store import image
from picloud.store.act import accept
from picloud.store.act.clone import Source, source
from picloud.store.db import Transaction
from picloud.wire.bounds import Number
from picloud.wire.error import Conflict, NotFound, Skew, StorageFull
from picloud.wire.message import Submit, Submitted

LONGEST_KEY = 200
SECOND = 1000
YEARS = 10 * 365 * 86_400


class Clone(msgspec.Struct):
    """A job, and what shall be otherwise; what is null stays as it was."""

    jid: Number
    label: str | None = None
    type: str | None = None  # of core
    cores: int | None = None
    env: str | None = None  # environment
    vol: list[str] | None = None  # volumes
    variables: dict[str, str] = {}  # of the process: these change, the others stay
    priority: int | None = None
    max_runtime: Annotated[float, Meta(ge=0, le=YEARS)] | None = None  # seconds; 0 = no limit
    retries: Annotated[int, Meta(ge=0, le=1000)] | None = None
    profile: bool | None = None
    key: Annotated[str, Meta(max_length=LONGEST_KEY)] = ""  # a repeat with the same key and settings is the same job


class Cloned(TypedDict):
    jid: int


@operation(body=Clone, answer=Cloned, raises=(NotFound, Conflict, Skew, StorageFull), named="job.clone")
async def clone(control: Control, request: Request) -> None:
    """POST /v1/job/clone: {jid, ..} -> {jid}: the same function and arguments as a new job with other settings"""
    asked, who = await request.read(Clone, 'for example {"jid": 17, "type": "c2"}'), request.principal
    control.storage.check_space()
    found: Source = await control.storage.read(source, who.account, asked.jid)
    submit = _changed(found.submit, asked)
    check_submit(submit, control)
    env = found.image if asked.env is None else None
    host = control.interpreters.host([], submit.python)

    def act(tx: Transaction) -> tuple[Submitted, set[int]]:
        if env is not None:
            image.check_there(tx, env)
        made, ready = accept.submit(tx, who.account, submit, parent=who.attempt, now=now_ms(), host=host, env=env)
        if made.missing:
            raise NotFound(f"the code of job {asked.jid} is gone", jid=asked.jid, hint="submit it again from where its code is")
        return made, ready

    made = await control.dispatcher.accept(act, who.account, 1)
    await request.json(Cloned(jid=made.first))


def _changed(submit: Submit, asked: Clone) -> Submit:
    values = {**submit.env_values, **asked.variables}
    wished = {
        "label": asked.label, "core_type": asked.type, "cores": asked.cores, "env": asked.env, "vol": asked.vol,
        "priority": asked.priority, "retries": asked.retries, "profile": asked.profile,
        "max_runtime_ms": None if asked.max_runtime is None else int(asked.max_runtime * SECOND),
    }  # fmt: skip
    options = structs.replace(
        submit.options, **{name: value for name, value in wished.items() if value is not None}, env_names=sorted(values)
    )
    return structs.replace(submit, options=options, env_values=values, token=_token(asked))


def _token(asked: Clone) -> bytes:
    """A request with the same key is the same request."""
    key = f"clone {asked.jid} {asked.key}"
    return hashlib.blake2b(key.encode(), digest_size=16).digest() if asked.key else os.urandom(16)
