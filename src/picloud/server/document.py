"""One OpenAPI document for the whole public API, made of the list of routes and what their handlers declare."""

from __future__ import annotations

import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from picloud import __version__
from picloud.server.operation import Content, Operation, declared
from picloud.server.paths import END, PARTS, named
from picloud.wire.error import BY_CODE, BadRequest, CloudException, Forbidden, NotAuthorized, NotFound, TooLarge, Unavailable
from picloud.wire.error import Told as Error
from picloud.wire.scope import spelled

if TYPE_CHECKING:
    from picloud.server.route import Route

Schema = dict[str, Any]
VERSION = "3.1.0"
KEY = {"type": "http", "scheme": "basic", "description": "An API key as the user name, its secret as the password"}
SESSION = {"type": "http", "scheme": "bearer", "description": "The token of a login"}
ERROR = {
    "type": "object", "required": ["error"], "properties": {"error": {"$ref": "#/components/schemas/Told"}},
    "description": "Any error: what went wrong, what to do next, and the facts",
}  # fmt: skip
TOLD: Schema = msgspec.json.schema_components([Error])[1]["Told"]
_ABOUT = """Jobs, queues, buckets and everything else of a PiCloud server.

Bodies are JSON, or MessagePack of the same shape where `application/msgpack` is named; there bytes are bytes, here base64.
Jids travel as ranges, `[[first, count], ...]`. With curl alone: docs/guides/http.md."""
_SIGNATURE = re.compile(r"^(GET|POST|PUT|DELETE) \S+( and \S+)*:?\s*")
_COMMENT = re.compile(r"^    (\w+): [^=#\n]+(?:=[^#\n]*)?# (.*)$", re.MULTILINE)
_PREFIX = "#/components/schemas/"


def document(routes: Sequence[Route]) -> Schema:
    """The OpenAPI 3.1 document of these routes; those of our own processes and those of pages are left out.

    Raises:
        TypeError: a handler does not declare what it takes and answers.
    """
    shown = [(route, _declared(route)) for route in routes if route.access.public]
    schemas, components = _schemas(_types(told for _, told in shown))
    paths: dict[str, dict[str, Any]] = {}
    for (route, told), name in zip(shown, _names([route for route, _ in shown]), strict=True):
        paths.setdefault(route.path.replace(END, ""), {})[route.method.lower()] = _operation(route, name, told, schemas)
    return {
        "openapi": VERSION,
        "info": {"title": "PiCloud", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "securitySchemes": {"key": KEY, "session": SESSION},
            "responses": refused({status for route, told in shown for status in _raised(route, told)}),
            "schemas": components | {"Error": ERROR},
        },
    }


def _declared(route: Route) -> Operation:
    found = declared(route.handler)
    if found is None:
        raise TypeError(f"the handler of {route.method} {route.path} declares no operation; see docs/explain/http.md")
    return found


def about(handler: Callable[..., Any]) -> str:
    """What a handler's docstring says besides its route."""
    return _SIGNATURE.sub("", " ".join(inspect.cleandoc(handler.__doc__ or "").split())).replace("``", "`")


# -- operations -------------------------------------------------------------------------------------------------------


def _names(routes: Sequence[Route]) -> list[str]:
    """Module and handler; where one handler serves several routes, the end of the path too."""
    plain = [f"{route.handler.__module__.rpartition('.')[2]}.{route.handler.__name__}" for route in routes]
    several = {name for name, times in Counter(plain).items() if times > 1}
    return [
        f"{name}.{route.path.rpartition('/')[2]}" if name in several else name for name, route in zip(plain, routes, strict=True)
    ]


def _operation(route: Route, name: str, told: Operation, schemas: Mapping[int, Schema]) -> Schema:
    text = about(route.handler)
    made: Schema = {"operationId": name, "tags": [name.partition(".")[0]], "summary": text[:200]}
    made["parameters"] = [*(_part(name) for name in named(route.path)), *_query(told.query)]
    if told.body:
        made["requestBody"] = {"required": True, "content": _content(told.body, schemas)}
    answers = {str(status): _answer(status, one, schemas) for status, one in told.answers.items()}
    errors = {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(set(_raised(route, told)))}
    made["responses"] = answers | {status: one for status, one in errors.items() if status not in answers}
    made["security"] = _security(route)
    return made


def _part(name: str) -> Schema:
    part = PARTS[name]
    return {"name": name, "in": "path", "required": True, "schema": part.schema, "description": part.told}


def _query(kind: Any) -> Iterator[Schema]:
    """A Struct's fields as parameters."""
    if kind is None:
        return
    told = _comments(kind)
    (schema,), parts = msgspec.json.schema_components([kind])
    whole = parts[schema["$ref"].rpartition("/")[2]]
    for name, one in whole["properties"].items():
        one = {key: value for key, value in one.items() if key != "default" or value is not None}
        made = {"name": name, "in": "query", "required": name in whole["required"], "schema": _said(one)}
        yield made | ({"description": told[name]} if name in told else {})


def _said(schema: Schema) -> Schema:
    """The same without null, which a query cannot say."""
    if "anyOf" not in schema:
        return schema
    (left,) = [one for one in schema["anyOf"] if one != {"type": "null"}]
    return dict(left)


def _content(contents: Iterable[Content], schemas: Mapping[int, Schema]) -> Schema:
    made: Schema = {}
    for one in contents:
        kind = one.kind.decode().partition(";")[0]
        made[kind] = {"schema": schemas[id(one.shape)]} if one.shape is not None else {}
    return made


def _answer(status: int, contents: Iterable[Content], schemas: Mapping[int, Schema]) -> Schema:
    content = _content(contents, schemas)
    return {"description": _WORDS[status]} | ({"content": content} if content else {})


_WORDS = {
    200: "Done", 201: "Made", 202: "There is no result yet", 206: "The bytes that were asked for", 304: "It is as you know it",
    307: "The bytes are at another address", 416: "There are no such bytes", 422: "The job failed",
}  # fmt: skip


def refused(statuses: Iterable[int]) -> Schema:
    """The answers that are errors, by status, as components of this name."""
    kinds: dict[int, list[str]] = {}
    for one in BY_CODE.values():
        kinds.setdefault(one.http_status, []).append(inspect.cleandoc(one.__doc__ or "").split("\n")[0])
    content = {"application/json": {"schema": {"$ref": f"{_PREFIX}Error"}}}
    return {str(status): {"description": " ".join(kinds[status]), "content": content} for status in sorted(statuses)}


def _raised(route: Route, told: Operation) -> Iterator[int]:
    always: tuple[type[CloudException], ...] = (BadRequest, Forbidden, Unavailable)
    yield from (one.http_status for one in (*always, *told.raises))
    if route.access.keyed:
        yield NotAuthorized.http_status
    if named(route.path):
        yield NotFound.http_status
    if told.body:
        yield TooLarge.http_status


def _security(route: Route) -> list[Schema]:
    """Alternatives: each a way to say who asks, with the scopes that it needs."""
    if not route.access.keyed:
        return []
    return [{way: spelled(one)} for one in route.scope for way in ("key", "session")]


# -- schemas ----------------------------------------------------------------------------------------------------------


def _types(operations: Iterable[Operation]) -> list[Any]:
    """All types that are declared for bodies and answers."""
    found: dict[int, Any] = {id(Error): Error}
    for told in operations:
        for one in (*told.body, *(content for answer in told.answers.values() for content in answer)):
            if one.shape is not None:
                found[id(one.shape)] = one.shape
    return list(found.values())


def _schemas(types: Sequence[Any]) -> tuple[dict[int, Schema], Schema]:
    """The schema of each type by its id, and what they refer to; fields are described by the comments beside them."""
    made, parts = msgspec.json.schema_components(types, ref_template=_PREFIX + "{name}")
    for kind in _classes(msgspec.inspect.multi_type_info(types)):
        part = parts.get(kind.__name__) or parts.get(f"{kind.__module__}.{kind.__qualname__}") or {}
        for name, text in _comments(kind).items():
            if name in part.get("properties", {}):
                part["properties"][name] = {"description": text} | part["properties"][name]
    short = {name: _short(name) for name in parts}
    if len(set(short.values())) < len(short):
        raise TypeError(f"two types have one name in the document: {sorted(short.values())}")
    named = {id(kind): _renamed(schema, short) for kind, schema in zip(types, made, strict=True)}
    return named, {short[name]: _renamed(part, short) for name, part in sorted(parts.items())}


def _short(name: str) -> str:
    """Where several modules have a type of one name, msgspec tells the module: ``picloud.wire.object.New`` is ObjectNew."""
    return "".join(word[:1].upper() + word[1:] for word in name.split(".")[-2:])


def _renamed(schema: Any, short: Mapping[str, str]) -> Any:
    if isinstance(schema, dict):
        return {name: _PREFIX + short[one.removeprefix(_PREFIX)] if name == "$ref" else _renamed(one, short)
                for name, one in schema.items()}  # fmt: skip
    return [_renamed(one, short) for one in schema] if isinstance(schema, list) else schema


def _classes(told: Any) -> set[type]:
    """The classes with fields in what msgspec tells of types."""
    found: set[type] = set()
    left = list(told)
    while left:
        one = left.pop()
        if isinstance(one, msgspec.inspect.StructType | msgspec.inspect.TypedDictType):
            if one.cls in found:
                continue
            found.add(one.cls)
        left += [part for name in getattr(one, "__struct_fields__", ()) for part in _parts(getattr(one, name))]
    return found


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, tuple):
        return value
    return (value,) if isinstance(value, msgspec.inspect.Type) else ()


@cache
def _source(module: str) -> str:
    try:
        return inspect.getsource(sys.modules[module])
    except (OSError, KeyError):
        return ""


def _comments(kind: Any) -> dict[str, str]:
    """The comment beside each field of a class."""
    found: dict[str, str] = {}
    for base in getattr(kind, "__orig_bases__", kind.__bases__):
        if getattr(base, "__module__", "").startswith("picloud"):
            found |= _comments(base)
    block = re.search(rf"^class {kind.__name__}\b.*?(?=^\S|\Z)", _source(kind.__module__), re.MULTILINE | re.DOTALL)
    return found | dict(_COMMENT.findall(block[0] if block else ""))
