"""What several suites begin and end with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cloud import bucket, environment, queue
from tests.flow.mounts import Api


@pytest.fixture
def no_environments(server: Any) -> Iterator[None]:
    """Whatever environments a test makes, none is left."""
    yield
    for one in environment.list_envs():
        if one["action"] != "idle":
            environment.shutdown(one["name"])
        environment.delete(one["name"])


def clear() -> None:
    """Have an empty bucket."""
    for one in bucket.list(folderize=True):
        bucket.remove_prefix(one) if one.endswith("/") else bucket.remove(one)


@pytest.fixture
def empty_bucket(server: Any) -> Iterator[None]:
    """A bucket that is empty, before and after; what is gone is not counted any more."""
    server.use()
    clear()
    yield
    clear()
    assert bucket.usage()["objects"] == 0


@pytest.fixture
def no_queues(server: Any) -> Iterator[None]:
    """No queue of the account is there, before and after."""
    server.use()
    for one in queue.list():
        one.delete()
    yield
    server.use()
    for one in queue.list():
        one.delete()


@pytest.fixture(scope="module")
def api(server: Any) -> Iterator[Api]:
    """Objects over HTTP, as the server's owner."""
    made = Api(server.url, server.key, server.secret)
    yield made
    made.close()
