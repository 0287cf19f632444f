"""Reading along: what a job prints and what it uses, also while it runs; taken up again where a stream breaks."""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

import msgspec

from cloud import _session
from cloud._backend import Backend
from picloud.wire.link import TROUBLE, Link
from picloud.wire.message import LogChunk, Sample
from picloud.wire.samples import shown

STREAMS = ("stdout", "stderr", "logging", "pilog", "syslog")
PAUSE = 0.5
"""Seconds before a broken stream is asked for again."""

T = TypeVar("T", LogChunk, Sample)


class Output(NamedTuple):
    """A piece of what a job has printed."""

    stream: str
    text: str


def logs(backend: Backend, jid: Any, stream: Any, follow: bool, since: Any) -> Iterator[Output]:
    """See ``cloud.job.Verbs.logs``."""
    number = _jid(jid)
    if stream is not None and stream not in STREAMS:
        raise ValueError(f"stream must be one of {', '.join(STREAMS)}, not {stream!r}")
    offset, last = _since(since, stream)
    names = STREAMS if stream is None else (stream,)
    if isinstance(backend, _session.Session):
        return _decoded(_chunks(backend.link, number, names, offset, last, follow))
    return _when_ended(backend, number, names, offset, follow)


def samples(backend: Backend, jid: Any, follow: bool) -> Iterator[dict[str, Any]]:
    """See ``cloud.job.Verbs.samples``."""
    number = _jid(jid)
    if isinstance(backend, _session.Session):
        return (shown(one) for one in _samples(backend.link, number, follow))
    backend.statuses([(number, 1)])
    return iter(())


def _jid(jid: Any) -> int:
    if isinstance(jid, bool) or not isinstance(jid, int):
        raise TypeError(f"one jid is read along at a time, not {jid!r}")
    return jid


def _since(since: Any, stream: str | None) -> tuple[int, timedelta | None]:
    """A byte offset, and how long ago."""
    if since is None:
        return 0, None
    if isinstance(since, timedelta):
        return 0, since
    if isinstance(since, datetime):
        return 0, datetime.now(UTC) - since.astimezone(UTC)
    if isinstance(since, bool) or not isinstance(since, int):
        raise TypeError(f"since must be a byte offset, a timedelta or a datetime, not {since!r}")
    if since < 0 or stream is None:
        raise ValueError(f"an offset is 0 or more, not {since}" if stream else "an offset is of one stream: say which")
    return since, None


# -- a server ---------------------------------------------------------------------------------------------------------


def _chunks(
    link: Link, jid: int, names: tuple[str, ...], offset: int, last: timedelta | None, follow: bool
) -> Iterator[LogChunk]:
    known: dict[str, tuple[int, int]] = {}  # stream -> attempt, bytes
    begun = time.monotonic()

    def path() -> str:
        asked = {"framed": 1, "stream": ",".join(names), "since": offset, "follow": int(follow)}
        if last is not None:
            asked["last"] = max(1, int((last.total_seconds() + time.monotonic() - begun) * 1000))
        return f"/v1/job/{jid}/log?{urlencode(asked)}"

    for chunk in _again(link, path, msgspec.msgpack.Decoder(list[LogChunk])):
        n, end = known.get(chunk.stream, (0, 0))
        if chunk.n < n or (chunk.n == n and chunk.offset + len(chunk.data) <= end):
            continue  # told before the stream broke
        if chunk.n == n and chunk.offset < end:
            chunk.data, chunk.offset = chunk.data[end - chunk.offset :], end
        known[chunk.stream] = chunk.n, chunk.offset + len(chunk.data)
        if chunk.n == n and chunk.offset > end:
            chunk.data = f"\n[{chunk.offset - end} bytes left out]\n".encode() + chunk.data
        yield chunk


def _samples(link: Link, jid: int, follow: bool) -> Iterator[Sample]:
    seen = (0, -1)
    path = f"/v1/job/{jid}/samples?framed=1&follow={int(follow)}"
    for sample in _again(link, lambda: path, msgspec.msgpack.Decoder(list[Sample])):
        if (sample.n, sample.at_ms) > seen:
            seen = sample.n, sample.at_ms
            yield sample


def _again(link: Link, path: Any, decoder: msgspec.msgpack.Decoder[list[T]]) -> Iterator[T]:
    """The items of a stream of frames, asked for again until its last frame has come."""
    while True:
        try:
            with link.stream(path(), method="GET") as stream:
                for frame in stream.frames():
                    found = decoder.decode(frame) if frame else None
                    if found is not None and not found:
                        return
                    yield from found or ()
        except TROUBLE:
            pass  # the link itself tells of a server that does not come back
        time.sleep(PAUSE)


def _decoded(chunks: Iterator[LogChunk]) -> Iterator[Output]:
    decoders: dict[str, codecs.IncrementalDecoder] = {}
    make = codecs.getincrementaldecoder("utf-8")
    for chunk in chunks:
        decoder = decoders.get(chunk.stream)
        if decoder is None:
            decoder = decoders[chunk.stream] = make("replace")
        if text := decoder.decode(chunk.data):
            yield Output(chunk.stream, text)


# -- this machine -----------------------------------------------------------------------------------------------------


def _when_ended(backend: Backend, jid: int, names: tuple[str, ...], offset: int, follow: bool) -> Iterator[Output]:
    backend.statuses([(jid, 1)])
    if follow:
        for _ in backend.finished([(jid, 1)], payload=False):
            pass
    facts = backend.info([(jid, 1)], list(names))[jid]
    for name in names:
        text = str(facts.get(name) or "").encode()[offset:].decode(errors="replace")
        if text:
            yield Output(name, text)
