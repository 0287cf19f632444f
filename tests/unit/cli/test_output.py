"""Tables, values and JSON."""

import datetime
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import numpy as np
import pytest

from picloud.cli import output
from picloud.cli.flags import Given
from picloud.wire.error import NotFound

ROWS = [{"jid": 5, "status": "done", "label": None}, {"jid": 123, "status": "processing", "label": "a\x1b[31m"}]


@contextmanager
def asked(form: str) -> Iterator[None]:
    with click.Context(click.Command("x"), obj=Given(output=form)):
        yield


def printed(capsys: pytest.CaptureFixture[str], form: str, act: Callable[[], None]) -> str:
    with asked(form):
        act()
    return capsys.readouterr().out


def test_a_table_in_a_pipe_is_padded_columns_with_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, "default", lambda: output.table(["jid", "status", "label"], ROWS))
    assert found == "jid  status      label\n5    done        -\n123  processing  a?[31m\n"


def test_no_header(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "no-header", lambda: output.table(["jid"], ROWS)) == "5\n123\n"
    assert printed(capsys, "no-header", lambda: output.table(["jid"], [])) == ""


def test_an_empty_table_has_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "default", lambda: output.table(["jid", "status"], [])) == "jid  status\n"


def test_a_table_as_json_is_a_list_of_objects(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed(capsys, "json", lambda: output.table(["jid"], ROWS))) == ROWS


def test_a_table_on_a_terminal_takes_no_markup_from_its_cells(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    found = printed(capsys, "default", lambda: output.table(["label"], [{"label": "[red]x"}]))
    assert "[red]x" in found.splitlines()[1]


def test_a_narrow_terminal_cuts_no_jid(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "12")
    row = {"jid": 1234567890, "status": "processing", "function": "one_that_has_a_long_name"}
    found = printed(capsys, "default", lambda: output.table([*row], [row]))
    assert "1234567890  processing  one_that" in found
    assert "status" in printed(capsys, "default", lambda: output.table([*row], []))


@pytest.mark.parametrize(
    ("value", "text"),
    [(b"\xffraw", None), ("line", "line\n"), (9, "9\n"), ({"a": (1, 2)}, '{"a": [1, 2]}\n'), (None, "null\n")],
)
def test_a_result(capfdbinary: pytest.CaptureFixture[bytes], value: Any, text: str | None) -> None:
    with asked("default"):
        output.result(value)
    assert capfdbinary.readouterr().out == (value if text is None else text.encode())


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (math.nan, None),
        (math.inf, None),
        (b"text", "text"),
        (b"\xff\x00", {"base64": "/wA="}),
        ({(1, 2): {3}}, {"(1, 2)": [3]}),
        (datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC), "2026-11-22T00:00:00+00:00"),
        (np.arange(3), [0, 1, 2]),
        (np.float64(1.5), 1.5),
        (10**40, 10**40),
        (1j, "1j"),
        (True, True),
    ],
)
def test_everything_becomes_valid_json(value: Any, plain: Any) -> None:
    with asked("json"):
        assert json.loads(output.dumps({"value": value})) == {"value": plain}


def test_an_error_among_results_is_what_crosses_http() -> None:
    assert output.plain(NotFound("gone", jid=5))["error"]["jid"] == 5
