"""What a .env file says."""

from __future__ import annotations

import click
import pytest

from picloud.cli.secret import parsed


def test_lines_of_an_env_file() -> None:
    text = """
# a comment
A=plain value  # and why
export B = "two\\nlines \\"quoted\\""   # comment
C='as $it \\n is'
D=
E=a=b#c
"""
    assert parsed(text) == {"A": "plain value", "B": 'two\nlines "quoted"', "C": "as $it \\n is", "D": "", "E": "a=b#c"}


@pytest.mark.parametrize("line", ["no sign", "1A=x", "A='open", 'A="open', "A='x' y", "A-B=c"])
def test_a_line_that_is_none_is_named_by_its_number_alone(line: str) -> None:
    with pytest.raises(click.UsageError) as refused:
        parsed(f"X=1\n{line}")
    assert refused.value.message == "line 2 is no VARIABLE=VALUE"
