"""What somebody posts to an address: named arguments, each as the text of its JSON or as the bytes of a file.

A form (each value JSON), a JSON object, or multipart, whose parts with a file name are files.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from picloud.wire.error import BadRequest

MOST = 1000
"""Fields of one request."""
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})"|([^\s;,"]{1,200}))', re.IGNORECASE)
_NAME = re.compile(r';\s*name="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_FILE = re.compile(r";\s*filename\*?=", re.IGNORECASE)
_STRING = 'JSON: a text stands in quotes, as in name="Ada"'


class Value(NamedTuple):
    """One argument: its JSON and what that says, or the bytes of a file."""

    text: str = ""
    value: object = None
    file: bytes | None = None


def read(kind: str, body: bytes) -> dict[str, Value]:
    """The arguments of a request.

    Args:
        kind: its Content-Type.

    Raises:
        BadRequest: naming the argument that is wrong, or what was expected.
    """
    form = kind.partition(";")[0].strip().lower()
    if form == "application/json":
        return _object(body)
    if form == "multipart/form-data":
        return _parts(kind, body)
    if form == "application/x-www-form-urlencoded" or (not form and not body):
        return _fields(body)
    raise BadRequest(
        f"arguments come as a form, as JSON or as multipart/form-data, not as {form[:80] or 'nothing'}",
        hint="curl -d 'x=1', or --json '{\"x\": 1}', or -F x=1 -F f=@file",
    )


def _object(body: bytes) -> dict[str, Value]:
    found = parsed(_text(body, "the body"), "the body") if body.strip() else {}
    if not isinstance(found, dict):
        raise BadRequest("the body is no JSON object of named arguments", hint='for example {"x": 1}')
    return {name: Value(json.dumps(value), value) for name, value in found.items()}


def _fields(body: bytes) -> dict[str, Value]:
    made: dict[str, Value] = {}
    for field in body.split(b"&") if body else ():
        name, _, value = field.partition(b"=")
        _add(made, _text(_unquoted(name), "a name"), _unquoted(value), False)
    return made


def _unquoted(data: bytes) -> bytes:
    return unquote_to_bytes(data.replace(b"+", b" "))


def _parts(kind: str, body: bytes) -> dict[str, Value]:
    found = _BOUNDARY.search(kind)
    if found is None:
        raise BadRequest("a multipart body has a boundary", hint="curl -F x=1 makes it by itself")
    pieces = (b"\r\n" + body).split(b"\r\n--" + (found[1] or found[2]).encode("latin-1"))
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise BadRequest("the multipart body ends before its last boundary", hint="send it again")
    made: dict[str, Value] = {}
    for piece in pieces[1:-1]:
        head, empty, data = piece.partition(b"\r\n\r\n")
        lines = _text(head, "a part's head").split("\r\n")
        place = next((line for line in lines if line.lower().startswith("content-disposition:")), "")
        name = _NAME.search(place)
        if not empty or name is None:
            raise BadRequest("a part of the multipart body has no name", hint='Content-Disposition: form-data; name="x"')
        _add(made, re.sub(r"\\(.)|%22", lambda escaped: escaped[1] or '"', name[1]), data, _FILE.search(place) is not None)
    return made


def _add(made: dict[str, Value], name: str, data: bytes, is_file: bool) -> None:
    if name in made:
        raise BadRequest(f"the argument {name[:80]!r} is given twice")
    if len(made) >= MOST:
        raise BadRequest(f"more than {MOST} arguments")
    if is_file:
        made[name] = Value(file=data)
    else:
        text = _text(data, f"the value of {name[:80]!r}")
        made[name] = Value(text, parsed(text, f"the value of {name[:80]!r}"))


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadRequest(f"{what} is no UTF-8", hint="bytes are sent as a file: curl -F name=@file") from None


def parsed(text: str, what: str) -> object:
    """The value that a JSON text says.

    Raises:
        BadRequest: it is none.
    """
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise BadRequest(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise BadRequest(f"{what} is no JSON: {error}", hint=f"each value is {_STRING}", found=text[:80]) from None


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no JSON number")
