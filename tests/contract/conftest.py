"""The places where the contract of the verbs must hold."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

import cloud
import cloud.mp
from cloud import _session

PLACES = os.environ.get("CONTRACT_PLACES", "server simulator mp").split()
"""``configured``: a server that the environment names, as the test with another user sets it."""

DEADLINE = 30.0
"""Seconds after which a test that waits gives up."""


class Place(NamedTuple):
    """One place: its verbs, and what a job there must import to use them too."""

    name: str
    verbs: Any
    module: str

    def fails(self, function: Callable[..., Any], *args: Any, **options: Any) -> cloud.CloudException:
        """Run a job that must fail; its error."""
        with pytest.raises(cloud.CloudException) as caught:
            self.verbs.result(self.verbs.call(function, *args, **options), timeout=DEADLINE)
        return caught.value

    def returns(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Run a job; what it returns."""
        return self.verbs.result(self.verbs.call(function, *args, **options), timeout=DEADLINE)


def until(condition: Callable[[], Any]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        threading.Event().wait(0.02)


@pytest.fixture(scope="session")
def _simulator() -> Iterator[None]:
    """The simulator's processes live from its first test to its last."""
    from cloud import _simulator

    yield
    _simulator.stop()


def _place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "mp":
        yield Place("mp", cloud.mp, "cloud.mp")
        return
    if request.param == "server":
        request.getfixturevalue("server").use()
    if request.param != "simulator":
        yield Place(request.param, cloud, "cloud")
        return
    request.getfixturevalue("_simulator")
    before = _session._simulates
    cloud.start_simulator()
    try:
        yield Place("simulator", cloud, "cloud")
    finally:
        _session._simulates = before


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Everywhere."""
    yield from _place(request)


@pytest.fixture(params=[name for name in PLACES if name != "mp"])
def service(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Where ``cloud.*`` itself goes; programs run only there."""
    yield from _place(request)
