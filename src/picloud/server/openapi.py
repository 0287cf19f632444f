"""What an address takes and answers: as an OpenAPI document, and as a page that loads nothing from anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from picloud.server.document import ERROR, KEY, SESSION, TOLD, VERSION, refused
from picloud.store.call.rest import Published
from picloud.wire.call import LONGEST_WAIT, MOST_MAPPED, Endpoint, Parameter

POLICY = b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_STYLE = "body{font:16px/1.5 sans-serif;max-width:46em;margin:2em auto;padding:0 1em;color:#222}pre,code{background:#f4f4f4}" \
    "pre{padding:.7em;overflow:auto}td,th{text-align:left;padding:.1em 1em .1em 0;vertical-align:top}"  # fmt: skip
_PLAIN = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")


def document(found: Published, told: Mapping[str, Any]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of an address.

    Args:
        told: what the list of addresses says of it.
    """
    server, path = told["uri"].removesuffix(told["path"]), told["path"]
    single, many = _schema(found.endpoint), _schema(found.endpoint, many=True)
    return {
        "openapi": VERSION,
        "info": {"title": told["label"], "version": str(told["created"]), "description": told["description"]},
        "servers": [{"url": server}],
        "security": [{"key": []}],
        "paths": {
            path: {"post": _operation("call", single, _answers(found.endpoint), [_wait(), _key()])},
            f"{path}/map": {"post": _operation("map", many, _range(), [_key()])},
            f"{path}/result": {"get": {"operationId": "result", "summary": "The result of a job", "parameters": [_jid(), _wait()],
                                       "responses": _answers(found.endpoint) | refused([400, 401, 403, 404, 503])}},
        },
        "components": {
            "securitySchemes": {"key": KEY, "session": SESSION},
            "schemas": {"Error": ERROR, "Told": TOLD, "State": _STATE},
        },
    }  # fmt: skip


_STATE = {"type": "object", "required": ["jid"], "properties": {"jid": {"type": "integer"}, "status": {"type": "string"}}}


def _operation(name: str, schema: dict[str, Any], responses: dict[str, Any], parameters: list[Any]) -> dict[str, Any]:
    summary = "Call the function" if name == "call" else f"Call it once for each position of lists, at most {MOST_MAPPED} times"
    return {
        "operationId": name, "summary": summary, "parameters": parameters,
        "requestBody": {"required": bool(schema["required"]), "content": {kind: {"schema": schema} for kind in _PLAIN}},
        "responses": responses | refused([400, 401, 403, 404, 409, 413, 503, 507]),
    }  # fmt: skip


def _schema(endpoint: Endpoint, *, many: bool = False) -> dict[str, Any]:
    one = {parameter.name: _value(parameter) for parameter in endpoint.parameters}
    lists = {name: {"type": "array", "items": value, "minItems": 1, "maxItems": MOST_MAPPED} for name, value in one.items()}
    return {
        "type": "object",
        "properties": lists if many else one,
        "required": [parameter.name for parameter in endpoint.parameters if parameter.required],
        "additionalProperties": endpoint.others,
    }


def _value(parameter: Parameter) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if parameter.kind == "file":
        made = {"type": "string", "contentMediaType": "application/octet-stream"}
    elif parameter.kind:
        made = {"type": [parameter.kind, "null"] if parameter.null else parameter.kind}
    return made | ({"default": json.loads(parameter.default)} if parameter.default else {})


def _wait() -> dict[str, Any]:
    schema = {"type": "number", "minimum": 0, "maximum": LONGEST_WAIT}
    return {"name": "wait", "in": "query", "schema": schema, "description": "Seconds to wait for the result"}


def _key() -> dict[str, Any]:
    told = "A repeat with the same key and arguments is the same job"
    return {"name": "key", "in": "query", "schema": {"type": "string", "maxLength": 200}, "description": told}


def _jid() -> dict[str, Any]:
    return {"name": "jid", "in": "query", "required": True, "schema": {"type": "integer", "minimum": 0}}


def _answers(endpoint: Endpoint) -> dict[str, Any]:
    state = {"application/json": {"schema": {"$ref": "#/components/schemas/State"}}}
    done = state if endpoint.encoding == "json" else state | {"application/octet-stream": {}}
    return {
        "200": {"description": "The job was accepted, or has ended well: with its result", "content": done},
        "202": {"description": "There is no result yet", "content": state},
    } | {"422": {"description": "The job failed", "content": refused([400])["400"]["content"]}}


def _range() -> dict[str, Any]:
    schema = {"type": "object", "required": ["jids"], "properties": {"jids": {"type": "string", "pattern": "^[0-9]+-[0-9]+$"}}}
    return {"200": {"description": "The jobs were accepted", "content": {"application/json": {"schema": schema}}}}


def page(found: Published, told: Mapping[str, Any]) -> str:
    """The same for people."""
    rows = "".join(
        f"<tr><td><code>{escape(one.name)}</code><td>{escape(one.kind or 'any')}{' or null' * one.null}"
        f"<td>{'required' if one.required else escape(one.default) or 'optional'}"
        for one in found.endpoint.parameters
    )
    others = "<p>Arguments of other names are taken too." * found.endpoint.others
    flags = " ".join(_flag(one) for one in found.endpoint.parameters if one.required)
    uri, label = escape(told["uri"]), escape(told["label"])
    answer = "its JSON in <code>result</code>" if found.endpoint.encoding == "json" else "bytes, as they are"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{label}</title><style>{_STYLE}</style>"
        f"<h1>{label}</h1><pre>{escape(told['description'] or told['func_name'])}</pre><h2>Arguments</h2>"
        f"<table><tr><th>name<th>type<th>default{rows}</table>{others}"
        f"<h2>Call it</h2><pre>curl -u KEY:SECRET {escape(flags)} {uri}\n"
        f"curl -u KEY:SECRET '{uri}/result?jid=JID&amp;wait=30'</pre>"
        f"<p><code>?wait=30</code> at the first request waits for the result at once. The answer is {answer}.</p>"
        f"<p>Machines read <a href='{escape(told['path'])}/openapi.json'>openapi.json</a>.</p></html>"
    )


def _flag(parameter: Parameter) -> str:
    example = {"string": "'\"text\"'", "boolean": "true", "array": "'[1, 2]'", "object": "'{}'", "file": "@file"}
    return f"-F {parameter.name}={example.get(parameter.kind, '1')}"
