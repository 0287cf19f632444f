"""Size, safety and tidiness of the source, read from its syntax."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
FILE_LINES, FUNCTION_LINES = 400, 60
SERVER_SIDE = ("picloud/server", "picloud/edge", "picloud/engine", "picloud/store", "picloud/cli", "picloud/worker")
IN_THE_SANDBOX = ("picloud/worker/runner.py", "picloud/worker/inside")
"""The part of the worker that runs beside the user's code: it alone may load what users pickled."""


def named(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=str(path.relative_to(ROOT / "src"))) for path in paths]


def room(path: Path) -> str:
    return path.relative_to(ROOT / "src").as_posix()


@pytest.mark.parametrize("path", named(SOURCES))
def test_file_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    if "migrations/versions" in room(path):
        return  # one step of the schema, written once and never changed
    assert text.count("\n") <= FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES, f"{node.name} at line {node.lineno}"


SERVER_SOURCES = [p for p in SOURCES if room(p).startswith(SERVER_SIDE) and not room(p).startswith(IN_THE_SANDBOX)]


@pytest.mark.parametrize("path", named(SERVER_SOURCES))
def test_server_side_never_unpickles(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not {name.name.split(".")[0] for name in node.names} & {"pickle", "cloudpickle", "marshal", "shelve"}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in ("pickle", "cloudpickle", "marshal", "shelve")
            assert not (node.module == "picloud.wire.payload" and any(name.name == "loads" for name in node.names))
        elif isinstance(node, ast.Attribute):
            assert not (node.attr == "loads" and isinstance(node.value, ast.Name) and node.value.id in ("payload", "pickle"))


@pytest.mark.parametrize("path", named(SOURCES))
def test_client_worker_and_floor_are_synchronous(path: Path) -> None:
    if room(path).startswith(("cloud/", "picloud/worker", "picloud/wire")):
        assert not any(isinstance(node, ast.AsyncFunctionDef | ast.Await) for node in ast.walk(ast.parse(path.read_text())))


@pytest.mark.parametrize("path", named(SOURCES))
def test_nothing_is_swallowed_or_left_for_later(path: Path) -> None:
    text = path.read_text()
    for word in ("TODO", "FIXME", "XXX", "NotImplementedError"):
        assert word not in text
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.ExceptHandler)
            and isinstance(node.type, ast.Name)
            and node.type.id in ("Exception", "BaseException")
        ):
            assert not all(isinstance(statement, ast.Pass) for statement in node.body), f"line {node.lineno}"


def test_no_room_for_odds_and_ends() -> None:
    assert not [path for path in SOURCES if path.stem.strip("_") in ("utils", "util", "helpers", "misc", "common", "part2")]


def test_every_module_says_what_it_is_for() -> None:
    empty = [path for path in SOURCES if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))]
    assert not empty
