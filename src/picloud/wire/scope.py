"""What an API key may do, and what a user is in an account."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, IntFlag

from picloud.wire.error import BadRequest


class Scope(IntFlag):
    """One right of a key; a key has several."""

    jobs = 1  # submit, kill, delete and rerun jobs, and ask about them
    code = 2  # bring functions, programs, pickles and environments: what runs as the account
    bucket = 4  # objects and volumes
    queue = 8  # messages in and out, and the queues themselves
    read = 16  # everything that only asks, of every noun
    admin = 32  # keys and members of the account; of the owner's account: of the whole installation
    address = 64  # call one published function: what a key has that was made for its address, and no other


EVERYTHING = Scope.jobs | Scope.code | Scope.bucket | Scope.queue | Scope.read | Scope.admin
NAMES = tuple(str(one.name) for one in Scope if one & EVERYTHING)
"""Those that a key can be given."""
USUAL = EVERYTHING & ~Scope.admin
"""What a new key may do, and a running job."""


class Role(IntEnum):
    """What a user is in an account; who is more may do all that who is less may."""

    member = 1  # works in it, with keys of her own
    admin = 2  # and manages its keys and members
    owner = 3  # and its admins and owners; an account has at least one


def spelled(scopes: int) -> list[str]:
    """The names of scopes, in their order."""
    return [str(one.name) for one in Scope if one & scopes]


def scopes_of(names: Iterable[str]) -> Scope:
    """The scopes of these names.

    Raises:
        BadRequest: there is none of that name, or none is named at all.
    """
    made = Scope(0)
    for name in names:
        if name not in NAMES:
            raise BadRequest(f"{str(name)[:40]!r} is no scope", hint=f"scopes are {', '.join(NAMES)}")
        made |= Scope[name]
    if not made:
        raise BadRequest("a key without any scope could do nothing", hint=f"scopes are {', '.join(NAMES)}")
    return made


def role_of(name: str) -> Role:
    """The role of that name.

    Raises:
        BadRequest: there is none.
    """
    if name not in Role.__members__:
        raise BadRequest(f"{str(name)[:40]!r} is no role", hint=f"roles are {', '.join(Role.__members__)}")
    return Role[name]
