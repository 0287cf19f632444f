"""Frames of a channel survive any cut; what is none is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picloud.wire import channel
from picloud.wire.channel import Frame
from picloud.wire.error import NotFound


@given(st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=300))), st.lists(st.integers(1, 40), min_size=1))
def test_frames_survive_any_cut(told: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(channel.pack(kind, data) for kind, data in told)
    inbox, heard, at, turn = channel.Inbox(), [], 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        heard += inbox.take(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert heard == [Frame(kind, data) for kind, data in told]


@pytest.mark.parametrize("data", [b"\x06\0\0\0\0", b"\0\xff\xff\xff\xff"])
def test_what_is_no_frame(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a frame"):
        channel.Inbox().take(data)


def test_sizes_and_numbers() -> None:
    (size,) = channel.Inbox().take(channel.resize(1_000_000, 0))
    assert channel.size_of(size) == (65_535, 1)
    (status,) = channel.Inbox().take(channel.number(channel.EXIT, -9))
    assert channel.number_of(status) == -9


def test_an_error_in_the_header() -> None:
    told = channel.told(NotFound("nobody: é\r\n", jid=3))
    assert told.isascii() and "\n" not in told
    heard = channel.heard(told)
    assert isinstance(heard, NotFound) and heard.jid == 3
    assert "could not open" in str(channel.heard("%7b"))
