"""Passwords become argon2id, and only the right one fits."""

from __future__ import annotations

import asyncio

import pytest
from argon2 import PasswordHasher

from picloud.server.passwords import LONGEST, SHORTEST, Passwords
from picloud.wire.error import BadRequest


def test_only_the_same_password_fits() -> None:
    async def program() -> None:
        passwords = Passwords()
        known = await passwords.made("zwölf Boxkämpfer")
        assert known.startswith("$argon2id$") and "Box" not in known
        assert known != await passwords.made("zwölf Boxkämpfer"), "each has a salt of its own"
        assert await passwords.fits(known, "zwo\u0308lf Boxka\u0308mpfer"), "however a keyboard spells it"
        for wrong in ("zwölf boxkämpfer", "", "zwölf Boxkämpfer ", "\ud800", "x" * 10_000_000):
            assert not await passwords.fits(known, wrong)
        for nothing in ("", "no hash at all"):
            assert not await passwords.fits(nothing, "")
            assert not await passwords.fits(nothing, "nobody's password")
        assert await passwords.renewed(known, "zwölf Boxkämpfer") == ""

    asyncio.run(program())


def test_one_that_was_kept_by_weaker_parameters_is_renewed() -> None:
    async def program() -> None:
        passwords = Passwords()
        weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash("a horse that battles")
        assert await passwords.fits(weak, "a horse that battles")
        renewed = await passwords.renewed(weak, "a horse that battles")
        assert renewed != weak and await passwords.fits(renewed, "a horse that battles")

    asyncio.run(program())


@pytest.mark.parametrize("wrong", ["", "x" * (SHORTEST - 1), "x" * (LONGEST + 1)], ids=len)
def test_what_is_no_password(wrong: str) -> None:
    with pytest.raises(BadRequest, match="characters"):
        asyncio.run(Passwords().made(wrong))
