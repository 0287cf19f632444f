"""Environments: their list, their setup jobs, their versions, bases. JSON."""

from __future__ import annotations

import base64
from typing import NotRequired, TypedDict

import msgspec

from picloud.server import audit, building
from picloud.server.check import PYTHON
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.store import base as bases
from picloud.store import environment as environments
from picloud.store.act import setup
from picloud.store.db import Transaction
from picloud.store.environment import Environment, New
from picloud.wire.bounds import Number, Token
from picloud.wire.error import BadRequest, Conflict, Forbidden, NotFound, StorageFull
from picloud.wire.image import HOST
from picloud.wire.message import Perform

PATIENCE = 20.0
"""Seconds that a question waits for its answer at most; who waits longer asks again."""
SCRIPT = 1 << 20
"""Bytes of a script at most."""


class Asked(msgspec.Struct):
    """The body of all that changes something."""

    name: str
    token: Token = ""
    base: str = HOST
    description: str | None = None
    new_name: str | None = None
    leave: bool = False
    public: bool = True
    interpreter: list[str] = msgspec.field(default_factory=list)
    script: bytes = b""
    recipe: str = ""  # instead of a script
    arguments: list[str] = msgspec.field(default_factory=list)
    root: bool = False
    fresh: bool = False
    source: str = ""
    what: str = ""

    def mark(self) -> bytes:
        """The token; BadRequest where it is none."""
        try:
            token = bytes.fromhex(self.token)
        except ValueError:
            token = b""
        if len(token) != 16:
            raise BadRequest("a change of an environment carries a token of 16 bytes in hex")
        return token


class Named(msgspec.Struct):
    name: str = ""


class Which(Named):
    public: bool = False  # instead: everybody's public ones


class Action(Named):
    action: str = ""


class Since(msgspec.Struct):
    token: Token = ""
    offset: Number = 0  # bytes


class Shown(TypedDict):
    name: str
    owner: str
    path: str
    description: str
    public: bool
    base: str
    status: str
    action: str
    trouble: str
    setup_jid: int | None
    setup_since: int | None
    hostname: str | None
    version: int | None
    created: int
    modified: int


class EnvironmentRow(Shown):
    """An environment with what its versions take."""

    versions: int  # saved ones
    size: int  # bytes of all of them, compressed, without the base


class Environments(TypedDict):
    environments: list[EnvironmentRow]


class BaseShown(TypedDict):
    id: int
    name: str
    distro: str
    python_version: str | None
    default: bool
    size: int
    created: int | None
    source: NotRequired[str]


class Bases(TypedDict):
    bases: list[BaseShown]


class VersionShown(TypedDict):
    number: int
    current: bool
    base: str
    python_version: str | None
    digest: str
    size: int
    layers: int
    note: str
    created: int


class Versions(TypedDict):
    versions: list[VersionShown]


class Package(TypedDict):
    kind: str
    name: str
    version: str


class Packages(TypedDict):
    packages: list[Package]
    recipe: str


class Output(TypedDict):
    offset: int
    data: str  # base64
    exit_code: int | None
    error: str


async def _parse(request: Request) -> Asked:
    asked = await request.read(Asked, 'for example {"name": "sci"}')
    texts = [asked.name, asked.base, asked.description or "", asked.new_name or "", asked.what, *asked.arguments]
    if any("\0" in text for text in texts) or any(len(text) > 200 for text in (asked.name, asked.base)):
        raise BadRequest("names are short texts without a NUL")
    return asked


@operation(query=Which, answer=Environments, raises=(NotFound,))
async def listing(control: Control, request: Request) -> None:
    """GET /v1/environment?name=: the account's, or one of them; ?public=1: everybody's public ones"""
    query, account = request.asked(Which), request.principal.account
    names = [query.name] if query.name else []

    def look(tx: Transaction) -> tuple[list[Environment], dict[int, environments.Stored]]:
        found = environments.public(tx) if query.public else environments.listing(tx, account, names)
        return found, environments.stored(tx, [one.id for one in found])

    found, stored = await control.storage.read(look)
    rows = [EnvironmentRow(**_shown(control, one), versions=stored[one.id].versions, size=stored[one.id].size) for one in found]
    await request.json({"environments": rows})


@operation(answer=Bases)
async def list_bases(control: Control, request: Request) -> None:
    """GET /v1/environment/base: what environments may begin with"""
    host: BaseShown = {
        "id": 0,
        "name": HOST,
        "distro": "this machine",
        "python_version": PYTHON,
        "default": True,
        "size": 0,
        "created": None,
    }
    found = await control.storage.read(bases.every, request.principal.account)
    await request.json({"bases": [host, *(_base(one) for one in found)]})


@operation(query=Named, answer=Versions, raises=(NotFound,))
async def versions(control: Control, request: Request) -> None:
    """GET /v1/environment/version?name=: saved versions, the newest first"""
    account, name = request.principal.account, request.asked(Named).name

    def query(tx: Transaction) -> tuple[Environment, list[environments.Version]]:
        one = environments.find(tx, account, name)
        return one, environments.versions(tx, one.id)

    one, found = await control.storage.read(query)
    await request.json({"versions": [_version(one, version) for version in found]})


@operation(query=Named, answer=Packages, raises=(NotFound,))
async def packages(control: Control, request: Request) -> None:
    """GET /v1/environment/package?name=: of an environment or a base"""
    account, name = request.principal.account, request.asked(Named).name

    def query(tx: Transaction) -> tuple[bases.Packages, str]:
        if name.startswith(bases.PREFIX):
            return bases.current(tx, account, name).packages, ""
        one = environments.find(tx, account, name)
        if one.version is None:
            raise BadRequest(f"environment {name!r} was never saved", hint=f"picloud env save {name}")
        version = environments.version(tx, one.version)
        return version.packages, version.recipe

    found, recipe = await control.storage.read(query)
    rows = [{"kind": sort, "name": package, "version": number} for sort, package, number in found]
    await request.json({"packages": rows, "recipe": recipe})


@operation(body=Asked, answer=Shown, raises=(NotFound, Conflict, StorageFull))
async def create(control: Control, request: Request) -> None:
    """POST /v1/environment: {name, base, description, token, interpreter}"""
    asked = await _parse(request)
    _check_caller(request)
    interpreter = control.interpreters.host(asked.interpreter, PYTHON) if asked.base == HOST else ""
    made = New(request.principal.account, asked.name, asked.description or "", asked.base, 0, interpreter, asked.mark())
    await request.json(_shown(control, await control.setups.create(request.principal.account, made)))


@operation(body=Asked, answer=Shown, raises=(NotFound, Conflict, StorageFull))
async def modify(control: Control, request: Request) -> None:
    """POST /v1/environment/modify: {name, token, fresh (from the base, not from the last version)}"""
    asked = await _parse(request)
    _check_caller(request)
    one = await control.setups.modify(request.principal.account, asked.name, asked.mark(), asked.fresh)
    await request.json(_shown(control, one))


@operation(body=Asked, answer=Shown, raises=(NotFound, Conflict))
async def save(control: Control, request: Request) -> None:
    """POST /v1/environment/save: {name, token, leave}; the answer comes at once, the end by /v1/environment/wait"""
    asked = await _parse(request)
    one = await control.setups.save(request.principal.account, asked.name, asked.mark(), asked.leave)
    await request.json(_shown(control, one))


@operation(body=Asked, raises=(NotFound, Conflict))
async def shutdown(control: Control, request: Request) -> None:
    """POST /v1/environment/shutdown: {name}"""
    asked = await _parse(request)
    await control.setups.shutdown(request.principal.account, asked.name)
    await request.json({})


@operation(query=Action, answer=Shown, raises=(NotFound,))
async def wait(control: Control, request: Request) -> None:
    """GET /v1/environment/wait?name=&action=: answers when the action is another, or after 20 s"""
    query = request.asked(Action)
    one = await control.setups.wait(request.principal.account, query.name, query.action, PATIENCE)
    await request.json(_shown(control, one))


@operation(body=Asked, answer=Shown, raises=(NotFound, Conflict))
async def clone(control: Control, request: Request) -> None:
    """POST /v1/environment/clone: {name (own, or /owner/name), new_name, description, token}"""
    asked = await _parse(request)
    account, token = request.principal.account, asked.mark()
    one = await control.storage.write(setup.clone, account, asked.name, asked.new_name, asked.description, token, now_ms())
    await request.json(_shown(control, one))


@operation(body=Asked, raises=(NotFound, Conflict))
async def edit(control: Control, request: Request) -> None:
    """POST /v1/environment/edit: {name, new_name, description}"""
    asked = await _parse(request)
    account = request.principal.account
    await control.storage.write(setup.edit, account, asked.name, asked.new_name, asked.description, now_ms())
    await request.json({})


@operation(body=Asked, raises=(NotFound, Conflict))
async def publish(control: Control, request: Request) -> None:
    """POST /v1/environment/publish: {name, public}"""
    asked = await _parse(request)
    await control.storage.write(setup.publish, request.principal.account, asked.name, asked.public, now_ms())
    await audit.note(control, request, "environment.publish", asked.name, public=asked.public)
    await request.json({})


@operation(body=Asked, raises=(NotFound, Conflict))
async def delete(control: Control, request: Request) -> None:
    """POST /v1/environment/delete: {name}"""
    asked = await _parse(request)
    await control.storage.write(setup.remove, request.principal.account, asked.name, now_ms())
    await request.json({})


@operation(body=Asked, raises=(NotFound, Conflict))
async def run(control: Control, request: Request) -> None:
    """POST /v1/environment/run: {name, token, script (base64) or recipe, arguments, root}: begins a script in the setup job"""
    asked = await _parse(request)
    _check_caller(request)
    if asked.recipe:
        one = await control.storage.read(environments.mine, request.principal.account, asked.name)
        asked.script, asked.root = building.script(asked.recipe, one.base), True
    if not 0 < len(asked.script) <= SCRIPT or sum(map(len, asked.arguments)) > SCRIPT // 8:
        raise BadRequest(f"a script has 1 to {SCRIPT} bytes, its arguments {SCRIPT // 8} together")
    message = Perform(0, 0, asked.mark(), asked.script, asked.arguments, asked.root)
    await control.setups.perform(request.principal.account, asked.name, message)
    await request.json({})


@operation(query=Since, answer=Output, raises=(NotFound,))
async def output(control: Control, request: Request) -> None:
    """GET /v1/environment/output?token=&offset=: answers when the script printed more or ended, or after 20 s"""
    query = request.asked(Since)
    found = await control.runs.output(request.principal.account, Asked("", query.token).mark(), query.offset, PATIENCE)
    at = max(query.offset, found.start)
    data = bytes(found.output[at - found.start :])
    await request.json(
        {"offset": at, "data": base64.b64encode(data).decode(), "exit_code": found.exit_code, "error": found.error}
    )


@operation(body=Asked, raises=(NotFound, Conflict))
async def add_base(control: Control, request: Request) -> None:
    """POST /v1/environment/base: {name, token, source (debian, image, science), what}: begins to make one; the owner only"""
    asked = await _parse(request)
    _check_caller(request)
    if not request.principal.owner:
        raise Forbidden("only the owner of this installation adds bases", hint="ask the owner")
    control.bases.begin(request.principal.account, asked.mark(), asked.name.removeprefix(bases.PREFIX), asked.source, asked.what)
    await request.json({})


def _check_caller(request: Request) -> None:
    if request.principal.attempt is not None:
        raise Forbidden("a job may not change environments", hint="do it from your own machine")


def _shown(control: Control, one: Environment) -> Shown:
    return {
        "name": one.name,
        "owner": one.owner,
        "path": f"/{one.owner}/{one.name}",
        "description": one.description,
        "public": one.public,
        "base": one.base,
        "status": one.status,
        "action": one.action,
        "trouble": one.trouble,
        "setup_jid": one.setup_jid,
        "setup_since": one.setup_since,
        "hostname": control.hostname(one.setup_jid) if one.action in ("edit", "save", "save_error") else None,
        "version": one.version,
        "created": one.created,
        "modified": one.modified,
    }


def _base(one: bases.Base) -> BaseShown:
    return {
        "id": one.id,
        "name": one.path,
        "distro": one.distro,
        "python_version": one.python_version or None,
        "default": False,
        "size": one.size,
        "created": one.created,
        "source": one.source,
    }


def _version(one: Environment, version: environments.Version) -> VersionShown:
    return {
        "number": version.number,
        "current": version.id == one.version,
        "base": version.base,
        "python_version": version.python_version or None,
        "digest": version.digest,
        "size": version.size,
        "layers": len(version.layers),
        "note": version.note,
        "created": version.created,
    }
