from __future__ import annotations

import functools
import pickle
import socket
from typing import Any

import pytest

from cloud import _function


def code(function: Any, retry_on: Any = None) -> Any:
    return _function.code(function, retry_on, set())[0]


class Session:
    def __init__(self) -> None:
        self.name = "mine"
        self.conn = socket.socket()

    def fetch(self) -> int:
        return 1


class Adder:
    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, x: int) -> int:
        return x + self.by

    def add(self, x: int) -> int:
        return x + self.by


def test_callables_of_every_kind() -> None:
    by = 2
    for function in (lambda x: x + by, Adder(2), Adder(2).add, functools.partial(Adder(1), 3), functools.partial(max, 1)):
        loaded, retry_on = _function.loads(code(function, (KeyError,)).data)
        assert loaded(*([] if isinstance(function, functools.partial) and function.func != max else [3])) in (5, 4, 3)
        assert retry_on == (KeyError,)


def test_the_same_function_keeps_its_digest_and_a_changed_closure_changes_it() -> None:
    held = [1]

    def function() -> int:
        return held[0]

    first = code(function)
    assert code(function) is first
    held[0] = 2
    assert code(function).digest != first.digest


def test_what_people_see() -> None:
    info = code(Adder(1)).info
    assert info["name"] == "Adder"
    assert info["file"].endswith("test_function.py")
    assert "def __call__" in info["source"]
    info = code(functools.partial(lambda x: x, 1)).info
    assert info["name"] == "<lambda>"
    assert info["line"] > 1
    assert code(len).info == {"name": "len", "module": "builtins"}


def test_the_way_to_what_cannot_be_pickled() -> None:
    db = Session()
    try:

        def work() -> int:
            return db.fetch()

        with pytest.raises(pickle.PicklingError, match=r"work -> closure 'db' -> Session.conn -> socket cannot") as caught:
            code(work)
        assert "TIP: open it inside the function" in str(caught.value)
        with pytest.raises(pickle.PicklingError, match=r"fetch -> Session object -> Session.conn -> socket"):
            code(db.fetch)
        with pytest.raises(pickle.PicklingError, match=r"partial argument 0 -> Session.conn"):
            code(functools.partial(len, db))
    finally:
        db.conn.close()


def test_generators_are_named_too() -> None:
    items = (x for x in range(3))
    with pytest.raises(pickle.PicklingError, match=r"closure 'items' -> generator.*\n.*list of its items"):
        code(lambda: list(items))


def test_large_captured_objects_are_named_with_their_size() -> None:
    table, small = bytes(3_000_000), b"x"
    with pytest.warns(UserWarning, match=r"3.0 MB of captured data: closure 'table' \(3.0 MB\)\. Pass"):
        code(lambda: (table, small))
