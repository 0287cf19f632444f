"""The grant programme on the wire: what an application holds, how long it may be, and what becomes of it."""

from __future__ import annotations

import unicodedata
from enum import IntEnum

from msgspec import Struct

from picloud.wire.error import BadRequest

LONGEST_LINE, LONGEST_TEXT = 200, 20_000
"""Characters."""
MOST_FILES, LARGEST_FILE = 10, 32 << 20
"""Attachments of an application, and bytes of each."""
MOST_AWARDS = 10_000
LINES = ("name", "institution", "position")
TEXTS = ("biography", "research")
FIELDS = LINES + TEXTS
"""What an applicant tells."""


class State(IntEnum):
    """Of an application."""

    sent = 0
    awarded = 1
    declined = 2
    withdrawn = 3


class Attached(Struct, frozen=True):
    """A file of an application: uploaded before, under a ticket of its own."""

    name: str
    blob: str


class Apply(Struct, frozen=True):
    """An application, or what shall be different about one: None stays as it is."""

    call: str = ""  # "" = the only one that is open
    name: str | None = None
    institution: str | None = None
    position: str | None = None
    biography: str | None = None
    research: str | None = None
    attachments: list[Attached] | None = None


def line(what: str, given: str, longest: int = LONGEST_LINE) -> str:
    """One line of plain text, without blanks around it.

    Raises:
        BadRequest: it is empty, too long, or has characters that no line has.
    """
    plain = given.strip()
    if not plain:
        raise BadRequest(f"{what} is missing", hint=f"1 to {longest} characters")
    return _checked(what, plain, longest, "")


def text(what: str, given: str, longest: int = LONGEST_TEXT) -> str:
    """Plain text of some lines; it may be empty. Ends of lines become the usual ones.

    Raises:
        BadRequest: it is too long, or has control characters, which a terminal would obey.
    """
    return _checked(what, given.replace("\r\n", "\n").replace("\r", "\n").strip(), longest, "\n\t")


def file_name(given: str) -> str:
    """The name of an attachment: one that any disk takes, below no folder.

    Raises:
        BadRequest: it is none.
    """
    plain = line("the name of an attachment", given)
    if plain.startswith(".") or set(plain) & set("/\\") or len(plain.encode()) > 255:
        raise BadRequest(f"{plain[:80]!r} is no name of an attachment", hint="a file name, without folders and not hidden")
    return plain


def _checked(what: str, plain: str, longest: int, allowed: str) -> str:
    if len(plain) > longest:
        raise BadRequest(f"{what} has {len(plain):,} characters", hint=f"at most {longest:,}", limit=longest)
    for sign in plain:
        if sign not in allowed and unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or sign in _TURNS:
            raise BadRequest(f"{what} has the character {sign!r}, which is no plain text", hint="remove it")
    return plain


_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Signs that let text look as if it stood in another order than it does."""
