"""Functions with an address: any program that speaks HTTP calls them, in any language.

    url = cloud.rest.publish(area, "area")          # http://127.0.0.1:7421/r/1/area
    curl -u KEY:SECRET -d width=3 -d height=4 URL?wait=30
    {"jid": 17, "result": 12}

Arguments are posted by name, as a form (each value JSON), as a JSON object, or as multipart with files. The answer is the jid;
``?wait=30`` waits so many seconds for the result. Each call is an ordinary job.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from cloud import _endpoints

__all__ = [
    "create_key", "deregister", "info", "invoke", "invoke_map", "list", "list_keys", "publish", "register", "remove",
    "remove_key", "rotate_key",
]  # fmt: skip


def publish(func: Callable[..., Any], label: str, out_encoding: str = "json", **reserved: Any) -> str:
    """Give a function an address. One that this label has is replaced.

    Args:
        func: its arguments can be given by name. Annotations (int, float, str, bool, list, dict, bytes) are checked when somebody
            posts; a file that is posted arrives as bytes. Its docstring becomes the description.
        label: 1 to 100 letters, digits, ``_ + - .``; its jobs have it too.
        out_encoding: ``"json"``, or ``"raw"`` where it returns bytes, which are answered as they are.
        reserved: keywords of ``cloud.call`` but ``_label``, ``_depends_on``, ``_callback`` and their like.

    Returns:
        The URL to post to.

    Raises:
        TypeError: not callable, or a keyword that does not exist.
        ValueError: an argument that cannot be given by name, or an option that cannot be.
        BadRequest: no such label can be.
    """
    endpoint = _endpoints.signature(func)
    endpoint.encoding = out_encoding
    return _endpoints.publish(func, label, endpoint, reserved)


register = publish


def remove(label: str) -> None:
    """Take an address away, and its keys. Jobs that were made by it run on.

    Raises:
        NotFound: there is none of that label.
    """
    _endpoints.ask("POST", "/remove", {"label": label})


deregister = remove


def list() -> Sequence[str]:
    """The labels of your addresses, in their order."""
    return [one["label"] for one in _endpoints.ask("GET", "")["endpoints"]]


def info(label: str) -> dict[str, Any]:
    """What is known of an address.

    Returns:
        label, uri, path, signature, parameters (dicts of name, required, kind, null, default), others (arguments of other
        names are taken too), output_encoding, description, created (datetime), creator_host, func_name, core_type.

    Raises:
        NotFound: there is none of that label.
    """
    (found,) = _endpoints.ask("GET", "?" + urlencode({"label": label}))["endpoints"]
    return dict(found) | {"created": datetime.fromtimestamp(found["created"] / 1000, UTC)}


def invoke(label: str, **arguments: Any) -> int:
    """Call a published function; the jid.

    Args:
        arguments: by name; what JSON can say, and bytes or open binary files.

    Raises:
        NotFound: there is none of that label.
        BadRequest: the arguments do not fit.
        TypeError: JSON cannot say one of them.
    """
    return int(_endpoints.invoke(label, arguments, many=False)["jid"])


def invoke_map(label: str, **arguments: Any) -> Sequence[int]:
    """Call a published function once for each position of lists; the jids.

    Args:
        arguments: lists of one length; one of length 1, or a file, is shared by all jobs. At most 500 jobs.

    Raises:
        NotFound, BadRequest, TypeError: as for :func:`invoke`; or the lists do not fit each other.
    """
    first, _, last = str(_endpoints.invoke(label, arguments, many=True)["jids"]).partition("-")
    return range(int(first), int(last or first) + 1)


# -- keys for one address ----------------------------------------------------------------------------------------------


def create_key(label: str, note: str = "", expires: datetime | None = None) -> dict[str, Any]:
    """Make a key that calls this address, reads what came of it, and can do nothing else.

    Args:
        label: of the address. When that is removed, its keys end.
        note: what it is for; at most 200 characters.
        expires: when it ends by itself; None = never.

    Returns:
        api_key, note, active, expires, created, former_until (epoch ms), and api_secretkey, which is told this once.

    Raises:
        NotFound: there is no such address.
        BadRequest: ``expires`` has passed.
        Forbidden: the key in use lacks the scopes ``jobs`` and ``code``; or this is a job.
    """
    wish = {"label": label, "note": note, "expires": round(expires.timestamp() * 1000) if expires else 0}
    return dict(_endpoints.ask("POST", "/key", wish))


def list_keys(label: str) -> Sequence[dict[str, Any]]:
    """The keys of an address, the oldest first, as :func:`create_key` returns them but for the secret.

    Raises:
        NotFound: there is no such address.
    """
    found: Sequence[dict[str, Any]] = _endpoints.ask("GET", "/key?" + urlencode({"label": label}))["keys"]
    return found


def rotate_key(api_key: int, overlap: float = 0.0) -> dict[str, Any]:
    """Give a key of an address a new secret.

    Args:
        overlap: seconds for which the former secret works too, at most 30 days.

    Returns:
        The key with its new secret, as :func:`create_key`.

    Raises:
        NotFound: there is no such key of an address.
    """
    return dict(_endpoints.ask("POST", "/key/rotate", {"api_key": int(api_key), "overlap": overlap}))


def remove_key(api_key: int) -> None:
    """End a key of an address for good, at once.

    Raises:
        NotFound: there is no such key of an address.
    """
    _endpoints.ask("POST", "/key/remove", {"api_key": int(api_key)})
