"""The control process: in which order it begins, and what it allows itself."""

from __future__ import annotations

import asyncio
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from picloud.server import __main__ as program
from picloud.server.control import Control
from picloud.serving import Serving
from picloud.settings import Settings
from tests.conftest import server_home


@pytest.fixture
def home() -> Iterator[Path]:
    made = server_home()
    yield made
    shutil.rmtree(made, ignore_errors=True)


def test_living_workers_are_adopted_before_the_first_request_is_served(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []
    opened = Control.open

    async def slowly(self: Control, loopback: str) -> None:
        await asyncio.sleep(0)
        await opened(self, loopback)
        seen.append("adopted")

    async def serving(self: Serving) -> None:
        seen.append("serving")

    monkeypatch.setattr(Control, "open", slowly)
    monkeypatch.setattr(Serving, "run", serving)
    one = program.Program(Settings(home=str(home), port=0))
    one._stop.set()
    asyncio.run(one.run())
    assert seen == ["adopted", "serving"]
    assert '"ready":true' in capsys.readouterr().out


def test_the_limit_of_open_files_is_raised() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        program.raise_open_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(program.OPEN_FILES, before[1]), before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
