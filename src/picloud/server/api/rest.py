"""Addresses of functions: published in MessagePack, everything else is plain HTTP for any program."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import Annotated, Any, TypedDict

import msgspec
from msgspec import Meta

from picloud.server.answers import Ended, Patience, Refused, State, answer, shown
from picloud.server.auth import Principal
from picloud.server.calls import checked_function, registered
from picloud.server.control import Control
from picloud.server.http import Request, reply
from picloud.server.objects import blob_of
from picloud.server.openapi import POLICY, document, page
from picloud.server.operation import FORM, HTML, JSON, PAGE, PARTS, RAW, Content, operation, packed
from picloud.server.posted import read
from picloud.server.published import mapped, payloads, single, spelled
from picloud.server.storage import now_ms
from picloud.store.call import rest as store
from picloud.store.call.rest import Published
from picloud.wire.bounds import Number
from picloud.wire.call import ENCODINGS, KINDS, MOST_PARAMETERS, Kept, Label, Parameter, Register, check_label
from picloud.wire.error import BadRequest, Conflict, NotFound, Skew, StorageFull, TooLarge
from picloud.wire.job import INLINE_LIMIT
from picloud.wire.message import Arguments, Submitted

LARGE = 65_536
"""Bytes of a body that a thread reads, so that nobody waits."""
LONGEST_KEY = 200
"""Characters."""


class Labelled(msgspec.Struct):
    label: str | None = None


class Wait(msgspec.Struct):
    wait: Patience = 0.0


class Key(msgspec.Struct):
    key: Annotated[str, Meta(max_length=LONGEST_KEY)] = ""  # a repeat with the same key and arguments is the same job


class Call(Key):
    wait: Patience = 0.0


class OfJob(Wait, kw_only=True):
    jid: Number


class ParameterShown(TypedDict):
    """An argument of a published function."""

    name: str
    required: bool
    kind: str  # integer, number, string, boolean, array, object; file = bytes; "" = any
    null: bool  # null will do as well
    default: str  # JSON; "" = not to be said in JSON


class EndpointShown(TypedDict):
    label: str
    uri: str
    path: str
    signature: str
    parameters: list[ParameterShown]
    others: bool  # arguments of other names are taken too
    output_encoding: str
    description: str
    created: int
    creator_host: str
    func_name: str
    core_type: str


class Endpoints(TypedDict):
    endpoints: list[EndpointShown]


class Range(TypedDict):
    jids: Annotated[str, Meta(pattern="^[0-9]+-[0-9]+$")]


ENDED = (Content(JSON, Ended), RAW)
OTHERWISE = {202: State, 422: Refused}
POSTED = (Content(JSON, dict[str, Any]), Content(FORM), Content(PARTS))


class Asked(msgspec.Struct):
    """The body of all that concerns one address."""

    label: Label


@operation(body=packed(Register), answer=packed(Kept), raises=(NotFound, Conflict, Skew, TooLarge, StorageFull))
async def publish(control: Control, request: Request) -> None:
    """POST /v1/rest: Register -> Kept: gives a function an address, in the place of the one that has its label"""
    asked = await registered(request)
    told = asked.endpoint
    if told is None or told.encoding not in ENCODINGS:
        raise BadRequest("an address has a signature, and an encoding: json or raw")
    if len(told.parameters) > MOST_PARAMETERS or any(one.kind not in KINDS or len(one.name) > 200 for one in told.parameters):
        raise BadRequest("the signature is not one of a function that can be called with JSON")
    host, env = checked_function(control, request, asked.submit)
    missing = await control.storage.write(store.publish, request.principal.account, asked, host, env, now_ms())
    await request.answer(msgspec.msgpack.encode(Kept(missing, path_of(request.principal, asked.label))))


def path_of(who: Principal, label: str) -> str:
    """The path of an address."""
    return f"/r/{who.account}/{label}"


@operation(query=Labelled, answer=Endpoints, raises=(NotFound,))
async def listing(control: Control, request: Request) -> None:
    """GET /v1/rest?label=: the account's addresses, or one of them"""
    label, account = request.asked(Labelled).label, request.principal.account
    if label is None:
        found = await control.storage.read(store.every, account)
    else:
        found = [await control.storage.read(store.find, account, check_label(label))]
    await request.json({"endpoints": [_shown(request, one) for one in found]})


def _shown(request: Request, one: Published) -> EndpointShown:
    call, path = one.call, path_of(request.principal, one.call.label)
    host = request.headers.get(b"host", b"").decode("latin-1")
    return {
        "label": call.label, "uri": f"{request.scope['scheme']}://{host}{path}", "path": path,
        "signature": f"({spelled(one.endpoint)})" if one.endpoint.parameters or one.endpoint.others else "()",
        "parameters": [_parameter(each) for each in one.endpoint.parameters], "others": one.endpoint.others,
        "output_encoding": one.endpoint.encoding, "description": call.description, "created": call.created,
        "creator_host": call.machine, "func_name": call.name, "core_type": call.submit.options.core_type,
    }  # fmt: skip


def _parameter(one: Parameter) -> ParameterShown:
    return {"name": one.name, "required": one.required, "kind": one.kind, "null": one.null, "default": one.default}


@operation(body=Asked, raises=(NotFound,))
async def remove(control: Control, request: Request) -> None:
    """POST /v1/rest/remove: {label}: takes an address away"""
    label = check_label((await request.read(Asked, 'for example {"label": "area"}')).label)
    for key in await control.storage.write(store.remove, request.principal.account, label):
        control.authority.forget(key)
    await request.json({})


# -- what anybody with a key may post ---------------------------------------------------------------------------------


@operation(body=POSTED, query=Call, answer=ENDED, answers=OTHERWISE, raises=(NotFound, Conflict, StorageFull))
async def invoke(control: Control, request: Request, account: str, label: str) -> None:
    """POST /r/{account}/{label}?wait=&key=: named arguments -> {jid}, and the result if it comes within ``wait`` seconds"""
    query = request.asked(Call)
    found = await _found(control, request, account, label)
    made = await _submitted(control, request, found, await _rows(request, found, many=False), query.key)
    if query.wait:
        await answer(control, request, made.first, query.wait)
    else:
        await request.json({"jid": made.first})


@operation(body=POSTED, query=Key, answer=Range, raises=(NotFound, Conflict, StorageFull))
async def invoke_map(control: Control, request: Request, account: str, label: str) -> None:
    """POST /r/{account}/{label}/map?key=: a list for each argument -> {jids: "first-last"}, one job a position"""
    query = request.asked(Key)
    found = await _found(control, request, account, label)
    rows = await _rows(request, found, many=True)
    made = await _submitted(control, request, found, rows, query.key)
    await request.json({"jids": f"{made.first}-{made.first + len(rows) - 1}"})


async def _found(control: Control, request: Request, account: str, label: str) -> Published:
    if int(account) != request.principal.account:
        raise NotFound(f"there is no rest {label[:80]!r} of account {account}")
    found: Published = await control.storage.read(store.find, request.principal.account, label)
    if request.principal.call not in (0, found.call.id):
        raise NotFound(f"there is no rest {label[:80]!r} of account {account}", hint="this key is for another address")
    return found


async def _rows(request: Request, found: Published, *, many: bool) -> list[tuple[bytes, str]]:
    kind = request.headers.get(b"content-type", b"").decode("latin-1")
    body = await request.body()
    shape = mapped if many else single

    def made() -> list[tuple[bytes, str]]:
        return payloads(shape(found.endpoint, read(kind, body)))

    return await asyncio.to_thread(made) if many or len(body) > LARGE else made()


async def _submitted(control: Control, request: Request, found: Published, rows: list[tuple[bytes, str]], key: str) -> Submitted:
    control.storage.check_space()
    account, token = request.principal.account, _token(found, key)
    ends, parts, blobs, at = [], [], dict[int, str](), 0
    for number, (data, _) in enumerate(rows):
        if len(data) > INLINE_LIMIT:
            blobs[number] = (await blob_of(control, account, data)).blob
        else:
            parts.append(data)
            at += len(data)
        ends.append(at)
    arguments = Arguments(ends, b"".join(parts), [preview for _, preview in rows], blobs)
    await control.blobs_present(account, arguments)
    return await control.dispatcher.accept(
        lambda tx: store.invoke(tx, found.call, arguments, token, now_ms()), account, len(rows)
    )


def _token(found: Published, key: str) -> bytes:
    """A request with the same key is the same request."""
    return hashlib.blake2b(f"{found.call.id} {key}".encode(), digest_size=16).digest() if key else os.urandom(16)


@operation(query=OfJob, answer=ENDED, answers=OTHERWISE, raises=(NotFound,))
async def result(control: Control, request: Request, account: str, label: str) -> None:
    """GET /r/{account}/{label}/result?jid=&wait=: the result of one of its jobs"""
    query = request.asked(OfJob)
    found = await _found(control, request, account, label)
    if request.principal.call and not await control.storage.read(store.is_of, found.call, query.jid):
        raise NotFound(f"the address {label[:80]!r} has made no job {query.jid}", jid=query.jid)
    await answer(control, request, query.jid, query.wait)


@operation(query=Wait, answer=ENDED, answers=OTHERWISE, raises=(NotFound,))
async def of_job(control: Control, request: Request, jid: str) -> None:
    """GET /v1/job/{jid}/result?wait=: what a job answered, as JSON or bytes; for results that are one of these"""
    await answer(control, request, int(jid), request.asked(Wait).wait)


@operation(answer=State, raises=(NotFound,))
async def status(control: Control, request: Request, jid: str) -> None:
    """GET /v1/job/{jid}/status: {jid, status}"""
    await request.json(await shown(control, request.principal.account, int(jid)))


# -- what it says about itself ----------------------------------------------------------------------------------------


@operation(answer=dict[str, Any], raises=(NotFound,))
async def openapi(control: Control, request: Request, account: str, label: str) -> None:
    """GET /r/{account}/{label}/openapi.json: what it takes and answers, as OpenAPI 3.1"""
    found = await _found(control, request, account, label)
    await reply(request.send, msgspec.json.encode(document(found, _shown(request, found))), JSON)


@operation(answer=PAGE, raises=(NotFound,))
async def described(control: Control, request: Request, account: str, label: str) -> None:
    """GET /r/{account}/{label}: the same as a page"""
    found = await _found(control, request, account, label)
    body = page(found, _shown(request, found)).encode()
    await reply(request.send, body, HTML, headers=[(b"content-security-policy", POLICY)])
