"""What ``cloud.grant`` says to the server, and how files get there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from cloud import _stored
from picloud.wire.award import FIELDS, LARGEST_FILE, LINES, MOST_FILES, file_name, line, text
from picloud.wire.error import BadRequest


def ask(method: str, what: str, body: Any = None) -> Any:
    """Ask the server about the grant programme."""
    return _stored.link("grants").json(method, f"/v1/grant/{what}", body)


def apply(told: dict[str, str | None], attachments: Iterable[Any] | None, call: str | None) -> dict[str, Any]:
    """Send an application. Whatever can be is refused before a byte is sent."""
    if isinstance(attachments, str | bytes | os.PathLike):
        raise TypeError(f"attachments is a list of files, not {attachments!r:.80}")
    fields = {what: _checked(what, given) for what, given in told.items()}
    files = None if attachments is None else _upload(list(attachments))
    return application(ask("POST", "application", {"call": call or "", **fields, "attachments": files}))


def _checked(what: str, given: Any) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str):
        raise TypeError(f"{what} is a text, not {given!r:.80}")
    assert what in FIELDS
    return line(what, given) if what in LINES else text(what, given)


def _upload(paths: Sequence[Any]) -> list[dict[str, str]]:
    """Bring files to the server, each in a blob of its own."""
    if len(paths) > MOST_FILES:
        raise BadRequest(f"{len(paths)} attachments", hint=f"at most {MOST_FILES}")
    files = [(file_name(os.path.basename(os.fspath(path))), _bytes(path)) for path in paths]
    if not files:
        return []
    link = _stored.link("grants")
    tickets = link.json("POST", "/v1/blob", {"sizes": [len(data) for _, data in files]})["blobs"]
    for (_, data), ticket in zip(files, tickets, strict=True):
        link.put(ticket["url"], [data])
    return [{"name": name, "blob": ticket["id"]} for (name, _), ticket in zip(files, tickets, strict=True)]


def _bytes(path: Any) -> bytes:
    """A whole file; it is small."""
    with open(path, "rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise BadRequest(f"{os.fspath(path)} has more than {LARGEST_FILE >> 20} MiB", hint="attach a shorter one")
    return data


def call(one: dict[str, Any]) -> dict[str, Any]:
    """A call as users see it."""
    return one | {name: moment(one[name]) for name in ("deadline", "expires")}


def application(one: dict[str, Any]) -> dict[str, Any]:
    """An application as users see it."""
    return one | {name: moment(one[name]) for name in ("sent", "changed", "decided")}


def moment(value: int | None) -> datetime | None:
    """A time of the server."""
    return None if value is None else datetime.fromtimestamp(value / 1000, UTC)
