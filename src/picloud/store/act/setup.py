"""Environments and their setup jobs: every change of state, each in one transaction, each guarded.

    create / modify(tx, ...) -> (Environment, ready_kinds)     a setup job is submitted
    running(tx, jid, now)                                      setup -> edit
    save(tx, ...) -> Environment                               edit -> save; the worker is asked then
    saved(tx, answer, now) -> Environment | None               save -> edit with a new version, or save_error
    leave(tx, ...) -> jid | None                               -> idle; that job is to be killed
    ended(tx, jid, why, now)                                   the job died: setup_error or save_error
    clone / edit / publish / remove

Repeats with the same token change nothing.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from sqlalchemy import Connection

from picloud.store import base as bases
from picloud.store import environment as environments
from picloud.store import layer as layers
from picloud.store.act import accept
from picloud.store.environment import Environment, New, Version
from picloud.wire.error import BadRequest, Conflict
from picloud.wire.image import HOST
from picloud.wire.message import Saved, Submit

STARTS = ("idle", "setup_error", "save_error")
"""Actions from which a setup job may be started, where none lives."""


class Started(NamedTuple):
    """A setup job was submitted, now or by an earlier request with this token."""

    environment: Environment
    ready: set[int]


def create(tx: Connection, account: int, made: New, submit: Submit, now: int) -> Started:
    """A new environment with its first setup job.

    Raises:
        NotFound: no such base.
        Conflict: the name is taken.
        BadRequest: the name or the description is not allowed.
    """
    known = next((one for one in environments.listing(tx, account) if one.name == made.name), None)
    if known is not None and known.token == made.token:
        return Started(known, set())
    if made.base != HOST:
        found = bases.current(tx, account, made.base)
        made.base, made.base_id, made.interpreter = found.path, found.id, ""
    return _start(tx, environments.by_id(tx, environments.add(tx, made, "new", "idle", now)), submit, now)


def modify(tx: Connection, account: int, name: str, submit: Submit, token: bytes, now: int, *, fresh: bool = False) -> Started:
    """A setup job on the last saved state, or with ``fresh`` on the base alone.

    Raises:
        NotFound: no such environment.
        Conflict: one is there already.
    """
    one = environments.mine(tx, account, name, lock=True)
    if one.token == token:
        return Started(one, set())
    if one.setup_jid is not None:
        raise Conflict(f"environment {name!r} is being edited already (job {one.setup_jid})", action=one.action,
                       hint=f"picloud env save-shutdown {name}, or picloud env shutdown {name}")  # fmt: skip
    one.token, one.under = token, None if fresh else one.version
    return _start(tx, one, submit, now)


def _start(tx: Connection, one: Environment, submit: Submit, now: int) -> Started:
    number = one.setup + 1
    answer, ready = accept.submit(tx, one.account, submit, now=now, env=f"s{one.id}.{number}")
    environments.move(tx, one.id, STARTS, action="setup", setup=number, setup_jid=answer.first, setup_since=now, trouble="",
                      under=one.under, leaving=0, token=one.token)  # fmt: skip
    return Started(environments.by_id(tx, one.id), ready)


def running(tx: Connection, jid: int, now: int) -> bool:
    """A setup job runs: it can be used from now on. False where that was known, or is no such job."""
    one = environments.of_setup(tx, jid)
    return one is not None and environments.move(tx, one.id, ["setup"], action="edit", modified=now)


def save(tx: Connection, account: int, name: str, token: bytes, leave: bool) -> Environment:
    """Begin to save; the worker of the setup job is asked next.

    Args:
        leave: the setup job ends when it is saved.

    Raises:
        NotFound: no such environment.
        Conflict: it is not being edited, or its setup job is gone.
    """
    one = environments.mine(tx, account, name, lock=True)
    if one.token == token:
        return one
    if one.setup_jid is None:
        why = f": {one.trouble}" if one.trouble else ""
        raise Conflict(f"environment {name!r} is not being edited{why}", hint=f"picloud env modify {name}", action=one.action)
    if not environments.move(tx, one.id, ["edit", "save_error"], action="save", token=token, leaving=int(leave), trouble=""):
        raise Conflict(f"environment {name!r} cannot be saved now: {one.action}", hint="wait until it can be edited",
                       action=one.action)  # fmt: skip
    return environments.by_id(tx, one.id)


def saved(tx: Connection, answer: Saved, now: int) -> Environment | None:
    """The worker packed what was changed: a version is made of it, or the environment stays as it was.

    Returns:
        The environment as it was before; None where this save is not awaited.

    Raises:
        NotFound: the packed bytes did not arrive.
    """
    one = environments.of_setup(tx, answer.jid)
    if one is None or one.action != "save" or one.token != answer.token:
        return None
    if answer.error:
        environments.move(tx, one.id, ["save"], action="save_error", trouble=answer.error, leaving=0)
        return one
    made = environments.add_version(tx, _version(tx, one, answer, now), now)
    values = {"action": "idle", "setup_jid": None, "setup_since": None} if one.leaving else {"action": "edit"}
    environments.move(tx, one.id, ["save"], version=made, status="ready", modified=now, trouble="", leaving=0, **values)
    return one


def _version(tx: Connection, one: Environment, answer: Saved, now: int) -> Version:
    below = _below(tx, one)
    if answer.digest:
        layers.keep(tx, one.account, answer.digest, answer.blob, answer.size, now)
    own = [*below, answer.digest] if answer.digest else below
    layers.touch(tx, own, now)
    recipe = answer.recipe if one.under is None else ""  # what was changed by hand after a build no recipe tells
    return Version(one.id, one.base, one.base_id, one.interpreter, own, answer.python, answer.python_version,
                   digest_of(one.base, one.interpreter, own), answer.token, answer.packages, recipe, answer.size)  # fmt: skip


def _below(tx: Connection, one: Environment) -> list[str]:
    if one.under is not None:
        return environments.version(tx, one.under).layers
    return bases.by_id(tx, one.base_id).layers if one.base_id else []


def digest_of(base: str, interpreter: str, own: list[str]) -> str:
    """The digest of a whole image: of its layers, and of what lies below them."""
    return hashlib.sha256("\n".join([base if base == HOST else "", interpreter, *own]).encode()).hexdigest()


def leave(tx: Connection, account: int, name: str, now: int) -> int | None:
    """Give up what is not saved. The jid of the setup job, which is to be killed.

    Raises:
        NotFound: no such environment.
        Conflict: it is not being edited, or is being saved.
    """
    one = environments.mine(tx, account, name, lock=True)
    if one.action == "save":
        raise Conflict(f"environment {name!r} is being saved", hint="wait for it", action=one.action)
    if one.action == "idle":
        raise Conflict(f"environment {name!r} is not being edited", hint=f"picloud env modify {name}", action=one.action)
    environments.move(tx, one.id, action="idle", setup_jid=None, setup_since=None, leaving=0, trouble="", modified=now,
                      status="new" if one.version is None else "ready")  # fmt: skip
    return one.setup_jid


def ended(tx: Connection, jid: int, why: str, now: int) -> Environment | None:
    """A setup job has ended, and nobody had asked for it; the environment as it was."""
    one = environments.of_setup(tx, jid)
    if one is not None:
        environments.move(tx, one.id, action="save_error" if one.action in ("save", "save_error") else "setup_error",
                          status="error" if one.version is None else one.status, trouble=why, setup_jid=None,
                          setup_since=None, leaving=0, modified=now)  # fmt: skip
    return one


def clone(tx: Connection, account: int, parent: str, name: str | None, description: str | None, token: bytes, now: int
          ) -> Environment:  # fmt: skip
    """A new environment with the current version of another, own or public.

    Raises:
        NotFound: no such environment.
        Conflict: the name is taken, or the parent was never saved.
        BadRequest: the name or the description is not allowed.
    """
    source = environments.find(tx, account, parent)
    wanted = name or f"{source.name}_clone"
    known = next((one for one in environments.listing(tx, account) if one.name == wanted), None)
    if known is not None and known.token == token:
        return known
    if source.version is None:
        raise Conflict(f"environment {parent!r} was never saved", hint="only a saved version can be cloned")
    if name is None and len(wanted) > 30:
        raise BadRequest(f"{wanted!r} is too long for a name", hint="give the clone a name of its own")
    text = source.description if description is None else description
    made = New(account, wanted, text, source.base, source.base_id, source.interpreter, token)
    own = environments.add(tx, made, "ready", "idle", now)
    copied = environments.version(tx, source.version)
    copied.environment, copied.token, copied.note = own, token, f"clone of /{source.owner}/{source.name}"
    layers.touch(tx, copied.layers, now)
    environments.move(tx, own, version=environments.add_version(tx, copied, now))
    return environments.by_id(tx, own)


def edit(tx: Connection, account: int, name: str, new_name: str | None, description: str | None, now: int) -> None:
    """Another name or description. NotFound, Conflict, BadRequest as for :func:`create`."""
    environments.rename(tx, environments.mine(tx, account, name, lock=True), new_name, description, now)


def publish(tx: Connection, account: int, name: str, public: bool, now: int) -> None:
    """Let everybody of this installation use it, or nobody else any more.

    Raises:
        NotFound: no such environment.
    """
    one = environments.mine(tx, account, name)
    environments.move(tx, one.id, public=int(public), modified=now)


def remove(tx: Connection, account: int, name: str, now: int) -> None:
    """Delete an environment. Jobs that were submitted keep their version.

    Raises:
        NotFound: no such environment.
        Conflict: it is being edited.
    """
    one = environments.mine(tx, account, name, lock=True)
    if one.setup_jid is not None:
        raise Conflict(f"environment {name!r} is being edited (job {one.setup_jid})", action=one.action,
                       hint=f"picloud env shutdown {name} first")  # fmt: skip
    environments.move(tx, one.id, gone=one.id, public=0, modified=now)
