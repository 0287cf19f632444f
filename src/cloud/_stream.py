"""Waiting for jobs of a server: one streaming request, taken up again for the missing ones when it drops."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from cloud._jids import Wanted
from picloud.wire.error import CloudTimeoutError, Unavailable
from picloud.wire.link import PATIENCE, SILENCE, TROUBLE, Link, Stream
from picloud.wire.message import Finished, Ranges, Watch, encode

if TYPE_CHECKING:
    from cloud._backend import Patience

_decode = msgspec.msgpack.Decoder(list[Finished]).decode
_BATCH = 1000
"""Blobs asked for in one request."""


class Bell:
    """Lets another thread interrupt a wait: ``finished`` then ends with CloudTimeoutError."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self.rung = False

    def ring(self) -> None:
        """Interrupt the wait that goes on, or the next one."""
        with self._lock:
            self.rung = True
            if self._stream is not None:
                self._stream.abort()

    def holds(self, stream: Stream | None) -> None:
        """The stream that is being read now."""
        with self._lock:
            self._stream = stream
            if self.rung and stream is not None:
                stream.abort()

    def reset(self) -> None:
        """Ready for the next wait."""
        with self._lock:
            self.rung = False


def finished(link: Link, jids: Ranges, payload: bool, patience: Patience, bell: Bell | None = None) -> Iterator[Finished]:
    """Each of the jobs once, as it ends; see ``cloud._backend.Backend.finished``."""
    wanted = Wanted(jids)
    pause = 0.02
    while wanted.left:
        before = wanted.left
        yield from _once(link, wanted, payload, patience, bell)
        if wanted.left == before:
            time.sleep(_allowed(patience, pause))  # a stream that gives nothing shall not be asked for in a rush
        pause = 0.02 if wanted.left < before else min(pause * 2, 2.0)


def _once(link: Link, wanted: Wanted, payload: bool, patience: Patience, bell: Bell | None) -> Iterator[Finished]:
    seconds = patience()
    try:
        opening = None if seconds is None else min(max(seconds, 0.0), PATIENCE)
        stream = link.stream("/v1/result", encode(Watch(wanted.lacking(), payload)), patience=opening)
    except Unavailable as error:
        if seconds is not None and seconds < PATIENCE:
            raise _late() from error  # time is up: that is what the caller asked to be told
        raise
    with stream:
        if bell is not None:
            bell.holds(stream)
        try:
            yield from _read(link, stream, wanted, patience)
        except TROUBLE:
            if bell is not None and bell.rung:
                raise CloudTimeoutError("interrupted") from None
            _allowed(patience, SILENCE)
        finally:
            if bell is not None:
                bell.holds(None)


def _read(link: Link, stream: Stream, wanted: Wanted, patience: Patience) -> Iterator[Finished]:
    frames = stream.frames()
    while True:
        stream.patience(_allowed(patience, SILENCE))
        frame = next(frames, None)
        if frame is None:
            return
        if frame:
            told = _decode(frame)
            if told[0].jid == 0 and told[0].failure is not None:  # the server ends this wait, and says why
                raise CloudTimeoutError(told[0].failure.message, hint=told[0].failure.advice, **told[0].failure.facts)
            news = [one for one in told if wanted.mark(one.jid)]
            if not wanted.left:  # the end follows at once: with it read, the connection is free again
                with suppress(*TROUBLE):
                    deque(frames, maxlen=0)
            yield from fetched(link, news)


def fetched(link: Link, news: list[Finished]) -> Iterator[Finished]:
    """The same, with the bytes of results that are blobs in their ``data``, each fetched when it is asked for."""
    urls: dict[str, str] = {}
    large = [one.blob for one in news if one.blob]
    for at in range(0, len(large), _BATCH):
        batch = large[at : at + _BATCH]
        urls |= zip(batch, link.json("POST", "/v1/blob/get", {"ids": batch})["urls"], strict=True)
    for one in news:
        if one.blob:
            one.data = link.get(urls[one.blob])  # type: ignore[assignment]  # a bytearray: 300 MB are not copied once more
        yield one


def _allowed(patience: Patience, most: float) -> float:
    """Seconds that the next wait may take.

    Raises:
        CloudTimeoutError: the caller's time is up.
    """
    seconds = patience()
    if seconds is not None and seconds <= 0:
        raise _late()
    return most if seconds is None else min(seconds, most)


def _late() -> CloudTimeoutError:
    return CloudTimeoutError("the jobs have not finished in the time allowed", hint="they run on: ask again, or kill them")
