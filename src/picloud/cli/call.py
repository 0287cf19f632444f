"""Requests to the server that are not about jobs: its status, accounts, and whether a key works."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from picloud.wire.error import BadRequest, NotAuthorized, SetupError, Unavailable, from_dict

SECONDS = 30.0


class Server(NamedTuple):
    """A server, and who asks it."""

    url: str
    api_key: str
    api_secretkey: str
    fingerprint: str = ""  # sha256 of its certificate, hex; "" = the system's authorities decide


def configured() -> Server:
    """The server and key that the client would use: flags, environment, configuration.

    Raises:
        SetupError: no key is configured.
    """
    from picloud.cli.client import client

    cloud = client()
    found = cloud.connection_info()
    return Server(found["server_url"], str(found["api_key"]), str(found["api_secretkey"]), str(cloud.config.fingerprint))


def call(server: Server, method: str, path: str, body: Any = None) -> Any:
    """One JSON request.

    Args:
        server: where, and with which key.
        method: of HTTP.
        path: with its query.
        body: sent as JSON; None = nothing.

    Raises:
        Unavailable: nothing answers at the URL.
        SetupError: another certificate than the one pinned, or none that is trusted.
        CloudException: what the server answered.
    """
    line = _connect(server)
    pair = f"{server.api_key}:{server.api_secretkey}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}", "Content-Type": "application/json"}
    try:
        line.request(method, path, None if body is None else json.dumps(body), headers)
        answer = line.getresponse()
        return _read(server, answer.status, answer.read())
    except ssl.SSLError as error:
        raise _unreached(server, error) from error
    except (OSError, HTTPException) as error:
        raise _unreached(server, error) from error
    finally:
        line.close()


def fingerprint(url: str) -> str:
    """The sha256 fingerprint (hex) of the certificate that the server at ``url`` shows, trusted or not."""
    line = _connect(Server(url, "", "", "any"), check=False)
    try:
        return _seen(line)
    finally:
        line.close()


def is_trusted(url: str) -> bool:
    """Whether the system's authorities vouch for the server's certificate."""
    try:
        _connect(Server(url, "", "")).close()
    except SetupError:
        return False
    return True


def parts(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a server's URL.

    Raises:
        BadRequest: it is none.
    """
    try:
        found = urlsplit(url)
        port = found.port or (443 if found.scheme == "https" else 80)
    except ValueError as error:
        raise BadRequest(f"{url!r} is not the URL of a server: {error}") from error
    if found.scheme not in ("http", "https") or not found.hostname:
        raise BadRequest(f"{url!r} is not the URL of a server", hint="it looks like http://127.0.0.1:7421")
    return found.scheme, found.hostname, port


def _connect(server: Server, check: bool = True) -> HTTPConnection:
    scheme, host, port = parts(server.url)
    if scheme == "http":
        return HTTPConnection(host, port, timeout=SECONDS)
    context = ssl.create_default_context()
    if server.fingerprint:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    line = HTTPSConnection(host, port, timeout=SECONDS, context=context)
    try:
        line.connect()
    except OSError as error:
        raise _unreached(server, error) from error
    if check and server.fingerprint and _seen(line) != _bare(server.fingerprint):
        seen = _seen(line)
        line.close()
        raise SetupError(
            f"{server.url} shows another certificate than the one pinned: {seen}",
            hint="if the server's owner made a new one, run picloud setup again with its fingerprint",
            expected=_bare(server.fingerprint),
        )
    return line


def _seen(line: HTTPConnection) -> str:
    assert isinstance(line.sock, ssl.SSLSocket)
    return hashlib.sha256(line.sock.getpeercert(True) or b"").hexdigest()


def _bare(text: str) -> str:
    return text.replace(":", "").strip().lower()


def _unreached(server: Server, error: Exception) -> SetupError | Unavailable:
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = f"picloud setup {server.url} --fingerprint .. with the one that `picloud up` prints there"
        return SetupError(f"the certificate of {server.url} is not trusted: {error.verify_message}", hint=hint)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return Unavailable(f"no server answers at {server.url}: {reason}", hint="picloud up starts one on this machine")


def _read(server: Server, status: int, body: bytes) -> Any:
    try:
        said = json.loads(body)
    except ValueError:
        said = {}
    if isinstance(said, dict) and "error" in said:
        raise from_dict(said["error"])
    if status == 401:
        raise NotAuthorized(f"{server.url} does not know key {server.api_key}", hint="picloud setup stores another")
    if status >= 400 or not body:
        raise Unavailable(f"{server.url} answered {status}: {body[:200].decode(errors='replace')}")
    return said
