"""Output of what takes minutes, for who asks for it."""

from __future__ import annotations

import asyncio

import pytest

from picloud.server import runs
from picloud.server.runs import Runs
from picloud.wire.error import NotFound


def test_output_is_told_when_it_comes_and_when_it_ends() -> None:
    async def story() -> None:
        known = Runs()
        run = known.begin(b"t", 1, 5)
        assert run is not None and known.begin(b"t", 1) is None
        waiting = asyncio.ensure_future(known.output(1, b"t", 0, 5))
        await asyncio.sleep(0)
        run.hear(0, b"ab")
        assert (await waiting).output == b"ab"
        run.hear(1, b"bc")  # a repeat that overlaps
        run.hear(9, b"gap")
        assert (run.output, run.end) == (b"abc", 3)
        waiting = asyncio.ensure_future(known.output(1, b"t", 3, 5))
        await asyncio.sleep(0)
        known.lost(5, "the job died")
        assert (await waiting).error == "the job died"

    asyncio.run(story())


def test_only_the_owner_is_told_and_only_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEPT", 4)

    async def story() -> None:
        known = Runs()
        run = known.begin(b"t", 1)
        assert run is not None
        for account, token in ((2, b"t"), (1, b"u")):
            with pytest.raises(NotFound):
                await known.output(account, token, 0, 0)
        run.hear(0, b"abcdef")
        assert (run.start, run.output, run.end) == (2, b"cdef", 6)
        run.finish(0)
        assert (await known.output(1, b"t", 6, 5)).exit_code == 0

    asyncio.run(story())
