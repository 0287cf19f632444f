"""Messages of queues as bytes: every value comes back as it was, and what cannot be is told."""

from __future__ import annotations

import dataclasses
import decimal
import json
import math
import pickle
import threading
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud import _messages
from cloud._errors import failure_of
from cloud._letters import DeadLetter
from cloud._queues import Letter
from cloud.queue import MaxRetryException, Retry
from picloud.wire.error import NotFound
from picloud.wire.job import Failure
from picloud.wire.queue import Kind


def nothing(url: str) -> bytes:
    raise NotFound(f"there is nothing at {url}")


def through(value: Any) -> tuple[Any, Kind]:
    """A value after its way, and how it went."""
    packed = _messages.packed(value, "message 0")
    data = b"".join(packed.parts)
    assert len(data) == packed.size
    return _messages.loaded(1, packed.kind, data, "", nothing), packed.kind


def same(one: Any, other: Any) -> bool:
    """Equal with all types in it; NaN is itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.copysign(1, one) == math.copysign(1, other) and (one == other or (math.isnan(one) and math.isnan(other)))
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            same(key, name) and same(value, found) for (key, value), (name, found) in zip(one.items(), other.items(), strict=True)
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


texts = st.text(st.characters(codec=None))  # lone surrogates too
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts
json_able = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20)
keys = st.integers() | texts | st.booleans() | st.binary() | st.tuples(st.integers(), texts)
others = (
    st.binary() | st.complex_numbers(allow_nan=False) | st.datetimes() | st.decimals(allow_nan=False) | st.sets(st.integers())
)
picklable = st.recursive(
    leaves | others,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner),
    max_leaves=20,
)


@given(json_able)
def test_what_json_can_say_comes_back(value: Any) -> None:
    assert same(through(value)[0], value)


@given(picklable)
def test_what_a_pickle_can_say_comes_back(value: Any) -> None:
    assert same(through(value)[0], value)


@given(json_able)
def test_what_goes_as_json_is_json_for_everybody(value: Any) -> None:
    packed = _messages.packed(value, "")
    if packed.kind is Kind.json:
        assert same(json.loads(b"".join(packed.parts)), value)


@pytest.mark.parametrize("value", [0, -(1 << 63), (1 << 63) - 1, "ü\0\n", 1.5, -0.0, 1e22, None, [[]], {"": {"a": [True]}}])
def test_plain_ones_go_as_json(value: Any) -> None:
    found, kind = through(value)
    assert kind is Kind.json and same(found, value)


@pytest.mark.parametrize("value", [1 << 63, math.inf, math.nan, "\ud800", (), {1: 2}, {True: 1}, b"", OrderedDict(a=1)])
def test_others_keep_their_types_in_a_pickle(value: Any) -> None:
    found, kind = through(value)
    assert kind is Kind.pickle and same(found, value)


@dataclasses.dataclass
class Point:
    x: int
    when: datetime


def test_objects_arrays_and_what_holds_itself() -> None:
    numpy = pytest.importorskip("numpy")
    point = Point(1, datetime(2026, 1, 1, tzinfo=UTC))
    assert through([point, decimal.Decimal("1.10")])[0] == [point, decimal.Decimal("1.10")]
    array = numpy.arange(100_000.0).reshape(100, 1000)
    found = through({"a": array})[0]["a"]
    assert found.dtype == array.dtype and (found == array).all()
    found[0, 0] = 5  # it can be written to
    ring: list[Any] = [1]
    ring.append(ring)
    found = through(ring)[0]
    assert found[1] is found
    many = shared(30)
    assert through(many)[1] is Kind.pickle, "2 to the 30 parts are not looked at one by one"


def shared(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value, value]
    return value


def test_functions_and_classes_of_the_caller_travel() -> None:
    class Local:
        def __init__(self, n: int) -> None:
            self.n = n

        def double(self) -> int:
            return self.n * 2

    function, local = through((lambda x: x + 1, Local(4)))[0]
    assert function(1) == 2 and local.double() == 8


def test_what_cannot_be_pickled_is_named_with_the_way_to_it() -> None:
    with pytest.raises(pickle.PicklingError) as caught:
        _messages.packed({"a": [1, threading.Lock()]}, "message 7")
    assert "message 7 -> ['a'] -> [1] -> lock cannot be pickled" in str(caught.value)
    assert "TIP: make it inside the function" in str(caught.value)
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(pickle.PicklingError, match="(?s)message 8 .*deep recursion"):
        _messages.packed(deep, "message 8")


@pytest.mark.parametrize(
    ("kind", "data"), [(0, b"{"), (0, b""), (1, b""), (1, b"cnowhere\nNothing\n."), (1, b"B\xff\xff\xff\xff")]
)
def test_bytes_that_cannot_be_loaded(kind: int, data: bytes) -> None:
    with pytest.raises(_messages.Undecodable, match="message 3 cannot be loaded here") as caught:
        _messages.loaded(3, kind, data, "", nothing)
    assert caught.value.failure.cause == "cannot_load" and caught.value.failure.advice


def test_bytes_that_are_gone() -> None:
    with pytest.raises(_messages.Undecodable, match="message 3 cannot be loaded here: NotFound: there is nothing at u"):
        _messages.loaded(3, 1, b"", "u", nothing)


def test_what_a_handler_raises_travels() -> None:
    retry = Retry(5, max_retries=3, message="busy")
    retry.inner_excp_value, retry.traceback_info = KeyError("x"), "Traceback"
    found = pickle.loads(pickle.dumps(retry))
    assert (found.delay, found.max_retries, found.message, str(found)) == (5, 3, "busy", "busy")
    assert repr(found.inner_excp_value) == "KeyError('x')" and found.traceback_info == "Traceback"
    assert (Retry().delay, Retry().max_retries, Retry().message, Retry().inner_excp_value) == (None, None, "", None)
    last = pickle.loads(pickle.dumps(MaxRetryException("busy", 3, KeyError("x"), "Traceback")))
    assert (last.max_retries, last.message, str(last)) == (3, "busy", "it was tried again 3 times: busy")
    assert repr(last.inner_excp_value) == "KeyError('x')" and last.traceback_info == "Traceback"


@pytest.mark.parametrize("wrong", [{"delay": -1}, {"delay": 901}, {"delay": "5"}, {"max_retries": -1}, {"max_retries": 1.5}])
def test_a_retry_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be a"):
        Retry(**wrong)


class Stubborn(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("no")


class Impossible(Exception):
    """Cannot be made of its arguments."""

    def __new__(cls, *args: Any) -> Any:
        made = super().__new__(cls)
        if not args or args[0] != "first":
            raise TypeError("no")
        return made

    def __init__(self, *args: Any) -> None:
        super().__init__("later")


def letter(failure: Failure, kind: int = 0, data: bytes = b'{"a": 1}') -> DeadLetter:
    return DeadLetter(Letter(1, 2, kind, len(data), data, "", failure, "", 1000, 2000, 1, 0, 0))


def test_a_dead_letter_shows_the_exception() -> None:
    try:
        raise ValueError("no")
    except ValueError as error:
        failure = failure_of(error)
    found = letter(failure)
    assert repr(found.exception) == "ValueError('no')" and found.message == {"a": 1} and found.text == '{"a": 1}'
    assert (failure.cause, failure.message, failure.type) == ("exception", "ValueError: no", "builtins.ValueError")
    assert 'raise ValueError("no")' in failure.traceback
    assert repr(letter(failure_of(Stubborn("x"))).exception) == "Stubborn('x')"
    assert letter(failure_of(Impossible("first"))).exception is None, "the text tells enough"
    assert failure_of(Impossible("first")).message.endswith("Impossible: later")
    assert letter(Failure("poison", "it killed")).exception is None
    assert letter(Failure("x", "y", exception=b"junk"), 1, b"junk").text == "4 bytes of pickle"
