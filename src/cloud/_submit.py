"""Sending one call or map to a server, in chunks; the next chunk is pickled while the server commits the last one."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from cloud._jids import joined, shown, spelled
from picloud.wire.job import INLINE_LIMIT
from picloud.wire.link import Link
from picloud.wire.message import Accepted, Arguments, Chunk, Code, Ranges, Submit, Submitted, encode
from picloud.wire.payload import Buffer

if TYPE_CHECKING:
    from cloud._backend import Order, Packed
    from cloud._line import Line

FIRST_CHUNK, CHUNK = 500, 2000
"""Jobs in the first chunk, small so that work begins early, and in each further one."""
CHUNK_BYTES = 1_800_000
UPLOAD_BYTES = 16 << 20
"""Bytes of large arguments held before they are sent as blobs."""
PATIENT = 0.5
"""Seconds after which a chunk goes even if it is not full: slow items shall not hold back early ones."""

_submitted = msgspec.msgpack.Decoder(Submitted).decode
_accepted = msgspec.msgpack.Decoder(Accepted).decode
_RANDOM_IDS = re.compile(rb"\x8c\x20[0-9a-f]{32}")
"""cloudpickle gives each class that it stores by value a random id; the content is the same without it."""


class Tokens:
    """Tokens of submissions: random, or inside a job the same again for the same submissions of a repeated attempt."""

    def __init__(self) -> None:
        self._attempt, self._counts = "", dict[bytes, int]()
        self._lock = threading.Lock()

    def make(self, parent: str, attempt: str, submit: Submit, code: Iterable[Code]) -> bytes:
        """16 bytes. ``parent``: jid of the job that submits, "" outside of jobs."""
        if not parent:
            return os.urandom(16)
        content = hashlib.blake2b(digest_size=16)
        for one in code:
            content.update(hashlib.sha256(_RANDOM_IDS.sub(b"", one.data)).digest())
        content.update(_RANDOM_IDS.sub(b"", submit.arguments.data))
        content.update(msgspec.msgpack.encode((submit.options, submit.count, submit.arguments.ends, submit.env_values)))
        with self._lock:
            if attempt != self._attempt:
                self._attempt, self._counts = attempt, {}
            n = self._counts[content.digest()] = self._counts.get(content.digest(), 0) + 1
        return hashlib.blake2b(f"{parent} {n} ".encode() + content.digest(), digest_size=16).digest()


class Packer:
    """Cuts the packed jobs into chunks. Large arguments are uploaded on the way."""

    def __init__(self, link: Link, jobs: Iterator[Packed], hurry: bool) -> None:
        self.link, self.jobs, self.hurry = link, jobs, hurry
        self.ended = False

    def chunk(self, most: int) -> Arguments:
        """The next jobs, at most so many; ``ended`` tells when these were the last."""
        ends, pieces, previews = [], [], []  # type: list[int], list[Buffer], list[str]
        blobs: dict[int, str] = {}
        large: dict[int, list[Buffer]] = {}
        at = held = 0
        late = time.monotonic() + PATIENT if self.hurry else float("inf")
        self.ended = True  # unless a limit ends the loop
        for parts, preview in self.jobs:
            size = len(parts[0]) if len(parts) == 1 else sum(memoryview(part).nbytes for part in parts)
            if size > INLINE_LIMIT:
                large[len(ends)] = parts
                held += size
                if held > UPLOAD_BYTES:
                    blobs |= self._uploaded(large)
                    large, held = {}, 0
            else:
                pieces += parts
                at += size
            ends.append(at)
            previews.append(preview)
            if len(ends) >= most or at > CHUNK_BYTES or time.monotonic() > late:
                self.ended = False
                break
        if large:
            blobs |= self._uploaded(large)
        return Arguments(ends, b"".join(pieces), previews, blobs)

    def _uploaded(self, large: dict[int, list[Buffer]]) -> dict[int, str]:
        return dict(zip(large, upload(self.link, list(large.values())), strict=True))


def upload(link: Link, payloads: list[list[Buffer]]) -> list[str]:
    """Store payloads (in parts) as blobs; their ids."""
    sizes = [sum(memoryview(part).nbytes for part in parts) for parts in payloads]
    made: list[dict[str, Any]] = link.json("POST", "/v1/blob", {"sizes": sizes})["blobs"]
    for blob, parts in zip(made, payloads, strict=True):
        link.put(blob["url"], parts)
    return [blob["id"] for blob in made]


class Submission:
    """One call or map on its way to the server.

    Args:
        sent: remembers code that the server has.
        parent, attempt: the job that submits, where one does.
        line: by which a single call may go.
    """

    def __init__(
        self,
        link: Link,
        order: Order,
        sent: set[str],
        tokens: Tokens,
        parent: str = "",
        attempt: str = "",
        line: Line | None = None,
    ) -> None:
        self.link, self.order, self.sent, self.tokens = link, order, sent, tokens
        self.parent, self.attempt, self.line = parent, attempt, line
        self.ranges: Ranges = []
        self.id = self.offset = self._sending = 0

    def run(self, jobs: Iterable[Packed]) -> Ranges:
        """Send everything; the jids. What was accepted before an error of ``jobs`` stays, and a note tells of it."""
        count = self.order.count
        items = iter(jobs) if count is None else islice(jobs, count)
        packer = Packer(self.link, items, hurry=count != 1 and not self.parent)
        chunk = packer.chunk(1 if count == 1 else FIRST_CHUNK)
        if not chunk.ends and count is None:
            return []
        try:
            self._send(chunk, packer)
        except BaseException as error:
            if self.offset:
                error.add_note(_accepted_so_far(self.ranges, self.offset, count))
            raise
        return joined(self.ranges)

    def _send(self, chunk: Arguments, packer: Packer) -> None:
        following = self._submit(chunk, packer)
        while following is not None:
            chunk = following
            final = packer.ended and self.order.count is None
            body = encode(Chunk(self.id, self.offset, chunk, final))
            pending = self.link.send_request("POST", "/v1/chunk", body)
            following, failure = self._meanwhile(packer)
            answer = _accepted(pending.read_response())
            self.offset += answer.count
            if self.order.count is None and answer.count:
                self.ranges.append((answer.first, answer.count))
            if failure is not None:
                raise failure
        if self.order.count is not None and self.offset < self.order.count:
            raise ValueError(f"map: the iterable said {self.order.count} items and gave {self.offset}")

    def _meanwhile(self, packer: Packer) -> tuple[Arguments | None, BaseException | None]:
        """The next chunk, made while the server commits the last; an error waits until that one is known to be accepted."""
        try:
            return self._next(packer), None
        except BaseException as error:  # noqa: BLE001 the caller raises it
            return None, error

    def _next(self, packer: Packer) -> Arguments | None:
        if packer.ended:
            return None
        if self.order.count is not None and self._sending >= self.order.count:
            return None
        chunk = packer.chunk(CHUNK)
        self._sending += len(chunk.ends)
        # Without a count the server must be told of the end, even by an empty chunk.
        return chunk if chunk.ends or self.order.count is None else None

    def _submit(self, chunk: Arguments, packer: Packer) -> Arguments | None:
        order = self.order
        code = [order.function, *order.modules]
        submit = Submit(
            b"",
            order.function.digest,
            [one.digest for one in order.modules],
            f"{sys.version_info[0]}.{sys.version_info[1]}",
            order.name,
            order.options,
            order.count,
            chunk,
            order.env_values,
            [one for one in code if one.digest not in self.sent],
            packer.ended and order.count is None,
            [sys.executable, sys.prefix, sys.base_prefix],
        )
        submit.token = self.tokens.make(self.parent, self.attempt, submit, code)
        following, failure = None, None
        answer = self.line.submit(submit) if self.line is not None and not submit.code else None
        if answer is None:
            pending = self.link.send_request("POST", "/v1/submission", encode(submit))
            self._sending = len(chunk.ends)
            following, failure = self._meanwhile(packer)
            answer = _submitted(pending.read_response())
        for _ in range(3):  # what the server sweeps meanwhile may make it lack more
            if answer.missing:
                submit.code = [one for one in code if one.digest in answer.missing or one in submit.code]
                answer = _submitted(self.link.request("POST", "/v1/submission", encode(submit)))
        self.sent.update(one.digest for one in code)
        if self.line is not None:
            self.line.submitted(answer.first)
        self.id, self.offset = answer.submission, len(chunk.ends)
        self.ranges = [(answer.first, order.count if order.count is not None else len(chunk.ends))]
        if failure is not None:
            raise failure
        return following


def _accepted_so_far(ranges: Ranges, offset: int, count: int | None) -> str:
    known = joined(ranges)
    if count is not None:
        known = [(known[0][0], offset)]
    rest = f"; the {count - offset} others were not sent" if count is not None and count > offset else ""
    return (
        f"jobs {shown(known)} were accepted and run on{rest}. cloud.result({spelled(known)}) waits for them, "
        f"cloud.kill({spelled(known)}) ends them"
    )
