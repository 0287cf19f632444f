"""Random requests of the whole OpenAPI document: nothing breaks, each is one that the document declares."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import os
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import cloud
from picloud.server.check import PYTHON
from picloud.server.document import document
from picloud.server.operation import declared
from picloud.server.routes import ROUTES
from picloud.wire.object import Append, New, Put
from picloud.wire.queue import Exchange, Push
from tests.conftest import Server, serving
from tests.house.test_routes import request as asked
from tests.house.test_scopes import make

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
LEFT_OUT = {
    "watch.watch": "lasts until the client leaves",
    "view.watch": "the same",
    "environment.add_base": "downloads a whole system",
    "environment.wait": "waits 20 s where nothing changes",
    "environment.output": "waits 20 s where nothing is printed",
}
"""By the operation's name; why it is not called at random."""
NAME, KEY, NOUGHT = "walked", "walked/through", bytes(16)
KNOWN: dict[str, list[Any]] = {
    **dict.fromkeys(("name", "label", "queue"), [NAME]),
    "volume": [""],
    **dict.fromkeys(("key", "prefix", "after", "to"), [KEY, "walked"]),
    "keys": [[KEY], [KEY, "walked"]],
    "ids": [[1], []],
    "sizes": [[1], [0, 1 << 40]],
    "fields": [[], ["status", "stdout"]],
    "match": [None, ""],
    "md5": [""],
    "password": ["several words for a door"],
    "hours": [1.0],
    "host_path": [""],
    "port": [80],
    "source": ["science"],
    "new_name": ["other"],
    "mount_path": ["data"],
    **dict.fromkeys(("account", "owner"), ["", "mallory"]),
    **dict.fromkeys(("state", "status"), ["done", "queued"]),
    **dict.fromkeys(("jid", "id", "first"), [1, 2]),
    "jids": [[[1, 1]], [[1, 2], [7, 1]]],
    "token": [NOUGHT.hex()],
    "python": [PYTHON],
    "function": ["0" * 64],
    "part": ["args", "result"],
    "stream": ["stdout", "stderr,stdout"],
    "user": ["mallory", "ada@example.org"],
    "email": ["ada@example.org"],
    "role": ["member", "admin"],
    "scopes": [["jobs"], ["read", "queue"]],
    "by": ["day", "label", "function", "type", "queue", "job"],
    "end": ["ack", "retry", 0, 2],
    "core_type": ["c1", "f2"],
    "type": ["c1", "f2"],
    "schedule": ["@yearly"],
    "encoding": ["json"],
    "tickets": [["1-1"], ["2-5", "3-5"]],
}
"""What fits where chance would find nothing, by the names of parameters and fields."""
ALONE = ("prefix", "ids", "port", "status", "account", "host_path", "volume", "state", "stream", "after")
"""Fields that stand instead of others."""
LASTING, SHORT = ("wait", "seconds"), 0.2
"""Parameters that say how long an answer may take, and the highest value of them here."""


def schema(mode: GenerationMode) -> Any:
    """The document, told of what is there; for requests that fit it, or for others."""
    whole = copy.deepcopy(document(ROUTES))
    if mode is GenerationMode.POSITIVE:
        _tell(whole)
    for one in (one for path in whole["paths"].values() for one in path.values()):
        for parameter in one["parameters"]:
            name = parameter["name"]
            if parameter["in"] == "path" and name != "queue":
                parameter["schema"] = {"enum": OURS[name]}
            elif name == "follow":
                parameter["schema"] = {"enum": [False]}  # a job that runs is followed for as long as it does
            elif name in LASTING:
                parameter["schema"]["maximum"] = SHORT
    made = schemathesis.openapi.from_dict(whole)
    made.config.generation.update(modes=[mode], with_security_parameters=False)
    made.config.phases.update(phases=["fuzzing"])
    return made.exclude(operation_id=[*LEFT_OUT, *_always_right(whole)] if mode is GenerationMode.NEGATIVE else [*LEFT_OUT])


def _always_right(whole: dict[str, Any]) -> list[str]:
    """Operations that take nothing, so that nothing can be wrong."""
    found = [one for path in whole["paths"].values() for one in path.values()]
    return [one["operationId"] for one in found if not one["parameters"] and "requestBody" not in one]


def _tell(whole: dict[str, Any]) -> None:
    """Requests get schemas of their own, in which names are those of things that are there."""
    schemas = whole["components"]["schemas"]
    asked = {f"Asked{name}": _told(_asked(part)) for name, part in schemas.items()}
    schemas |= asked
    for one in (one for path in whole["paths"].values() for one in path.values()):
        one |= {"requestBody": _told(_asked(one["requestBody"]))} if "requestBody" in one else {}
        for parameter in one["parameters"]:
            parameter["schema"] = _field(parameter["name"], parameter["schema"])
            parameter["required"] |= parameter["name"] in KNOWN and parameter["name"] not in ALONE


def _asked(part: Any) -> Any:
    return json.loads(json.dumps(part).replace('"#/components/schemas/', '"#/components/schemas/Asked'))


def _told(part: Any) -> Any:
    """The same with fields that may be left out, but make a request one of something."""
    if isinstance(part, list):
        return [_told(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {name: _told(one) for name, one in part.items()}
    if made.get("contentEncoding") == "base64":
        return {"enum": [base64.b64encode(one).decode() for one in (NOUGHT, b"", b'{"x": 1}')]}
    if made.get("type") == "integer":
        made = {"minimum": -(2**63), "maximum": 2**64 - 1} | made
    fields = made.get("properties")
    if isinstance(fields, dict):
        made["properties"] = {name: _field(name, one) for name, one in fields.items()}
        made["required"] = sorted({*made.get("required", []), *(name for name in fields if name in KNOWN and name not in ALONE)})
    return made


def _field(name: str, said: dict[str, Any]) -> dict[str, Any]:
    if name == "timeout_ms":
        return said | {"maximum": 20}
    kinds = {one.get("type") for one in said.get("anyOf", [said])}
    found = [one for one in KNOWN.get(name, ()) if _KINDS[type(one)] in kinds]
    return {"enum": found} if found else said


_KINDS: dict[type, str] = {type(None): "null", int: "integer", float: "number", str: "string", list: "array"}
OURS = {"jid": [1, 2, 3, 10**17], "account": [1], "label": [NAME], "key": [KEY, "walked/else", "a b/\u00e9"]}
"""The parts of paths: of things that are there, most of them."""


TYPES = {
    f"{route.method} {route.path}": told.body[0].shape for route in ROUTES if (told := declared(route.handler)) and told.body
}


@schemathesis.serializer("application/msgpack")
def pack(context: Any, value: Any) -> bytes:
    """A body that is right becomes what a client would send, with bytes as bytes; another one comes as it is."""
    kind = TYPES.get(f"{context.case.method} {context.case.operation.path}", Any)
    with contextlib.suppress(msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        value = _agreeing(msgspec.json.decode(json.dumps(value), type=kind))
    try:
        return msgspec.msgpack.encode(value)
    except (OverflowError, TypeError, UnicodeError):
        return b"\xc1"


def _agreeing(value: Any) -> Any:
    """What is said twice in a message is the same: how many bytes come, how many jobs."""
    for one in value.objects if isinstance(value, Put) else [value] if isinstance(value, Append) else ():
        one.data, one.extents = one.data or b"", []
        one.size, one.token = len(one.data), NOUGHT
        if isinstance(one, New):
            one.md5 = ""
    if isinstance(value, Push | Exchange):
        value.token = os.urandom(16)
    return value


@schemathesis.deserializer("application/msgpack")
def unpack(context: Any, answer: Any) -> Any:
    return msgspec.to_builtins(msgspec.msgpack.decode(answer.content))


@pytest.fixture(scope="module")
def live() -> Iterator[Server]:
    """A server of its own: what comes at random changes keys, limits and accounts."""
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def auth(live: Server) -> dict[str, str]:
    owner = "Basic " + base64.b64encode(f"{live.key}:{live.secret}".encode()).decode()
    status, answer = asked(live.url, "POST", "/v1/admin/account", b'{"name": "mallory"}', owner)
    assert status == 200, answer
    made = json.loads(answer)
    foreign = "Basic " + base64.b64encode(f"{made['api_key']}:{made['api_secretkey']}".encode()).decode()
    assert cloud.result(cloud.call(abs, -1)) == 1, "what there is to ask about"
    cloud.environment.create(NAME)
    _, limited = make(live, foreign, scopes=["read", "queue"], note="limited")
    return {"owner": owner, "limited": limited}


@pytest.fixture
def things(live: Server, request: pytest.FixtureRequest) -> None:
    """What has a name that is known, whatever was deleted before; where a request is about such things."""
    if not any(word in request.node.name for word in ("/queue", "/bucket", "/object", "/file", "/rest", "/r/", "/cron")):
        return
    live.use()
    owner = "Basic " + base64.b64encode(f"{live.key}:{live.secret}".encode()).decode()
    status, answer = asked(live.url, "POST", "/v1/file/remove", b'{"folder": ""}', owner)
    assert status == 200, answer  # else a folder may be where the object has to be
    cloud.bucket.putf(b"walked through", KEY)
    queue = cloud.queue.get(NAME)
    queue.push(["through", {"n": 1}, object])
    (ticket,) = queue.pop_tickets(1)
    queue.exchange([cloud.queue.Done(ticket, end="dead")], 0)
    cloud.rest.publish(print, NAME)
    cloud.cron.register(print, NAME, "@yearly")


QUICK = settings(max_examples=4, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
POSITIVE, NEGATIVE = schema(GenerationMode.POSITIVE), schema(GenerationMode.NEGATIVE)


@POSITIVE.parametrize()
@QUICK
def test_answers_are_as_declared(case: Any, live: Server, auth: dict[str, str], things: None) -> None:
    answered(case, live, auth["owner"])


@NEGATIVE.parametrize()
@settings(QUICK, max_examples=2)
def test_answers_to_what_is_wrong_are_as_declared(case: Any, live: Server, auth: dict[str, str]) -> None:
    answered(case, live, auth["owner"])


@POSITIVE.parametrize()
@settings(QUICK, max_examples=1)
def test_answers_to_a_limited_key_are_as_declared(case: Any, live: Server, auth: dict[str, str]) -> None:
    answered(case, live, auth["limited"])


@pytest.mark.full
@POSITIVE.parametrize()
@settings(QUICK, max_examples=200)
def test_many_answers_are_as_declared(case: Any, live: Server, auth: dict[str, str], things: None) -> None:
    answered(case, live, auth["owner"])


@pytest.mark.full
@NEGATIVE.parametrize()
@settings(QUICK, max_examples=200)
def test_many_answers_to_what_is_wrong_are_as_declared(case: Any, live: Server, auth: dict[str, str], things: None) -> None:
    answered(case, live, auth["owner"])


def answered(case: Any, live: Server, auth: str) -> None:
    headers = {"Authorization": auth}
    answer = case.call(base_url=live.url, headers=headers, timeout=20)
    case.validate_response(answer, checks=CHECKS, headers=headers)
    assert answer.status_code != 503, f"{answer.text}: what a handler did not expect is answered so; {live.home}/server.log"
