"""Webhooks: a POST to an address of yours when a job has ended, however it ended.

    secret = cloud.webhook.set("nightly", "https://example.org/done")     # for all jobs of a label
    cloud.call(report, _webhook="https://example.org/done")               # for one call or map: signed by cloud.webhook.secret()

Messages are signed as https://www.standardwebhooks.com says; :func:`verify` checks that where they arrive. A message is sent at
least once, and up to 7 times more within a day where the address does not answer with a status of 2xx.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from cloud import _stored
from picloud.wire.webhook import check_url

__all__ = ["deliveries", "list", "remove", "secret", "set", "verify"]


def set(label: str, url: str) -> str:
    """Have the end of each job with a label told, of those that are submitted from now on.

    Args:
        url: http or https. One that the label had before goes, with its secret.

    Returns:
        The secret that signs, ``whsec_..``: it is shown this once.

    Raises:
        BadRequest: no such label or URL can be, or it names an address that is not public and not listed by the operator.
        Forbidden: your key lacks the scope ``admin``.
    """
    return str(_link().json("POST", "/v1/webhook", {"label": label, "url": check_url(url)})["secret"])


def secret() -> str:
    """A new secret that signs the messages of ``_webhook``: it is shown this once, and the former one signs no more.

    Returns:
        ``whsec_..``

    Raises:
        Forbidden: your key lacks the scope ``admin``.
    """
    return str(_link().json("POST", "/v1/webhook", {})["secret"])


def list() -> Sequence[dict[str, Any]]:
    """Your account's webhooks by label: dicts with ``label``, ``url`` and ``created`` (a datetime in UTC).

    The one without label and URL is what signs for ``_webhook``.
    """
    return [one | {"created": _time(one["created"])} for one in _link().json("GET", "/v1/webhook")["webhooks"]]


def remove(label: str) -> None:
    """Forget the webhook of a label. What waits to be delivered to it is given up.

    Args:
        label: ``""`` = of what signs for ``_webhook``.

    Raises:
        NotFound: the label has none.
        Forbidden: your key lacks the scope ``admin``.
    """
    _link().json("POST", "/v1/webhook/remove", {"label": label})


def deliveries(limit: int = 100, before: int = 0) -> Sequence[dict[str, Any]]:
    """What was told or waits to be told, the newest first; kept for 30 days by default.

    Args:
        limit: at most so many, up to 1000.
        before: only those older than the one of this ``id``; 0 = all.

    Returns:
        Dicts: ``id``, ``jid``, ``event`` (the message's ``webhook-id``), ``url``, ``state`` ("waiting", "delivered" or "failed"),
        ``tries``, ``answer`` (HTTP status of the last try, or None) and ``trouble`` with it; ``created``, ``due`` (of the next
        try) and ``ended`` as datetimes in UTC, None where there is none.
    """
    found = _link().json("GET", "/v1/webhook/delivery?" + urlencode({"limit": limit, "before": before}))["deliveries"]
    return [one | {at: _time(one[at]) for at in ("created", "due", "ended")} for one in found]


def verify(secret: str, headers: Mapping[str, str], body: bytes, tolerance: float = 300) -> dict[str, Any]:
    """Check a message where it has arrived; needs no server.

    Args:
        secret: ``whsec_..``.
        headers: of the request.
        body: of the request, as it came.
        tolerance: seconds that it may be old, or from the future.

    Returns:
        What it says: ``type`` ("job.done", "job.error", "job.killed", "job.stalled"), ``timestamp``, ``id`` and ``data``.

    Raises:
        ValueError: it is not signed by this secret, or too old.
    """
    import hmac
    import json
    import time

    from picloud.wire.webhook import sign

    given = {name.lower(): value for name, value in headers.items()}
    message, sent = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not (sent.isascii() and sent.isdecimal()) or abs(time.time() - int(sent[:20])) > tolerance:
        raise ValueError("the message is too old, or has no time")
    right = sign(secret, message, int(sent), body)
    if not any(hmac.compare_digest(right.encode(), one.encode()) for one in given.get("webhook-signature", "").split()):
        raise ValueError("the message is not signed by this secret")
    return dict(json.loads(body))


def _link() -> Any:
    return _stored.link("webhooks")


def _time(value: int | None) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(value / 1000, UTC)
