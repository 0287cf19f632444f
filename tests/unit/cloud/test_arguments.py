from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np
import pytest

from cloud import _arguments
from picloud.wire import payload


def packed(*args: Any, **kwargs: Any) -> Any:
    return payload.loads(b"".join(_arguments.pack(args, kwargs, set()).parts))


def test_what_goes_in_comes_out() -> None:
    itself: list[Any] = []
    itself.append(itself)
    for value in (1, "a", None, 2.5, b"x", (1, [2, {"a": {1}}]), {"k": range(3)}, "x" * 100_000, b"y" * 100_000, 10**30):
        assert packed(value) == ((value,), {})
        assert packed(value, k=value) == ((value,), {"k": value})
    (back,), _ = packed(itself)
    assert back[0] is back


def test_what_is_shared_a_billion_times_is_not_looked_at_so_often() -> None:
    value: list[Any] = []
    for _ in range(30):
        value = [value, value]
    (back,), _ = packed(value)
    assert back[0] is back[1]


def test_arrays_travel_out_of_band() -> None:
    array = np.arange(100_000)
    parts = _arguments.pack((array, bytearray(b"z" * 9)), {}, set()).parts
    assert any(memoryview(part).nbytes == array.nbytes for part in parts)
    (back, raw), _ = payload.loads(b"".join(parts))
    assert (back == array).all()
    assert raw == bytearray(b"z" * 9)


def test_large_bytes_are_not_copied() -> None:
    big = bytes(1_000_000)
    parts = _arguments.pack((big,), {}, set()).parts
    assert any(part is big for part in parts)


def test_functions_and_local_classes_as_arguments() -> None:
    class Here:
        value = 3

    (function, kind), _ = packed(lambda x: x + 1, Here)
    assert function(1) == 2
    assert kind.value == 3


def test_modules_of_arguments_are_noted() -> None:
    modules: set[str] = set()
    _arguments.pack((functools.partial(_arguments.check), {1: payload}), {}, modules)
    assert {"cloud._arguments", "picloud.wire.payload"} <= modules


def test_the_way_to_what_cannot_be_pickled() -> None:
    with pytest.raises(Exception, match=r"argument 1 -> \['a'\] -> \[0\] -> lock cannot be pickled") as caught:
        packed(1, {"a": [threading.Lock()]})
    assert "inside the function" in str(caught.value)


def test_signature_is_checked() -> None:
    with pytest.raises(TypeError, match="callable"):
        _arguments.check(3, (), {})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="missing a required argument: 'y'"):
        _arguments.check(lambda x, y: 0, (1,), {})
    with pytest.raises(TypeError, match="unexpected keyword"):
        _arguments.check(lambda x: 0, (1,), {"z": 1})
    _arguments.check(max, (1, 2), {})
    _arguments.check(functools.partial(lambda x, y: 0, 1), (2,), {})


def test_rows_of_a_map() -> None:
    assert _arguments.length(([1, 2], (3, 4))) == 2
    assert _arguments.length((iter([1]),)) is None
    with pytest.warns(UserWarning, match="padded with None"):
        assert _arguments.length(([1, 2], [3])) == 2
    assert list(_arguments.rows(([1, 2], [3]), told=True)) == [(1, 3), (2, None)]
    with pytest.warns(UserWarning, match="ended before"):
        assert list(_arguments.rows((iter([1]), [3, 4]), told=False)) == [(1, 3), (None, 4)]
    with pytest.raises(TypeError, match="argument 2 is not iterable"):
        _arguments.length(([1], 5))


def test_previews_of_large_values_are_short_and_cheap() -> None:
    assert _arguments.pack((bytes(3_000_000), 1), {}, set()).preview.endswith("(3000000 bytes), 1")
    assert len(_arguments.pack(([bytearray(3_000_000)], np.zeros(9), "x" * 10**6), {}, set()).preview) <= 200
