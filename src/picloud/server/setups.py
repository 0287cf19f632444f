"""Setup jobs: the machines in which environments are changed, from their start to the version that is made of them.

The truth is the store's (``store.act.setup``). Here are the ways to it: a setup job is an ordinary job that is followed by
its jid; its worker is asked to pack what was changed, and to run scripts; who waits for a state is woken by a bell.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from picloud.server import images
from picloud.server.check import PYTHON
from picloud.server.fleet import Worker
from picloud.server.runs import within
from picloud.server.storage import now_ms
from picloud.store import environment as environments
from picloud.store.act import info as infos
from picloud.store.act import kill as kills
from picloud.store.act import setup
from picloud.store.db import Transaction
from picloud.store.environment import Environment, New
from picloud.wire.error import CloudException, Conflict, NotFound, StorageFull, Unavailable
from picloud.wire.job import FIRST_FINAL, Options, Status
from picloud.wire.message import Arguments, Code, Finished, Perform, Performed, Save, Saved, Submit

if TYPE_CHECKING:
    from picloud.server.control import Control

log = logging.getLogger("picloud.setups")

LABEL = "environment"
PRIORITY = 1
_WAIT = b"\x80\x04cpicloud.worker.inside.setup\nwait\nN\x86."
"""The pickle of (picloud.worker.inside.setup.wait, None): nothing is loaded here, not even this."""
CODE = Code(hashlib.sha256(_WAIT).hexdigest(), "function", _WAIT, {"name": "setup", "module": "picloud"})
_NOTHING = b"\x80\x05)}\x86."
"""The pickle of no arguments: ``((), {})``."""


class Setups:
    """All living setup jobs of this installation. A ``server.hub.Follower`` of them."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._living: dict[int, int] = {}  # jid -> environment
        self._bells: dict[int, asyncio.Event] = {}  # environment -> rung when it changes
        self._saves: dict[int, Save] = {}  # jid -> what its worker is asked
        self._preparing: dict[int, Perform] = {}  # jid -> what its worker does before anybody comes in

    async def open(self) -> None:
        """At start: take up the setup jobs that an earlier server began."""
        for one in await self._control.storage.read(environments.in_setup):
            if one.setup_jid is not None:
                if one.action == "save":
                    self._saves[one.setup_jid] = Save(one.setup_jid, 0, one.token)
                await self._watch(one.id, one.setup_jid)

    # -- what users ask -------------------------------------------------------------------------------------------

    async def create(self, account: int, made: New) -> Environment:
        """A new environment with a setup job on its way; errors as for ``store.act.setup.create``."""
        return await self._start(account, made.name, made.token,
                                 lambda tx, submit: setup.create(tx, account, made, submit, now_ms()))  # fmt: skip

    async def modify(self, account: int, name: str, token: bytes, fresh: bool = False) -> Environment:
        """A setup job for an environment that is there; errors as for ``store.act.setup.modify``."""

        def act(tx: Transaction, submit: Submit) -> setup.Started:
            return setup.modify(tx, account, name, submit, token, now_ms(), fresh=fresh)

        return await self._start(account, name, token, act)

    async def _start(self, account: int, name: str, token: bytes, act: Callable[..., setup.Started]) -> Environment:
        self._control.storage.check_space()
        submit = _submission(name, token, self._control.default_type)

        def both(tx: Transaction) -> tuple[Environment, set[int]]:
            made = act(tx, submit)
            return made.environment, made.ready

        one = await self._control.dispatcher.accept(both, account, 1)
        if one.setup_jid is not None:
            await self._watch(one.id, one.setup_jid)
        return one

    async def save(self, account: int, name: str, token: bytes, leave: bool) -> Environment:
        """Ask the worker to pack what was changed; errors as for ``store.act.setup.save``."""
        self._control.storage.check_space()
        one = await self._control.storage.write(setup.save, account, name, token, leave)
        if one.action == "save" and one.setup_jid is not None:
            self._saves[one.setup_jid] = Save(one.setup_jid, 0, token)
            self._ring(one.id)
            self._ask(one.setup_jid)
        return one

    async def shutdown(self, account: int, name: str) -> None:
        """End a setup job without saving; errors as for ``store.act.setup.leave``."""
        one = await self._control.storage.read(environments.mine, account, name)
        jid = await self._control.storage.write(setup.leave, account, name, now_ms())
        if jid is not None:
            await self._end(one, jid)
        self._ring(one.id)

    async def wait(self, account: int, name: str, seen: str, seconds: float) -> Environment:
        """The environment as soon as its action is another than ``seen``, or when the time is up. NotFound."""
        until = asyncio.get_running_loop().time() + seconds
        while True:
            one = await self._control.storage.read(environments.mine, account, name)
            bell = self._bells.setdefault(one.id, asyncio.Event())
            again = await self._control.storage.read(environments.mine, account, name)  # the bell may have rung in between
            if again.action != seen or not await within(until, bell.wait()):
                return again

    # -- scripts --------------------------------------------------------------------------------------------------

    async def perform(self, account: int, name: str, message: Perform) -> None:
        """Begin a script in a setup job; its token names its output. A repeat is a no-op.

        Raises:
            NotFound: no such environment.
            Conflict: it is not being edited.
            Unavailable: its worker is away.
        """
        if self._control.runs.get(message.token) is not None:
            return
        one = await self._control.storage.read(environments.mine, account, name)
        if one.setup_jid is None or one.action not in ("edit", "save_error"):
            raise Conflict(f"environment {name!r} is not being edited ({one.action})", hint=f"picloud env modify {name}",
                           action=one.action)  # fmt: skip
        worker = self._worker(one.setup_jid)
        if worker is None or not worker.connected:
            raise Unavailable("the worker of the setup job is not connected now", hint="try again in a moment")
        self._control.runs.begin(message.token, account, one.setup_jid)
        message.jid, message.n = one.setup_jid, worker.held[one.setup_jid][0]
        worker.send(message)

    async def performed(self, worker: Worker, told: Performed) -> None:
        """A worker tells of a script."""
        over = told.exit_code is not None or bool(told.error)
        prepared = next((jid for jid, asked in self._preparing.items() if asked.token == told.token), 0)
        if prepared in worker.held and over:
            await self._prepared(prepared, told)
        run = self._control.runs.get(told.token)
        if run is not None and run.jid in worker.held:
            run.hear(told.offset, told.data)
            if over:
                run.finish(told.exit_code, told.error)

    # -- what workers tell ----------------------------------------------------------------------------------------

    async def started(self, jids: list[int]) -> None:
        """Jobs began to run. A setup job is made ready for pip before anybody comes in."""
        for jid in jids:
            if jid in self._living and jid not in self._preparing:
                one = await self._control.storage.read(environments.by_id, self._living[jid])
                if one.action == "setup":
                    await self._prepare(one, jid)

    async def _prepare(self, one: Environment, jid: int) -> None:
        image = await self._control.storage.read(images.draw, f"s{one.id}.{one.setup}")
        asked = self._preparing[jid] = Perform(jid, 0, os.urandom(16), images.preparation(image), root=True)
        worker = self._worker(jid)
        if worker is not None:
            asked.n = worker.held[jid][0]
            worker.send(asked)

    async def _prepared(self, jid: int, told: Performed) -> None:
        self._preparing.pop(jid, None)
        if told.error or told.exit_code:
            log.warning("setup job %d has no Python of its own: %s", jid, told.error or told.data[-500:])
        if await self._control.storage.note(setup.running, jid, now_ms()):
            self._ring(self._living[jid])

    def greeted(self, worker: Worker) -> None:
        """A worker is connected again: what it was asked may not have reached it."""
        for jid in worker.held:
            if jid in self._saves:
                self._ask(jid)
            if jid in self._preparing:
                self._preparing[jid].n = worker.held[jid][0]
                worker.send(self._preparing[jid])

    async def saved(self, worker: Worker, told: Saved) -> None:
        """A worker has packed, or could not."""
        if told.jid not in worker.held:
            return
        try:
            if told.blob:
                await self._control.arrived([told.blob])
            before = await self._control.storage.write(setup.saved, told, now_ms())
        except CloudException as error:
            told = Saved(told.jid, told.n, told.token, error=f"the layer could not be stored: {error.parameter}",
                         full=isinstance(error, StorageFull))  # fmt: skip
            before = await self._control.storage.write(setup.saved, told, now_ms())
        self._saves.pop(told.jid, None)
        if before is None:
            return
        if before.leaving and not told.error:
            await self._end(before, told.jid)
        self._ring(before.id)

    # -- the end of setup jobs --------------------------------------------------------------------------------------

    def offer(self, finished: list[Finished]) -> None:
        """Setup jobs ended."""
        for item in finished:
            self._control.spawn(self._look(item.jid))

    def lose(self) -> None:
        """One ended without a result at hand: look at all."""
        for jid in list(self._living):
            self._control.spawn(self._look(jid))

    async def _watch(self, environment: int, jid: int) -> None:
        self._living[jid] = environment
        self._control.hub.follow(self, jid)
        await self._look(jid)

    async def _look(self, jid: int) -> None:
        """Whether a setup job runs, or has ended."""
        environment = self._living.get(jid)
        if environment is None:
            return
        one = await self._control.storage.read(environments.by_id, environment)
        found = await self._control.storage.read(infos.read, one.account, [(jid, 1)])
        status = found[jid]["status"]
        if Status[status] == Status.processing:
            await self.started([jid])
        if Status[status] < FIRST_FINAL:
            return
        failure = found[jid].get("failure") or {}
        why = f"setup job {jid} ended: {failure.get('message') or status}"
        self._forget(jid, why)
        if await self._control.storage.write(setup.ended, jid, why, now_ms()) is not None:
            log.warning("environment %s: %s", one.name, why)
        self._ring(environment)
        self._retire(f"s{environment}.{one.setup}")

    async def _end(self, one: Environment, jid: int) -> None:
        """Kill a setup job that nobody needs any more, and everything that its worker holds."""
        self._forget(jid, "the setup job was shut down")
        try:
            result, running = await self._control.storage.write(kills.kill, one.account, [(jid, 1)], now_ms())
            self._control.dispatcher.kill(result, running, one.account)
        except NotFound:
            log.info("setup job %d was deleted", jid)
        self._retire(f"s{one.id}.{one.setup}")

    def _forget(self, jid: int, why: str) -> None:
        self._living.pop(jid, None)
        self._saves.pop(jid, None)
        self._preparing.pop(jid, None)
        self._control.hub.unfollow([jid])
        self._control.runs.lost(jid, why)

    def _retire(self, kind: str) -> None:
        """No second setup job ever runs where one did."""
        for worker in self._control.fleet:
            if worker.kind.env == kind:
                self._control.spawn(self._control.placer.retire(worker.kind.id))

    # -- inside ---------------------------------------------------------------------------------------------------

    def _worker(self, jid: int) -> Worker | None:
        return next((worker for worker in self._control.fleet if jid in worker.held), None)

    def _ask(self, jid: int) -> None:
        worker, asked = self._worker(jid), self._saves[jid]
        if worker is not None:  # else its next hello reminds us
            asked.n = worker.held[jid][0]
            worker.send(asked)

    def _ring(self, environment: int) -> None:
        bell = self._bells.pop(environment, None)
        if bell is not None:
            bell.set()


def _submission(name: str, token: bytes, core_type: str) -> Submit:
    """A setup job. Its token follows from the request's, so that a repeat is one."""
    options = Options(label=LABEL, priority=PRIORITY, core_type=core_type, restartable=False, interactive=True)
    own = hashlib.sha256(b"setup" + token).digest()[:16]
    arguments = Arguments([len(_NOTHING)], _NOTHING, [name])
    return Submit(own, CODE.digest, [], PYTHON, f"setup of {name}", options, 1, arguments, code=[CODE])
