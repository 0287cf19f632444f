"""Payloads without a pickler: what is written can be loaded, what is read is what was pickled, and nothing else is."""

from __future__ import annotations

import json
import pickle
from typing import Any

import cloudpickle
import pytest
from hypothesis import given
from hypothesis import strategies as some

from cloud._called import Answer
from picloud.wire import payload, plain

SIZES = [0, 1, 255, 256, 65_535, 65_536, 200_000]


@given(
    some.binary(max_size=600), some.dictionaries(some.text(some.characters(exclude_categories=["Cs"])), some.binary(max_size=300))
)
def test_a_call_is_what_a_job_loads(text: bytes, files: dict[str, bytes]) -> None:
    assert payload.loads(plain.call(text, files)) == ((text, files), {})


def test_a_call_with_large_files() -> None:
    files = {"a": bytes(300_000), "b": b"x" * 70_000}
    assert payload.loads(plain.call(b"{}", files)) == ((b"{}", files), {})


def read(data: bytes) -> tuple[bool, bytes] | None:
    found = plain.find(data[: plain.HEAD])
    if found is None or not plain.ends(data[found.start + found.length :], found.json):
        return None
    return found.json, data[found.start : found.start + found.length]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_bytes_and_json_are_found_in_what_was_pickled(size: int, dumps: Any) -> None:
    data = b"x" * size
    assert read(b"".join(payload.dumps(data, dumps))) == (False, data)
    text = json.dumps("x" * size).encode()
    made = b"".join(payload.dumps(Answer(text), dumps))
    assert read(made) == (True, text)
    assert payload.loads(made) == "x" * size, "and whoever loads it gets the value"


@given(some.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    assert read(pickle.dumps(data, 5)) == (False, data)
    assert read(pickle.dumps(Answer(data), 5)) == (True, data)


class Loads:
    """Would run something else if it were loaded."""

    def __reduce__(self) -> Any:
        return print, (b"x",)


class Dumps:
    def __reduce__(self) -> Any:
        return json.dumps, (b"x",)


@pytest.mark.parametrize(
    "value",
    [None, 1, "text", 1.5, [b"x"], (b"x",), (b"x", 1), {b"x": 1}, {"json": "loads"}, ("json", "loads", b"x"), Loads(), Dumps(),
     bytearray(b"x"), [b"x", b"y"]],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_nothing_else_is_taken_for_an_answer(value: Any) -> None:
    assert read(b"".join(payload.dumps(value, pickle.dumps))) is None


@given(some.binary(max_size=300))
def test_garbage_is_no_answer_and_no_error(data: bytes) -> None:
    found = plain.find(data)
    assert found is None or found.length >= 0


def test_an_answer_that_is_cut_off_is_none() -> None:
    made = pickle.dumps(Answer(b"[1, 2, 3]"), 5)
    for size in range(len(made)):
        assert read(made[:size]) is None
    assert read(made + b".") is None
