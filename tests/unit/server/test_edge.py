"""The edge as control keeps it, where it dies at the worst moments."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest
import uvloop

from picloud.edge.__main__ import EdgeOrder
from picloud.server import edge
from picloud.server.edge import EdgeProcess

ORDER = EdgeOrder("", "/nowhere", "00", [], [])


def program(folder: Path, text: str) -> str:
    """What is started in the place of Python."""
    path = folder / "edge"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_one_that_dies_at_once_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began = tmp_path / "began"
    monkeypatch.setattr(sys, "executable", program(tmp_path, f"exec <&-; echo >> {began}"))
    monkeypatch.setattr(edge, "AGAIN", 0.0)

    async def run() -> None:
        kept = EdgeProcess(ORDER, [], {})
        kept.greeting = lambda: b"x" * 1_000_000  # more than a pipe takes: it is written on when the other end is gone
        await kept.start()
        async with asyncio.timeout(30):
            while len(began.read_text() if began.exists() else "") < 4:
                kept.tell(b"news")
                await asyncio.sleep(0.01)
            await kept.stop()
        assert not psutil.pid_exists(kept.pid or 0)

    uvloop.run(run())


def test_one_that_hears_nothing_any_more_breaks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = tmp_path / "deaf"
    monkeypatch.setattr(sys, "executable", program(tmp_path, f"exec <&-; touch {deaf}; exec sleep 60"))

    async def run() -> None:
        kept = EdgeProcess(ORDER, [], {})
        await kept.start()
        async with asyncio.timeout(30):
            while not deaf.exists():
                await asyncio.to_thread(os.sched_yield)
        for _ in range(100):
            kept.tell(b"x" * 10_000)
            await asyncio.sleep(0)
        await kept.stop()

    uvloop.run(run())
