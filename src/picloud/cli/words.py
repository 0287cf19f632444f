"""Words of a command line: programs to run elsewhere, single jobs, sizes."""

from __future__ import annotations

import re

import click

JID = click.IntRange(min=1)

_BARE = re.compile(r"(?:[\w@%+=:,./-]|\{[A-Za-z_]\w*\})+", re.ASCII)
"""A word that means the same to a shell with and without quotes, parameters included."""


def line(words: tuple[str, ...]) -> str:
    """The line for the shell that runs ``words`` as typed; a single word is such a line already."""
    if len(words) == 1:
        return words[0]
    import shlex

    return " ".join(word if _BARE.fullmatch(word) else shlex.quote(word) for word in words)


def size(count: int) -> str:
    """A number of bytes in words: ``1.2 GB``."""
    for unit, step in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count} B"
