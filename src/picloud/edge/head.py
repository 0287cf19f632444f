"""The head of a request on its way to a job: parsed, and cleaned of everything that is ours."""

from __future__ import annotations

import base64
import binascii
import re
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from picloud.wire import entry
from picloud.wire.error import BadRequest

Headers = list[tuple[bytes, bytes]]
HOP = (
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authorization",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
)
"""Headers that concern one connection only."""
_KEY = re.compile(r"\d{5,18}:[0-9a-f]{40}")
_TOKEN = re.compile(rb"[\w-]{43}")


class Head(NamedTuple):
    """A request's first line and headers, names in lower case."""

    method: bytes
    path: str  # with its query
    headers: Headers

    @classmethod
    def parse(cls, data: bytes) -> Head:
        """The head in these bytes, which an HTTP parser has found good."""
        lines = data.split(b"\r\n\r\n")[0].split(b"\r\n")
        method, path, *_ = [*lines[0].split(b" "), b""]
        fields = (line.partition(b":") for line in lines[1:])
        return cls(method, path.decode("latin-1"), [(name.strip().lower(), value.strip()) for name, _, value in fields])

    @property
    def host(self) -> str:
        return self.get(b"host")

    def get(self, name: bytes) -> str:
        """A header's value, "" without one."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name), "")

    def plain(self) -> dict[str, str]:
        """Names and values as text."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers}


def shown(head: Head) -> tuple[str, str]:
    """The entries in link and cookie."""
    query = dict(parse_qsl(urlsplit(head.path).query))
    jar: SimpleCookie = SimpleCookie()
    for value in (value for name, value in head.headers if name == b"cookie"):
        for part in value.decode("latin-1").split(";"):
            name, _, text = part.strip().partition("=")
            if name == entry.COOKIE:
                try:
                    jar[entry.COOKIE] = text
                except CookieError:
                    continue
    return query.get(entry.PARAMETER, ""), jar[entry.COOKIE].value if entry.COOKIE in jar else ""


def without_entry(path: str) -> str:
    """The same address, without the entry in its query."""
    parts = urlsplit(path)
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query, True) if name != entry.PARAMETER])
    return urlunsplit(("", "", "/" + parts.path.lstrip("/"), query, ""))


def to_job(headers: Headers, drop: tuple[bytes, ...] = ()) -> Headers:
    """The headers that a job may see: no cookie, key or token of ours."""
    found: Headers = []
    for name, value in headers:
        if name in drop or name.startswith(b"x-picloud") or (name == b"authorization" and _is_ours(value)):
            continue
        if name == b"cookie":
            kept = [part.strip() for part in value.split(b";") if part.split(b"=")[0].strip() != entry.COOKIE.encode()]
            if not kept:
                continue
            value = b"; ".join(kept)
        if name == b"referer" and entry.PARAMETER.encode() in value:
            continue
        found.append((name, value))
    return found


def to_visitor(headers: Headers) -> Headers:
    """The headers of a job's answer that a visitor may see: it sets no cookie of ours, and none for other names."""
    found: Headers = []
    for name, value in headers:
        if name in HOP:
            continue
        if name == b"set-cookie":
            first, *rest = value.split(b";")
            if first.split(b"=")[0].strip() == entry.COOKIE.encode():
                continue
            value = b";".join([first, *(part for part in rest if part.strip()[:6].lower() != b"domain")])
        found.append((name, value))
    return found


def check_origin(head: Head) -> None:
    """A page of another origin may not speak to a job's WebSocket through the visitor's browser.

    Raises:
        BadRequest: it is one.
    """
    origin = head.get(b"origin")
    if origin and urlsplit(origin).netloc.lower() != head.host.lower():
        raise BadRequest("a WebSocket to a job is opened from the job's own page")


def _is_ours(authorization: bytes) -> bool:
    """Whether this is a credential of PiCloud; those of the job's own program pass."""
    scheme, _, value = authorization.partition(b" ")
    value = value.strip()
    if scheme.lower() in (b"worker", b"edge"):
        return True
    if scheme.lower() == b"bearer":
        return _TOKEN.fullmatch(value) is not None
    if scheme.lower() == b"basic":
        try:
            return _KEY.fullmatch(base64.b64decode(value).decode("latin-1")) is not None
        except binascii.Error:
            return False
    return False
