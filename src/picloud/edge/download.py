"""Objects by link (:mod:`picloud.wire.download`): a browser saves them, or shows what is safe to show.

They come from here and never from where the API is: whatever is in them has another origin than the pages that hold a key.
What is shown runs no script, and asks for nothing: text as text whatever it calls itself, pictures, sound and films as they are.
"""

from __future__ import annotations

import mimetypes
import time
from urllib.parse import quote

from picloud.edge.answer import Message, Send
from picloud.edge.control import Control
from picloud.edge.public import Found, found_in, give
from picloud.store.files import Files
from picloud.wire import download
from picloud.wire.download import PREFIX, Link
from picloud.wire.error import BadRequest

MEDIA = ("image/", "audio/", "video/")
TEXTS = ("application/json", "application/xml", "application/yaml", "application/toml", "application/x-sh", "application/csv",
         "application/javascript", "application/x-ndjson", "application/x-python", "application/sql")  # fmt: skip
"""Shown as text besides what calls itself text."""
POLICY = "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'"

__all__ = ["PREFIX", "Downloads"]


class Downloads:
    """See the module.

    Args:
        secret: the key that control signs links with.
    """

    def __init__(self, control: Control, files: Files, secret: bytes) -> None:
        self._control, self._files, self._secret = control, files, secret

    async def __call__(self, scope: Message, send: Send) -> None:
        """Answer one request.

        Raises:
            Forbidden: the link is not ours, or has ended.
            NotFound: the object is gone.
            BadRequest: it is no GET or HEAD.
        """
        if scope["method"] not in ("GET", "HEAD"):
            raise BadRequest("objects are for reading here: GET or HEAD")
        link = download.check(self._secret, scope["path"], time.time())
        question = {"account": link.account, "volume": link.volume, "key": link.key}
        found = found_in(await self._control.ask("/v1/edge/file", question))
        await give(self._files, scope, send, found, headers(link, found))


def headers(link: Link, found: Found) -> list[tuple[bytes, bytes]]:
    """What an object is served with besides its length."""
    told = found.headers.get("content-type") or mimetypes.guess_type(link.key)[0] or "application/octet-stream"
    shown = _shown_as(told) if link.inline else ""
    name = quote(link.key.rpartition("/")[2], safe="")
    named = {
        "content-type": shown or "application/octet-stream",
        "content-disposition": f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{name}",
        "content-security-policy": f"{POLICY}; frame-ancestors {link.page}",
        "referrer-policy": "no-referrer",
        "cache-control": "private, no-store",
        "etag": f'"{found.etag}"',
    }
    if encoding := found.headers.get("content-encoding"):
        named["content-encoding"] = encoding
    return [(key.encode(), value.encode("latin-1")) for key, value in named.items()]


def _shown_as(kind: str) -> str:
    """The type under which something is shown; "" = it is not."""
    plain = kind.partition(";")[0].strip().lower()
    if plain.startswith(MEDIA):
        return plain
    return "text/plain; charset=utf-8" if plain.startswith("text/") or plain in TEXTS else ""
