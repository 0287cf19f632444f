"""Secrets: passwords and keys that jobs need, kept sealed on the server under a name.

    cloud.secret.set("db", {"PASSWORD": getpass.getpass()})
    cloud.call(report, _secrets="db")                      # os.environ["PASSWORD"], in the job alone

A secret is one or several variables with their values. There is no way to read a value back: what is kept leaves the server
only into the environment of jobs that name it, and is masked (``***``) in all that these print, log and raise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cloud import _stored
from picloud.wire.secret import check_name, check_values

__all__ = ["list", "remove", "set"]


def set(name: str, values: Mapping[str, str]) -> Sequence[str]:
    """Keep values under a name, in the place of all that it had before. Attempts that begin from now on get these.

    Args:
        name: 1 to 64 letters, digits, ``_`` and ``-``.
        values: by the variables that jobs find them in: up to 100, with up to 64 KiB in all.

    Returns:
        The variables whose values have fewer than 4 characters and are not masked: every text would be full of stars.

    Raises:
        TypeError: no mapping of texts to texts.
        BadRequest: a name or value that cannot be.
        Forbidden: your key lacks the scope ``admin``.
    """
    body = {"name": check_name(name), "values": check_values(values)}
    return [*_link().json("POST", "/v1/secret", body)["unmasked"]]


def list() -> Sequence[dict[str, Any]]:
    """Your account's secrets, by name.

    Returns:
        Dicts: ``name``; ``variables``, their names; ``created`` and ``changed``, as datetimes in UTC; ``usable``: False where the
        server lost the key to it, as after a restore, and it has to be set again.
    """
    found = _link().json("GET", "/v1/secret")["secrets"]
    return [one | {at: datetime.fromtimestamp(one[at] / 1000, UTC) for at in ("created", "changed")} for one in found]


def remove(name: str) -> None:
    """Forget a secret. Attempts that have begun keep what they have; later ones of jobs that name it fail and say so.

    Raises:
        NotFound: there is none of that name.
        Forbidden: your key lacks the scope ``admin``.
    """
    _link().json("POST", "/v1/secret/remove", {"name": check_name(name)})


def _link() -> Any:
    return _stored.link("secrets")
