"""Handlers that cannot be: refused before anything is stored."""

from __future__ import annotations

from typing import Any

import pytest

import cloud
from cloud.queue import CloudQueue
from picloud.wire.error import NotFound

pytestmark = [pytest.mark.slow, pytest.mark.live]


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"message_handler": 3}, TypeError, "callable"),
        ({"message_handler": int, "readers_per_job": 1}, TypeError, "class int"),
        ({"output_queues": "name"}, TypeError, "CloudQueue"),
        ({"output_queues": [CloudQueue(f"q{n}") for n in range(51)]}, ValueError, "at most 50"),
        ({"readers_per_job": 0}, ValueError, "1 to 128"),
        ({"max_parallel_jobs": -1}, ValueError, "0 to"),
        ({"retry_on": [KeyError]}, ValueError, "max_retries and retry_delay"),
        ({"retry_on": [3], "max_retries": 1, "retry_delay": 1}, TypeError, "exception classes"),
        ({"on_error": {KeyError: CloudQueue("a")}}, ValueError, "'queue'"),
        ({"on_error": {3: {"queue": CloudQueue("a")}}}, TypeError, "exception classes"),
        ({"on_error": {KeyError: {"queue": CloudQueue("a"), "delay": 901}}}, ValueError, "0 to 900"),
        ({"_max_runtime": 3}, TypeError, "_max_runtime"),
        ({"_type": "huge"}, ValueError, "core type"),
        ({"_vol": "not-there"}, NotFound, "volume"),
        ({"_env": "not-there"}, NotFound, "environment"),
    ],
)
def test_what_cannot_be_is_refused(server: Any, wrong: dict[str, Any], error: type[Exception], says: str) -> None:
    source = cloud.queue.get("refused")
    with pytest.raises(error, match=says):
        source.attach(**({"message_handler": print} | wrong))
    assert not cloud.queue.exists(source.name)
