"""Passwords: made into argon2id and compared with it, in threads of their own, a few at once.

Each comparison takes 64 MiB for some 50 ms. Two at once are enough for people, and no crowd can take the machine's memory.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from picloud.wire.error import BadRequest

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")
AT_ONCE = 2
SHORTEST, LONGEST = 10, 1000
"""Characters."""


class Passwords:
    """The one place that sees passwords; it keeps none."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, "password")
        self._nobody = ""

    async def made(self, password: str) -> str:
        """The argon2id of a new password, with its parameters and salt.

        Raises:
            BadRequest: it is too short, or longer than anybody types.
        """
        if not SHORTEST <= len(password) <= LONGEST:
            raise BadRequest(f"a password has {SHORTEST} to {LONGEST} characters", hint="several words are easy to keep in mind")
        return await self._run(lambda: self._hasher.hash(_bytes(password)))

    async def fits(self, known: str, password: str) -> bool:
        """Whether this is the password. ``known``: its argon2id; "" = there is none, which takes as long to tell."""
        return await self._run(lambda: self._verify(known, _bytes(password[: LONGEST + 1])))

    async def renewed(self, known: str, password: str) -> str:
        """A new argon2id of a password that was right, where the parameters are better today; "" = nothing to do."""
        needed = self._hasher.check_needs_rehash(known)
        return await self._run(lambda: self._hasher.hash(_bytes(password))) if needed else ""

    def _verify(self, known: str, password: bytes) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        if not known and not self._nobody:
            self._nobody = self._hasher.hash(b"nobody's password")
        try:
            return self._hasher.verify(known or self._nobody, password) and bool(known)
        except (VerificationError, InvalidHashError):
            return False

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher  # 64 MiB, 3 rounds, 4 lanes: the second choice of RFC 9106

        return PasswordHasher()

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _bytes(password: str) -> bytes:
    """One spelling of the same signs, however a keyboard makes them."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
