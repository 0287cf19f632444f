"""The line of a thread, with the far end played here."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from cloud import _line
from cloud._line import Line
from picloud.wire import frames
from picloud.wire.error import CloudException, NotFound, StorageFull, Unavailable
from picloud.wire.job import Options
from picloud.wire.link import Link
from picloud.wire.message import Arguments, Finished, Submit, Submitted, Told, encode
from picloud.wire.origin import Connection

CALL = Submit(b"t" * 16, "0" * 64, [], "3.11", "f", Options(), 1, Arguments([1], b"x", ["x"]))


@pytest.fixture
def ends() -> Iterator[tuple[Line, Callable[..., None]]]:
    """An open line, and what makes its far end say something."""
    near, far = socket.socketpair()
    line = Line(cast(Link, None))
    line._connection = Connection(near)
    line.submitted(0)

    def say(**told: Any) -> None:
        far.sendall(frames.unmasked(encode(Told(**told))))

    with near, far:
        yield line, say
    line.close()


def refused(error: CloudException) -> str:
    return json.dumps(error.to_dict())


def test_a_call_and_its_end(ends: tuple[Line, Callable[..., None]]) -> None:
    line, say = ends
    say(submitted=Submitted(7, 70, 1, followed=True))
    answer = line.submit(CALL)
    assert answer is not None
    assert answer.first == 70
    say(finished=[Finished(70, 3, b"value")])
    ended = line.end(70, lambda: None)
    assert ended is not None
    assert ended.data == b"value"
    assert line.end(70, lambda: None) is None, "told once"


def test_an_end_that_comes_before_the_answer_is_kept(ends: tuple[Line, Callable[..., None]]) -> None:
    line, say = ends
    say(finished=[Finished(70, 3, b"early")])
    say(submitted=Submitted(7, 70, 1, followed=True))
    assert line.submit(CALL) is not None
    ended = line.end(70, lambda: None)
    assert ended is not None
    assert ended.data == b"early"


@pytest.mark.parametrize("error", [NotFound("no job 5"), StorageFull("full")])
def test_a_refusal_is_raised_and_the_line_goes_on(ends: tuple[Line, Callable[..., None]], error: CloudException) -> None:
    line, say = ends
    say(error=refused(error))
    with pytest.raises(type(error)):
        line.submit(CALL)
    say(submitted=Submitted(7, 70, 1))
    assert line.submit(CALL) is not None


def test_what_may_pass_is_left_to_http(ends: tuple[Line, Callable[..., None]]) -> None:
    line, say = ends
    say(error=refused(Unavailable("the store is closed")))
    assert line.submit(CALL) is None


def test_a_line_that_was_long_unused_is_not_trusted(
    ends: tuple[Line, Callable[..., None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    line, _ = ends
    monkeypatch.setattr(_line, "STALE", -1.0)
    assert line.submit(CALL) is None
    assert line._connection is None


def test_a_broken_line_is_left_for_http(ends: tuple[Line, Callable[..., None]]) -> None:
    line, say = ends
    say(submitted=Submitted(7, 70, 1, followed=True))
    line.submit(CALL)
    assert line._connection is not None
    line._connection.sock.shutdown(socket.SHUT_RDWR)
    assert line.end(70, lambda: None) is None
    assert line.submit(CALL) is None
