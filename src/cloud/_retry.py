"""What a handler raises to see a message again, and what becomes of that when it was seen often enough."""

from __future__ import annotations

from cloud import _queues
from picloud.wire.queue import LONGEST_DELAY

MOST = 1_000_000
"""Times that a message can be asked to come again."""


class Retry(Exception):
    """Raised by a handler: the message shall come again.

    Args:
        delay: seconds until then, 0 to 900; None = the attachment's.
        max_retries: so often at most; None = the attachment's.
        message: why, for people.

    Attributes:
        inner_excp_value: the exception that led to it, or None.
        traceback_info: that exception's traceback as text, or None.
    """

    def __init__(self, delay: float | None = None, max_retries: int | None = None, message: str = "") -> None:
        if delay is not None:
            _queues.milliseconds("delay", delay, 0, LONGEST_DELAY)
        if max_retries is not None:
            _queues.check_count("max_retries", max_retries, 0, MOST)
        super().__init__(delay, max_retries, message)
        self.delay, self.max_retries, self.message = delay, max_retries, message
        self.inner_excp_value: BaseException | None = None
        self.traceback_info: str | None = None

    def __str__(self) -> str:
        return self.message


class MaxRetryException(Exception):
    """A message was to come again, and had come as often as it may.

    Attributes:
        max_retries: how often that is.
        message: what the last :class:`Retry` said.
        inner_excp_value: the exception that led to the last one, or None.
        traceback_info: that exception's traceback as text, or None.
    """

    def __init__(
        self,
        message: str = "",
        max_retries: int | None = None,
        inner_excp_value: BaseException | None = None,
        traceback_info: str | None = None,
    ) -> None:
        super().__init__(message, max_retries, inner_excp_value, traceback_info)
        self.message, self.max_retries = message, max_retries
        self.inner_excp_value, self.traceback_info = inner_excp_value, traceback_info

    def __str__(self) -> str:
        times = "" if self.max_retries is None else f" {self.max_retries} times"
        return f"it was tried again{times}{f': {self.message}' if self.message else ''}"


Retry.__module__ = MaxRetryException.__module__ = "cloud.queue"
