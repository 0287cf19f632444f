"""Accepting work: one submission is one call or map; its further chunks follow by offset.

Parse, check everything that can be checked, one store act, answer. Where slots are idle, the lease of the first jobs
rides in the same transaction as their acceptance, so that a single call waits for one fsync, not two.
"""

from __future__ import annotations

import hashlib

from picloud.server.auth import Principal
from picloud.server.check import check_chunk, check_submit
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.hub import Follower
from picloud.server.operation import operation, packed
from picloud.server.storage import now_ms
from picloud.store.act import accept
from picloud.store.db import Transaction
from picloud.wire.error import Conflict, NotFound, Skew, StorageFull, TooLarge
from picloud.wire.message import Accepted, Chunk, Spec, Submit, Submitted, encode

HINT = "client and server may differ in version"


@operation(body=packed(Submit), answer=packed(Submitted), raises=(NotFound, Conflict, Skew, TooLarge, StorageFull))
async def submit(control: Control, request: Request) -> None:
    """POST /v1/submission: Submit -> Submitted: a call or a map, with its first chunk"""
    message = await request.read(Submit, HINT)
    await request.answer(encode(await take_in(control, request.principal, message)))


async def take_in(control: Control, who: Principal, message: Submit, follower: Follower | None = None) -> Submitted:
    """Check and store a submission; ``follower`` is told of the end of a single job.

    Raises:
        CloudException: it cannot be accepted, and nothing of it is stored.
    """
    control.storage.check_space()
    check_submit(message, control)
    await control.blobs_present(who.account, message.arguments)
    made = 0
    host = control.interpreters.host(message.interpreter, message.python)
    env = inherited(who) if not message.options.env else None

    def act(tx: Transaction) -> tuple[Submitted, set[int]]:
        nonlocal made
        answer, ready = accept.submit(tx, who.account, message, parent=who.attempt, now=now_ms(), host=host, env=env)
        made = answer.submission
        return answer, ready

    def spec(submission: int) -> Spec | None:
        known = submission == made and not message.options.secrets  # the store knows more of those
        return _spec(made, who.account, message) if known else None

    return await control.dispatcher.accept(act, who.account, len(message.arguments.ends), spec, follower)


def inherited(who: Principal) -> str | None:
    """What jobs of a job run in, unless they say it: the same as that."""
    if who.worker is None or who.worker.kind.env.startswith("s"):
        return None
    return who.worker.kind.env


def _spec(submission: int, account: int, m: Submit) -> Spec:
    """What ``store.act.lease.specs`` would read back of a submission."""
    return Spec(submission, account, m.function, m.modules, m.name, m.options, m.env_values, 0, m.python)


@operation(body=packed(Chunk), answer=packed(Accepted), raises=(NotFound, Conflict, TooLarge, StorageFull))
async def chunk(control: Control, request: Request) -> None:
    """POST /v1/chunk: Chunk -> Accepted: a further chunk; a repeat is a no-op"""
    body = await request.body()
    message = request.decoded(body, Chunk, HINT)
    who = request.principal
    control.storage.check_space()
    check_chunk(message)
    await control.blobs_present(who.account, message.arguments)
    digest = hashlib.sha256(body).digest()
    answer = await control.dispatcher.accept(lambda tx: accept.chunk(tx, who.account, message, digest, now_ms()), who.account)
    await request.answer(encode(answer))
