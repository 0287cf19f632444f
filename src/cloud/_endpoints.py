"""What ``cloud.rest`` says to the server."""

from __future__ import annotations

import inspect
import json
import os
import re
import socket
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from cloud import _function, _session, _stored
from cloud._called import Called
from picloud.wire import describe
from picloud.wire.call import ENCODINGS, Endpoint, Kept, Parameter, Register, check_label

_KINDS: dict[Any, str] = {
    int: "integer", float: "number", str: "string", bool: "boolean", list: "array", tuple: "array", dict: "object", bytes: "file",
}  # fmt: skip


def publish(func: Callable[..., Any], label: str, endpoint: Endpoint, reserved: dict[str, Any], shown: Any = None) -> str:
    """Give a function an address; the URL. Errors as for ``cloud.rest.publish``.

    Args:
        shown: what people take it for, where that is not ``func``.
    """
    check_label(label)
    if endpoint.encoding not in ENCODINGS:
        raise ValueError(f"out_encoding is 'json' or 'raw', not {endpoint.encoding!r:.60}")
    chosen = _stored.options("rest.publish", label, reserved)
    chosen.options.interactive = getattr(shown, "is_program", False) is True
    link = _stored.link("addresses")
    kept = _stored.stored(Called(func, endpoint.encoding), shown if shown is not None else func, chosen)
    told = Register(label, kept.submit, _description(func), socket.gethostname(), endpoint=endpoint)
    return _session.session().url + _stored.send(link, "/v1/rest", told, kept, Kept).path


def _description(func: Any) -> str:
    found = inspect.getdoc(func) if inspect.isroutine(func) else None
    return (found or "")[:10_000]


def signature(func: Any) -> Endpoint:
    """The named arguments of a function.

    Raises:
        TypeError: it cannot be called.
        ValueError: an argument of it cannot be given by name, or it does not tell its arguments.
    """
    if not callable(func):
        raise TypeError(f"a function is published, not {func!r:.80} ({type(func).__name__})")
    try:
        found = inspect.signature(func)
    except (ValueError, TypeError):
        raise ValueError(f"{_function.name(func)} does not tell its arguments: wrap it in a function that does") from None
    try:
        hints = typing.get_type_hints(func)
    except Exception:  # noqa: BLE001 user code: annotations may name anything
        hints = {}
    made = Endpoint()
    for one in found.parameters.values():
        if one.kind is one.VAR_KEYWORD:
            made.others = True
        elif one.kind is one.POSITIONAL_ONLY and one.default is one.empty:
            raise ValueError(f"{_function.name(func)}{found}: {one.name!r} cannot be given by name, as what is posted is")
        elif one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
            made.parameters.append(_parameter(one, hints.get(one.name)))
    return made


def _parameter(one: inspect.Parameter, hint: Any) -> Parameter:
    required = one.default is one.empty
    kind, null = _kind(hint)
    default = "" if required else describe.exact(one.default) or ""
    return Parameter(one.name, required, kind, null or one.default is None, default)


def _kind(hint: Any) -> tuple[str, bool]:
    """The JSON type of an annotation, and whether it allows null."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [one for one in typing.get_args(hint) if one is not type(None)]
        return (_kind(inner[0])[0] if len(inner) == 1 else ""), len(inner) < len(typing.get_args(hint))
    found = typing.get_origin(hint) or hint
    return (_KINDS.get(found, "") if isinstance(found, type) else ""), False


def ask(method: str, path: str, body: Any = None) -> Any:
    """Ask the server about addresses."""
    if body is not None and "label" in body:
        check_label(body["label"])
    return _stored.link("addresses").json(method, f"/v1/rest{path}", body)


def invoke(label: str, arguments: Mapping[str, Any], *, many: bool) -> dict[str, Any]:
    """Post arguments; the answer: ``jid``, or ``jids`` as "first-last"."""
    (found,) = ask("GET", f"?label={quote(check_label(label))}")["endpoints"]
    kind, body = _body(arguments)
    path = f"{found['path']}{'/map' if many else ''}?key={os.urandom(16).hex()}"
    answer: dict[str, Any] = json.loads(_stored.link("addresses").request("POST", path, body, kind=kind))
    return answer


def _body(arguments: Mapping[str, Any]) -> tuple[str, bytes]:
    """Content type and body: JSON, or multipart where there are files."""
    files = {name: value for name, value in arguments.items() if hasattr(value, "read") or isinstance(value, bytes | bytearray)}
    texts = {name: _text(name, value) for name, value in arguments.items() if name not in files}
    if not files:
        return "application/json", ("{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in texts.items()) + "}").encode()
    boundary = os.urandom(16).hex()
    parts = [_part(boundary, name, "", text.encode()) for name, text in texts.items()]
    parts += [_part(boundary, name, '; filename="file"', _bytes(name, value)) for name, value in files.items()]
    return f"multipart/form-data; boundary={boundary}", b"".join([*parts, f"--{boundary}--\r\n".encode()])


def _part(boundary: str, name: str, more: str, data: bytes) -> bytes:
    quoted = re.sub(r'(["\\])', r"\\\1", name)
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{quoted}"{more}\r\n\r\n'.encode() + data + b"\r\n"


def _bytes(name: str, value: Any) -> bytes:
    data = value if isinstance(value, bytes | bytearray) else value.read()
    if not isinstance(data, bytes | bytearray):
        raise TypeError(f"the file of {name!r} gives {type(data).__name__}: open it in binary mode")
    return bytes(data)


def _text(name: str, value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"JSON cannot say the value of {name!r}: {error}") from None
