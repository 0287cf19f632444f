"""Command templates: ``grep {word} {file}``.

``{word}`` is a parameter when the word is an identifier. ``${HOME}``, ``\\{`` and braces around anything else
(``{1..3}``, ``{print $1}``, ``a{3}``) are the shell's and stay as they are. Values go in as they are, unquoted: quote
in the template where a value may hold blanks. Standard library only: jobs fill templates too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_PARAMETER = re.compile(r"(?<![\\$])\{([A-Za-z_]\w*)\}", re.ASCII)


def parameters(command: str) -> list[str]:
    """The names of a template's parameters, each once, in order."""
    return list(dict.fromkeys(_PARAMETER.findall(command)))


def check(command: str, given: Iterable[str]) -> None:
    """Compare a template's parameters with the arguments given.

    Raises:
        TypeError: the command is no str.
        ValueError: it is empty or holds a NUL; a parameter without an argument; an argument that is not used.
    """
    if not isinstance(command, str):
        raise TypeError(f"the command must be a str, not {type(command).__name__}")
    if not command.strip() or "\0" in command:
        raise ValueError("the command holds a NUL character" if "\0" in command else "the command is empty")
    wanted, found = parameters(command), list(given)
    unbound = [name for name in wanted if name not in found]
    if unbound:
        shown = ", ".join(f"{{{name}}}" for name in unbound)
        raise ValueError(f"no argument for {shown} of the command {command!r} (a brace for the shell is written \\{{)")
    unused = [name for name in found if name not in wanted]
    if unused:
        raise ValueError(f"the command {command!r} has no parameter {', '.join(f'{{{name}}}' for name in unused)}")


def fill(command: str, values: Mapping[str, str]) -> str:
    """The command with each parameter replaced by its value; values are not looked into again."""
    return _PARAMETER.sub(lambda match: values[match[1]], command)
