"""What ``cloud.environment`` is made of: questions to the server, waiting, scripts, and how ssh gets there."""

from __future__ import annotations

import base64
import codecs
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from cloud import _session
from picloud.wire.error import BadRequest, CloudException, CloudTimeoutError, SetupError

PATIENCE = 30 * 60.0
"""Seconds that a call waits for an environment."""


def ask(method: str, path: str = "", body: Any = None) -> Any:
    return _session.session().link.json(method, f"/v1/environment{path}", body)


def token() -> dict[str, str]:
    return {"token": os.urandom(16).hex()}


def interpreter() -> list[str]:
    return [sys.executable, sys.prefix, sys.base_prefix]


def text(word: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{word} must be the name of an environment, not {value!r}")
    return value


def base(name: str) -> str:
    return name if name.startswith("base/") else f"base/{name}"


def shown(one: dict[str, Any]) -> dict[str, Any]:
    """An environment as users see it."""
    since = one.pop("setup_since", None)
    return {
        "name": one["name"], "status": one["status"], "action": one["action"], "created": moment(one["created"]),
        "last_modified": moment(one["modified"]), "hostname": one["hostname"],
        "setup_time": None if since is None else max(0.0, time.time() - since / 1000),
        "base": one["base"], "description": one["description"], "public": one["public"], "trouble": one["trouble"] or None,
    }  # fmt: skip


def moment(value: int | None) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(value / 1000, UTC)


def address(hostname: str) -> tuple[str, str]:
    """User and host, and port, of the setup server."""
    where, _, port = hostname.rpartition(":")
    if not where:
        raise SetupError("this server has no ssh gateway", hint="picloud doctor tells why")
    return where, port


def ssh_options(key: str, port: str) -> list[str]:
    known = os.path.join(_session.getconfigpath(), "known_hosts")
    return ["-i", key, "-p", port, "-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={known}",
            "-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR"]  # fmt: skip


def is_remote(path: str) -> bool:
    name, colon, _ = path.partition(":")
    return bool(colon) and bool(name) and "/" not in name


def failed(what: str, output: str, code: int) -> CloudException:
    return CloudException(f"{what}\n{output[-2000:]}".rstrip(), exit_code=code, output=output)


def wait(name: str, wanted: Callable[[dict[str, Any]], bool], bad: Sequence[str]) -> dict[str, Any]:
    until, seen = time.monotonic() + PATIENCE, ""
    while True:
        one: dict[str, Any] = ask("GET", "/wait?" + urlencode({"name": name, "action": seen}))
        if wanted(one):
            return one
        if one["action"] in bad:
            raise CloudException(f"environment {name!r}: {one['trouble'] or 'its action is ' + one['action']}",
                                 hint=f"picloud env modify {name} starts a new setup server", action=one["action"])  # fmt: skip
        if time.monotonic() > until:
            raise CloudTimeoutError(f"environment {name!r} is still in action {one['action']!r} after 30 minutes")
        seen = one["action"]


def run(name: str, script: bytes, what: str, root: bool, tell: Callable[[str], object] | None) -> str:
    """Run a script there; ``tell`` gets its output as it comes."""
    mark = token()
    ask("POST", "/run", {"name": name, "script": base64.b64encode(script).decode(), "root": root} | mark)
    return follow(mark, what, tell)


def follow(mark: dict[str, str], what: str, tell: Callable[[str], object] | None) -> str:
    """Wait for the end of something that prints, by its token; what it printed."""
    decoder, pieces, offset = codecs.getincrementaldecoder("utf-8")("replace"), list[str](), 0
    while True:
        found = ask("GET", "/output?" + urlencode(mark | {"offset": offset}))
        data = base64.b64decode(found["data"])
        over = found["exit_code"] is not None or bool(found["error"])
        pieces.append(decoder.decode(data, over))
        offset = found["offset"] + len(data)
        if tell is not None and pieces[-1]:
            tell(pieces[-1])
        if over and not data:
            break
    output = "".join(pieces)
    if found["error"]:
        raise CloudException(f"{what} could not be run to its end: {found['error']}", output=output)
    if found["exit_code"]:
        raise failed(f"{what} ended with exit code {found['exit_code']}", output, found["exit_code"])
    return output


def copy(sources: list[str], target: str, delete: bool, piped: bool) -> tuple[str, str] | None:
    """See ``cloud.environment.rsync``."""
    from cloud.environment import get_key_path, get_setup_hostname

    remote = {path.partition(":")[0] for path in (*sources, target) if is_remote(path)}
    if len(remote) != 1 or is_remote(target) == any(map(is_remote, sources)):
        raise BadRequest("one side of rsync begins with the name of an environment and a colon", hint="for example sci:data/")
    where, port = address(get_setup_hostname(remote.pop()))
    places = [f"{where}:{path.partition(':')[2]}" if is_remote(path) else path for path in (*sources, target)]
    shell = " ".join(["ssh", *(f"'{word}'" if " " in word else word for word in ssh_options(get_key_path(), port))])
    argv = ["rsync", "-az", *(["--delete"] if delete else []), "-e", shell, *places]
    done = subprocess.run(argv, capture_output=piped, text=True, errors="replace", check=False)
    if done.returncode:
        raise failed(f"rsync ended with exit code {done.returncode}", done.stderr or "", done.returncode)
    return (done.stdout, done.stderr) if piped else None
