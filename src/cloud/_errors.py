"""What becomes of a message that its handler raised at: the rules of an attachment."""

from __future__ import annotations

import traceback
from typing import Any, NamedTuple

import cloudpickle

from cloud._retry import MaxRetryException, Retry
from picloud.wire import mask
from picloud.wire.job import Cause, Failure
from picloud.wire.payload import dump_exception, loads

LONGEST_MESSAGE, LONGEST_TRACEBACK = 2_000, 24_000
"""Characters that a dead letter keeps, of a traceback the last ones."""
LARGEST_EXCEPTION = 16 << 20
"""Bytes of an exception in a message."""
DEFAULT_RETRIES, DEFAULT_DELAY_MS = 3, 0
"""Of a ``Retry`` where neither it nor the attachment says them."""


class Rules(NamedTuple):
    """When a message is tried again."""

    retry_on: tuple[type[BaseException], ...] = ()
    max_retries: int | None = None
    retry_delay_ms: int | None = None

    def _limit(self, error: BaseException) -> int | None:
        """How often a message may be tried again that raised this; None: it may not."""
        if isinstance(error, Retry):
            said = error.max_retries if error.max_retries is not None else self.max_retries
            return DEFAULT_RETRIES if said is None else said
        return self.max_retries if isinstance(error, self.retry_on) else None

    def delay(self, error: BaseException, retries: int) -> int | None:
        """Milliseconds until a message is tried again; None: it has failed.

        Args:
            retries: so often it was tried again already.
        """
        limit = self._limit(error)
        if limit is None or retries >= limit:
            return None
        if isinstance(error, Retry) and error.delay is not None:
            return round(error.delay * 1000)
        return DEFAULT_DELAY_MS if self.retry_delay_ms is None else self.retry_delay_ms

    def final(self, error: BaseException, retries: int) -> BaseException:
        """What a message has failed with in the end: the error itself, or that it was tried too often."""
        if self._limit(error) is None:
            return error
        inner = (error.__cause__ or error.__context__) if isinstance(error, Retry) else error
        said = error.message if isinstance(error, Retry) else _text(error)
        trace = "".join(traceback.format_exception(inner)) if inner is not None else None
        made = MaxRetryException(said, retries, inner, trace)
        made.__cause__ = inner
        return made


class Edge(NamedTuple):
    """Where messages go that failed with one class of exceptions."""

    exception: type[BaseException]
    queue: str
    delay_ms: int = 0


class Edges(NamedTuple):
    """All of them."""

    every: tuple[Edge, ...] = ()

    def find(self, error: BaseException) -> Edge | None:
        """The edge for an exception: of the first of its classes, from its own upwards, that has one.

        One that was tried too often goes by what it failed with last, unless there is an edge for just that.
        """
        known = {edge.exception: edge for edge in self.every}
        if isinstance(error, MaxRetryException) and MaxRetryException not in known and error.inner_excp_value is not None:
            error = error.inner_excp_value
        return next((known[kind] for kind in type(error).__mro__ if kind in known), None)

    @staticmethod
    def message(error: BaseException, text: str, source: Any, retries: int) -> dict[str, Any]:
        """What is pushed along an edge."""
        shown = error.inner_excp_value if isinstance(error, MaxRetryException) and error.inner_excp_value is not None else error
        text = text if mask.here is None else mask.here.text(text)
        return {"exception": sent(shown), "traceback": text, "source_message": source, "cur_retry": retries}


def sent(error: BaseException) -> BaseException:
    """The exception as it arrives elsewhere; where it cannot travel at all, one that says the same."""
    data = dump_exception(error, cloudpickle.dumps, LARGEST_EXCEPTION)
    data = data if mask.here is None else mask.here.pickled(data)
    found: BaseException = loads(data) if data else RuntimeError(_text(error))
    return found


def failure_of(error: BaseException | None, text: str = "") -> Failure:
    """What a dead letter tells of an exception: bounded, whatever that holds.

    Args:
        error: None = there was none.
        text: its traceback, where that is known already.
    """
    if error is None:
        return Failure(Cause.exception.name, "whoever read it gave it up")
    kind = type(error)
    made = Failure(
        Cause.exception.name,
        _text(error)[:LONGEST_MESSAGE],
        "mend the handler, attach it again, then replay the message",
        traceback=(text or "".join(traceback.format_exception(error)))[-LONGEST_TRACEBACK:],
        type=f"{kind.__module__}.{kind.__qualname__}",
        exception=dump_exception(error, cloudpickle.dumps),
    )
    return made if mask.here is None else mask.here.failure(made)


def _text(error: BaseException) -> str:
    said = str(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
