"""Environments: file systems that jobs see, changed in a setup job, frozen in versions.

add(tx, made: New, now) -> int                      Conflict: the name is taken
find(tx, account, path) -> Environment              "name", or "/owner/name" of a public one; NotFound with near names
mine(tx, account, name) -> Environment              the same for an own one
by_id(tx, environment) -> Environment
listing(tx, account, names) / public(tx)            what there is
stored(tx, ids) -> {id: Stored}                     how many versions, and what they take
in_setup(tx) -> list[Environment]                   those with a living setup job
move(tx, environment, actions, **values) -> bool    a change of state that only holds from certain actions
add_version(tx, made: Version) -> int
version(tx, id) / versions(tx, environment)
forget(tx, before) -> int                           versions of deleted environments
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from msgspec import Struct, field
from sqlalchemy import Connection, delete, func, insert, select, update

from picloud.store.base import Packages, near
from picloud.store.environment_schema import environment
from picloud.store.environment_schema import version as version_table
from picloud.store.rows import as_list, from_json, to_json
from picloud.store.schema import account as account_table
from picloud.store.schema import job, kind
from picloud.wire.error import BadRequest, Conflict, NotFound
from picloud.wire.job import FIRST_FINAL

NAME = re.compile(r"[A-Za-z0-9_-]{1,30}")
LONGEST_DESCRIPTION = 2000
ACTIONS = ("idle", "setup", "edit", "save", "setup_error", "save_error")
EDITED = ("setup", "edit", "save", "save_error")
"""Actions during which a setup job lives; in ``save_error`` it may have died."""


class Environment(Struct):
    """A row, with its owner's name."""

    id: int
    account: int
    owner: str
    name: str
    description: str
    public: bool
    base: str
    base_id: int
    interpreter: str
    status: str
    action: str
    trouble: str
    setup: int
    setup_jid: int | None
    setup_since: int | None
    under: int | None
    leaving: bool
    token: bytes
    version: int | None
    created: int
    modified: int


class New(Struct):
    """What is known of an environment before it is."""

    account: int
    name: str
    description: str
    base: str
    base_id: int
    interpreter: str
    token: bytes


class Version(Struct):
    """What jobs run in."""

    environment: int
    base: str
    base_id: int
    interpreter: str  # on base/host: whose, as in ``kind.env``
    layers: list[str]  # of the base too, the lowest first
    python: str
    python_version: str
    digest: str
    token: bytes
    packages: Packages = field(default_factory=list)
    recipe: str = ""
    size: int = 0
    note: str = ""
    id: int = 0
    number: int = 0
    created: int = 0


class Stored(NamedTuple):
    """The versions of an environment together."""

    versions: int = 0
    size: int = 0  # bytes, compressed, without the base


def check_name(name: str) -> None:
    """Refuse what is no name.

    Raises:
        BadRequest: with the rule.
    """
    if not NAME.fullmatch(name):
        found = f"{len(name)} characters" if len(name) > 30 else repr(name)
        raise BadRequest(f"{found}: no name for an environment", hint="1 to 30 of A-Z a-z 0-9 _ -", name=name[:80])


def check_description(text: str) -> None:
    """Refuse what is too long."""
    if len(text) > LONGEST_DESCRIPTION or "\0" in text:
        raise BadRequest(f"a description of {len(text)} characters, or with a NUL", hint=f"at most {LONGEST_DESCRIPTION}")


def add(tx: Connection, made: New, status: str, action: str, now: int) -> int:
    """A new row.

    Raises:
        BadRequest: name or description are not allowed.
        Conflict: the account has one of that name.
    """
    check_name(made.name)
    check_description(made.description)
    _free(tx, made.account, made.name)
    values = {
        "account": made.account, "name": made.name, "description": made.description, "base": made.base, "base_id": made.base_id,
        "interpreter": made.interpreter, "status": status, "action": action, "token": made.token, "created": now,
        "modified": now,
    }  # fmt: skip
    return int(tx.execute(insert(environment).values(values).returning(environment.c.id)).scalar_one())


def _free(tx: Connection, account: int, name: str) -> None:
    if tx.execute(select(environment.c.id).where(*_own(account), environment.c.name == name)).first() is not None:
        raise Conflict(f"there is an environment {name!r} already", hint="take another name, or picloud env modify it")


def mine(tx: Connection, account: int, name: str, *, lock: bool = False) -> Environment:
    """An environment of the account.

    Args:
        lock: other transactions that want to change it wait until this one has ended.

    Raises:
        NotFound: it has none of that name; near ones are told.
    """
    query = _ROWS.where(*_own(account), environment.c.name == name)
    found = tx.execute(query.with_for_update(of=environment) if lock else query).one_or_none()
    if found is not None:
        return _environment(found)
    names = [row[0] for row in tx.execute(select(environment.c.name).where(*_own(account)))]
    raise NotFound(f"there is no environment {name[:80]!r}", hint=near(name, names, "picloud env list shows what there is"))


def find(tx: Connection, account: int, path: str) -> Environment:
    """An environment by the name that a job uses: "name", or "/owner/name" for a public one.

    Raises:
        NotFound: there is none, or it is not public.
    """
    if path[:1] != "/":
        return mine(tx, account, path)
    owner, _, name = path[1:].partition("/")
    at = (account_table.c.name == owner, environment.c.name == name, environment.c.gone == 0)
    found = tx.execute(_ROWS.where(*at)).one_or_none()
    if found is not None and (found.public or found.account == account):
        return _environment(found)
    names = [f"/{one.owner}/{one.name}" for one in public(tx)]
    raise NotFound(f"there is no public environment {path[:80]!r}", hint=near(path, names, "picloud env list --public"))


def by_id(tx: Connection, environment_id: int, *, lock: bool = False) -> Environment:
    """An environment by its number, also a deleted one.

    Raises:
        NotFound: there is none.
    """
    query = _ROWS.where(environment.c.id == environment_id)
    found = tx.execute(query.with_for_update(of=environment) if lock else query).one_or_none()
    if found is None:
        raise NotFound(f"there is no environment of number {environment_id}")
    return _environment(found)


def listing(tx: Connection, account: int, names: Sequence[str] = ()) -> list[Environment]:
    """The account's environments by name, or those of them that are named.

    Raises:
        NotFound: one that is named is not there.
    """
    if names:
        return [mine(tx, account, name) for name in names]
    return [_environment(row) for row in tx.execute(_ROWS.where(*_own(account)).order_by(environment.c.name))]


def public(tx: Connection) -> list[Environment]:
    """All public environments that jobs can use, by owner and name."""
    shown = _ROWS.where(environment.c.public == 1, environment.c.gone == 0, environment.c.version.is_not(None))
    return [_environment(row) for row in tx.execute(shown.order_by(account_table.c.name, environment.c.name))]


def stored(tx: Connection, ids: Sequence[int]) -> dict[int, Stored]:
    """What each of these environments has saved."""
    found = dict.fromkeys(ids, Stored())
    of = version_table.c.environment
    counted = select(of, func.count(), func.sum(version_table.c.size)).where(of.in_(list(ids))).group_by(of)
    for number, versions, size in tx.execute(counted):
        found[number] = Stored(int(versions), int(size))
    return found


def in_setup(tx: Connection) -> list[Environment]:
    """Those with a setup job that has not ended, as far as is known."""
    return [_environment(row) for row in tx.execute(_ROWS.where(environment.c.setup_jid.is_not(None)))]


def of_setup(tx: Connection, jid: int) -> Environment | None:
    """The environment whose living setup job that is, locked."""
    found = tx.execute(_ROWS.where(environment.c.setup_jid == jid).with_for_update(of=environment)).one_or_none()
    return None if found is None else _environment(found)


def move(tx: Connection, environment_id: int, actions: Iterable[str] = ACTIONS, **values: Any) -> bool:
    """Change an environment if its action is one of ``actions``; whether it was."""
    here = update(environment).where(environment.c.id == environment_id, environment.c.action.in_(list(actions)))
    return bool(tx.execute(here.values(**values)).rowcount)


def rename(tx: Connection, one: Environment, name: str | None, description: str | None, now: int) -> None:
    """Another name or description.

    Raises:
        BadRequest, Conflict: as for :func:`add`.
    """
    values: dict[str, Any] = {}
    if name is not None and name != one.name:
        check_name(name)
        _free(tx, one.account, name)
        values["name"] = name
    if description is not None:
        check_description(description)
        values["description"] = description
    if values:
        move(tx, one.id, modified=now, **values)


# -- versions ---------------------------------------------------------------------------------------------------------


def add_version(tx: Connection, made: Version, now: int) -> int:
    """The next version of an environment; its id."""
    newest = select(func.coalesce(func.max(version_table.c.number), 0)).where(version_table.c.environment == made.environment)
    values = {
        "environment": made.environment, "number": tx.execute(newest).scalar_one() + 1, "base": made.base,
        "base_id": made.base_id, "interpreter": made.interpreter, "layers": as_list(made.layers), "python": made.python,
        "python_version": made.python_version, "packages": to_json(made.packages).decode(), "recipe": made.recipe,
        "digest": made.digest, "size": made.size, "note": made.note, "token": made.token, "created": now,
    }  # fmt: skip
    return int(tx.execute(insert(version_table).values(values).returning(version_table.c.id)).scalar_one())


def version(tx: Connection, version_id: int) -> Version:
    """A version by its id.

    Raises:
        NotFound: its environment was deleted, and nothing used it any more.
    """
    found = tx.execute(_VERSIONS.where(version_table.c.id == version_id)).one_or_none()
    if found is None:
        raise NotFound("the environment of that job was deleted", hint="submit the job again, with another _env")
    return _version(found)


def versions(tx: Connection, environment_id: int) -> list[Version]:
    """All versions of an environment, the newest first."""
    rows = tx.execute(_VERSIONS.where(version_table.c.environment == environment_id).order_by(version_table.c.number.desc()))
    return [_version(row) for row in rows]


def forget(tx: Connection, before: int) -> int:
    """Remove versions of environments deleted before ``before`` (epoch ms) that no unfinished job uses; how many."""
    deleted = select(environment.c.id).where(environment.c.gone != 0, environment.c.modified < before)
    rows = tx.execute(select(version_table.c.id).where(version_table.c.environment.in_(deleted))).scalars().all()
    kinds = {f"v{found}": found for found in rows}
    if not kinds:
        return 0
    used = select(kind.c.env).where(
        kind.c.env.in_(list(kinds)), select(job.c.jid).where(job.c.kind == kind.c.id, job.c.status < int(FIRST_FINAL)).exists()
    )
    for text in tx.execute(used).scalars():
        kinds.pop(text, None)
    return int(tx.execute(delete(version_table).where(version_table.c.id.in_(list(kinds.values())))).rowcount)


def _environment(row: Any) -> Environment:
    one = Environment(*row)
    one.public, one.leaving, one.token = bool(one.public), bool(one.leaving), bytes(one.token)
    return one


def _own(account: int) -> tuple[Any, ...]:
    return environment.c.account == account, environment.c.gone == 0


def _version(row: Any) -> Version:
    packages = [(sort, name, number) for sort, name, number in from_json(row.packages)]
    return Version(row.environment, row.base, row.base_id, row.interpreter, from_json(row.layers), row.python,
                   row.python_version, row.digest, bytes(row.token), packages, row.recipe, row.size, row.note, row.id,
                   row.number, row.created)  # fmt: skip


_ROWS = select(
    environment.c.id, environment.c.account, account_table.c.name.label("owner"), environment.c.name, environment.c.description,
    environment.c.public, environment.c.base, environment.c.base_id, environment.c.interpreter, environment.c.status,
    environment.c.action, environment.c.trouble, environment.c.setup, environment.c.setup_jid, environment.c.setup_since,
    environment.c.under,
    environment.c.leaving, environment.c.token, environment.c.version, environment.c.created, environment.c.modified,
).join_from(environment, account_table, account_table.c.id == environment.c.account)  # fmt: skip
_VERSIONS = select(version_table)
