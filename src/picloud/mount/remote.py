"""What a mount asks of the server, about one bucket or volume."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from picloud.mount.turn import waiting
from picloud.wire.link import Link
from picloud.wire.object import Append, Change, Content, Contents, Keys, List, Listing, Mark, New, Object, Put

T = TypeVar("T")
PAGE = 10_000
BATCH = 1000
AT_ONCE = 4
"""Blobs that are sent or fetched at the same time."""
TICKETS = 20_000
"""Tickets that are remembered; one that is not is asked for."""
FRESH = 3000.0
"""Seconds for which a ticket is used; it is good for an hour."""
_encode = msgspec.msgpack.encode


class Remote:
    """One bucket ("") or volume of an account."""

    def __init__(self, link: Link, volume: str) -> None:
        self.link, self.volume = link, volume
        self._tickets: dict[str, tuple[float, str]] = {}
        self.pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="bytes")

    def _ask(self, route: str, question: Struct, kind: type[T] | Any) -> Any:
        waiting()
        answer = self.link.request("POST", f"/v1/object/{route}", _encode(question))
        return msgspec.msgpack.decode(answer, type=kind)

    # -- names ------------------------------------------------------------------------------------------------------

    def find(self, key: str) -> Object | None:
        """What a key is: an object, a folder (with ``/`` behind its key), or nothing."""
        found = self._ask("find", Keys([key], self.volume, folders=True), list[Object])
        return found[0] if found else None

    def find_id(self, number: int) -> Object | None:
        """An object wherever it is now."""
        found = self._ask("find", Keys(volume=self.volume, ids=[number]), list[Object])
        return found[0] if found else None

    def pages(self, folder: str, first: int = PAGE) -> Iterator[Listing]:
        """What lies directly in a folder, page by page."""
        after, limit = "", first
        while True:
            page: Listing = self._ask("list", List(folder, after, limit, True, self.volume), Listing)
            yield page
            if not page.truncated or not page.objects:
                return
            after, limit = page.objects[-1].key, PAGE

    def make_folder(self, key: str) -> None:
        self._ask("folder", Change(key, self.volume, replace=False), Any)

    def remove_folder(self, key: str) -> None:
        self._ask("folder/remove", Change(key, self.volume), Any)

    def remove(self, key: str) -> bool:
        """Remove an object, for all to see; it need not be on disk yet. Whether it was there."""
        return bool(self._ask("remove", Keys([key], self.volume, keep=True, early=True), dict)["removed"])

    def sync(self) -> None:
        """Have everything on the server's disk that was done so far."""
        self._ask("sync", Keys(volume=self.volume), Any)

    def rename(self, key: str, to: str, replace: bool) -> None:
        self._ask("rename", Change(key, self.volume, to=to, replace=replace, keep=True), Any)

    def copy(self, key: str, to: str) -> None:
        self._ask("copy", Change(key, self.volume, to=to, to_volume=self.volume), Any)

    def usage(self) -> dict[str, Any]:
        """``objects``, ``bytes`` and ``quota`` of the account."""
        waiting()
        answer: dict[str, Any] = self.link.json("GET", "/v1/object")
        return answer

    # -- contents ---------------------------------------------------------------------------------------------------

    def get(self, number: int) -> Content | None:
        """An object with its bytes, or where they are; None where it is gone."""
        answer: Contents = self._ask("get", Keys(volume=self.volume, ids=[number]), Contents)
        if not answer.found:
            return None
        found, now = answer.found[0], time.monotonic()
        if len(self._tickets) > TICKETS:
            self._tickets.clear()
        for _, url in found.extents:
            self._tickets[blob_in(url)] = (now, url)
        return found

    def put(self, one: New) -> Object:
        """Put one object."""
        one.token = secrets.token_bytes(16)
        found: list[Object] = self._ask("put", Put([one], self.volume), list[Object])
        return found[0]

    def mark(self, number: int, headers: dict[str, str]) -> Object:
        """Change headers of an object."""
        found: Object = self._ask("mark", Mark(number, headers, self.volume), Object)
        return found

    def append(self, one: Append) -> Object:
        """Append to an object."""
        one.token, one.volume = secrets.token_bytes(16), self.volume
        found: Object = self._ask("append", one, Object)
        return found

    def send(
        self, sizes: Sequence[int], read: Callable[[int], bytes], sent: Callable[[int, str, bytes], None] | None = None
    ) -> list[str]:
        """Store new blobs.

        Args:
            sizes: bytes of each.
            read: gives the bytes of the one with this index.
            sent: told of each blob, by its index, and its bytes.

        Returns:
            Their ids.
        """
        waiting()
        made: list[dict[str, str]] = []
        for at in range(0, len(sizes), BATCH):
            made += self.link.json("POST", "/v1/blob", {"sizes": list(sizes[at : at + BATCH])})["blobs"]

        def send(i: int) -> None:
            data = read(i)
            self.link.put(made[i]["url"], [data])
            if sent is not None:
                sent(i, made[i]["id"], data)

        work = [self.pool.submit(send, i) for i in range(len(made))]
        for one in work:
            one.result()
        return [one["id"] for one in made]

    def send_one(self, parts: Sequence[bytes]) -> str:
        """The same for one blob, in this thread."""
        (made,) = self.link.json("POST", "/v1/blob", {"sizes": [sum(map(len, parts))]})["blobs"]
        self.link.put(made["url"], parts)
        name: str = made["id"]
        return name

    def fetch(self, blob: str, start: int, end: int) -> bytearray:
        """Bytes of a blob; fewer where it ends before."""
        waiting()
        made, url = self._tickets.get(blob, (0.0, ""))
        if not url or time.monotonic() - made > FRESH:
            (url,) = self.hold([blob])
            self._tickets[blob] = (time.monotonic(), url)
        return self.link.get(url, start, end)

    def hold(self, blobs: Sequence[str]) -> list[str]:
        """Keep the sweeper away from blobs; new tickets for them.

        Raises:
            NotFound: one of them is gone.
        """
        found: list[str] = json.loads(self.link.request("POST", "/v1/blob/get", json.dumps({"ids": list(blobs)}).encode()))[
            "urls"
        ]
        return found


def blob_in(url: str) -> str:
    """The blob that a ticket is for."""
    return url.partition("?")[0].rpartition("/")[2]
