"""Templates of commands: what is a parameter, and what is the shell's."""

import pytest

from cloud import _template


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("echo {a} {b} {a}", ["a", "b"]),
        ("echo ${HOME} \\{a} {1..3} {a,b} { a }", []),
        ("awk '{print $1}' {file}", ["file"]),
        ("grep -E 'a{3}'", []),
        ("echo {_x1}{y}", ["_x1", "y"]),
        ("echo {{a}}", ["a"]),
        ("echo {é}", []),
    ],
)
def test_parameters(command: str, names: list[str]) -> None:
    assert _template.parameters(command) == names


def test_fill_puts_values_in_once() -> None:
    assert _template.fill("echo {a} {b} ${a} \\{a}", {"a": "{b}", "b": "\\1 $x"}) == "echo {b} \\1 $x ${a} \\{a}"


@pytest.mark.parametrize(
    ("command", "given", "error"),
    [
        ("echo {a} {b}", ["a"], "no argument for {b}"),
        ("echo {a}", ["a", "c"], "has no parameter {c}"),
        ("", [], "empty"),
        ("  \n", [], "empty"),
        ("echo \0", [], "NUL"),
    ],
)
def test_check_refuses(command: str, given: list[str], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        _template.check(command, given)


def test_check_wants_a_str() -> None:
    with pytest.raises(TypeError, match="must be a str, not list"):
        _template.check(["echo"], [])  # type: ignore[arg-type]


def test_check_accepts() -> None:
    _template.check("echo {a} {b} {a}", ["b", "a"])
