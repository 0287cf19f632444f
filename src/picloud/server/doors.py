"""The way into a running job, as control grants it: the worker that has it is told to dial the edge."""

from __future__ import annotations

from picloud.server.control import Control
from picloud.server.fleet import Worker
from picloud.store import job as jobs
from picloud.wire.error import Conflict, Unavailable
from picloud.wire.job import FINISHED, Status
from picloud.wire.message import Connect, Dial, Execute


async def open_channel(control: Control, account: int, jid: int, name: str, what: Execute | Connect) -> None:
    """Have a channel to a running job opened.

    Args:
        account: whose the job must be.
        name: of the channel, as the edge expects it.

    Raises:
        NotFound: the account has no such job.
        Conflict: it does not run.
        Unavailable: its worker is not connected now.
    """
    worker = holder(control, account, jid)
    if worker is None:
        status = await status_of(control, account, jid)
        if status in FINISHED:
            hint = f"picloud info {jid} shows what it printed; picloud exec-shell starts a job to work in"
            raise Conflict(f"job {jid} has ended ({status.name}): there is nothing left to enter", jid=jid, hint=hint)
        raise Conflict(f"job {jid} does not run yet ({status.name})", jid=jid, hint=f"picloud ssh {jid} waits for it")
    if not worker.connected:
        raise Unavailable(f"the worker of job {jid} is not connected now", jid=jid, hint="try again in a moment")
    worker.send(Dial(name, f"127.0.0.1:{control.edges['http']}", jid, worker.held[jid][0], what))


def holder(control: Control, account: int, jid: int) -> Worker | None:
    """The worker that has a job of this account."""
    return next((one for one in control.fleet if one.kind.account == account and jid in one.held), None)


async def status_of(control: Control, account: int, jid: int) -> Status:
    """A job's status.

    Raises:
        NotFound: the account has no such job.
    """
    (found,) = await control.storage.read(jobs.statuses, account, [(jid, 1)])
    return Status(found)
