"""Every example runs against a live server and prints what its docstring says it prints."""

from __future__ import annotations

import ast
import doctest
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def expected(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return textwrap.dedent(docstring.split("Prints::\n\n", 1)[1]) + "\n"


def test_examples_are_numbered_without_a_gap() -> None:
    assert [path.name[:2] for path in EXAMPLES] == [f"{n:02}" for n in range(1, len(EXAMPLES) + 1)]


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_prints_what_it_says(path: Path, server: object) -> None:
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=150, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.OutputChecker().check_output(expected(path), done.stdout, flags), done.stdout
