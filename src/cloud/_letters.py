"""Dead letters: messages that failed for good, with what is known of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cloud import _messages, _queues
from picloud.wire import payload
from picloud.wire.job import Failure
from picloud.wire.queue import Kind


class DeadLetter:
    """A message that failed for good.

    Attributes:
        id: its number, for ``replay`` and ``bury``.
        cause: ``exception``, ``cannot_load``, ``poison``, ``expired``, ...
        failure: all that is known of it: ``.message``, ``.advice``, ``.traceback``, ``.type``, ``.facts``.
        text: the message for people.
        message_id: the id that the message had, as its tickets showed it.
        size: its bytes.
        retries: how often it was tried again.
        given: how often it was handed out.
        deaths: how often whoever held it died.
        pushed, died: when (datetime).
    """

    def __init__(self, found: _queues.Letter) -> None:
        self._found = found
        self.id, self.message_id, self.size = found.id, found.message, found.size
        self.retries, self.given, self.deaths = found.retries, found.given, found.deaths
        self.failure: Failure = found.failure
        self.cause, self.text = found.failure.cause, found.preview or _text(found)
        self.pushed, self.died = when(found.pushed), when(found.died)

    @property
    def message(self) -> Any:
        """The message.

        Raises:
            CloudException: it cannot be loaded here.
        """
        found = self._found
        return _messages.loaded(found.message, found.kind, found.data, found.url, _queues.fetch)

    @property
    def exception(self) -> BaseException | None:
        """The exception that was raised; None where it was another cause, or cannot be loaded here."""
        if not self.failure.exception:
            return None
        try:
            found = payload.loads(self.failure.exception)
        except Exception:  # noqa: BLE001 loading runs user code; .failure has it as text
            return None
        return found if isinstance(found, BaseException) else None

    def __repr__(self) -> str:
        return f"<dead letter {self.id}: {self.text:.60}: {self.failure.message:.60}>"


def _text(found: _queues.Letter) -> str:
    if found.kind == Kind.json and found.data:
        return found.data.decode("utf8", "replace")[:200]
    return f"{found.size} bytes of {Kind(found.kind).name}"


def when(ms: int) -> datetime:
    """A moment, of so many milliseconds since the epoch."""
    return datetime.fromtimestamp(ms / 1000, UTC)
