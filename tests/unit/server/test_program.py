"""The order of a start."""

import asyncio
import gc

import pytest

from picloud.engine import process
from picloud.server.__main__ import Program
from picloud.server.control import Control
from picloud.serving import Serving
from picloud.settings import Settings
from tests.conftest import server_home


def test_workers_are_served_only_after_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    opened, served = Control.open, Serving.run

    async def opening(control: Control, url: str) -> None:
        for _ in range(5):  # whatever was started before gets its turn
            await asyncio.sleep(0)
        happened.append("adopted")
        await opened(control, url)

    async def serving(self: Serving) -> None:
        happened.append("served")
        started._stop.set()
        await served(self)

    monkeypatch.setattr(Control, "open", opening)
    monkeypatch.setattr(Serving, "run", serving)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr(gc, "set_threshold", lambda *_: None)
    monkeypatch.setattr(Program, "_hear_signals", lambda self: None)
    home = server_home()
    monkeypatch.setenv("PICLOUD_HOME", str(home))
    monkeypatch.setenv(process.INSTANCE, "")
    started = Program(Settings(home=str(home), port=0))
    asyncio.run(started.run())
    assert happened == ["adopted", "served"]
