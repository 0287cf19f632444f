"""Every example runs against a live server and prints what its docstring says it prints."""

from __future__ import annotations

import ast
import doctest
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server, serving

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
ARGUMENTS = {"03_statistics": ["600"], "13_image_pipeline": ["--images", "24"]}
"""Of those that take some."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that is nobody else's: examples list what is there."""
    with serving() as started:
        yield started


def expected(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return textwrap.dedent(docstring.split("Prints::\n\n", 1)[1]) + "\n"


def test_examples_are_numbered_without_a_gap() -> None:
    assert [path.name[:2] for path in EXAMPLES] == [f"{n:02}" for n in range(1, len(EXAMPLES) + 1)]


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_prints_what_it_says(path: Path, server: Server) -> None:
    line = [sys.executable, str(path), *ARGUMENTS.get(path.stem, ())]
    done = subprocess.run(line, capture_output=True, text=True, timeout=150, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.OutputChecker().check_output(expected(path), done.stdout, flags), done.stdout


WITH_A_WRONG_SIZE = """
import runpy, sys
sys.path.insert(0, "examples")
sys.argv = ["13", "--images", "3"]
from imgpipeline import check
check.MADE["med"] = ("original.med.png", 390)
runpy.run_path("examples/13_image_pipeline.py", run_name="__main__")
"""


@pytest.mark.slow
def test_the_image_pipeline_fails_where_an_image_is_not_as_it_should_be(server: Server) -> None:
    line = [sys.executable, "-c", WITH_A_WRONG_SIZE]
    done = subprocess.run(line, capture_output=True, text=True, timeout=150, check=False, cwd=ROOT)
    assert done.returncode == 1, done.stderr
    assert "imgs/demo-1/original.med.png is a PNG of (400, 400), made of (512, 512)" in done.stdout
