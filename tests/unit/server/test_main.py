"""The control process: in which order it begins, and what it allows itself."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from picloud.server import __main__ as program
from picloud.server.address import listen
from picloud.server.control import Control
from picloud.server.credentials import configuration, secret_of, write_owner_credentials
from picloud.serving import Serving
from picloud.settings import Settings
from picloud.store.files import open_files
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


def started(home: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What a server says that starts in this home; it stops at once."""
    one = program.Program(Settings(home=str(home), port=0))
    one._stop.set()
    asyncio.run(one.run())
    said: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return said


def test_the_client_is_pointed_at_its_first_server_and_follows_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = started(home, capsys)
    assert configuration(home) == {"api_key": first["owner_key"], "url": first["address"]}
    assert secret_of(home, first["owner_key"])
    second = started(home, capsys)
    assert (second["owner_key"], second["client"]) == (first["owner_key"], "")
    assert configuration(home) == {"api_key": first["owner_key"], "url": second["address"]}


def test_a_client_that_was_set_up_for_another_server_stays_there_and_is_told(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_owner_credentials(home, 42, "theirs", "https://lab.example:7421", "ab12")
    before = configuration(home)
    for _ in range(2):
        said = started(home, capsys)
        assert said["client"] == "https://lab.example:7421"
        assert secret_of(home, said["owner_key"])
        assert configuration(home) == before
    assert len(list((home / "credentials").iterdir())) == 2
    write_owner_credentials(home, said["owner_key"], secret_of(home, said["owner_key"]), said["address"])
    assert started(home, capsys)["client"] == ""


def test_the_home_is_its_owners_alone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = os.umask(0)
    try:
        started(home, capsys)
        with open_files("", home / "blob").create("0123456789abcdef") as sink:
            sink.write(b"x")
    finally:
        os.umask(before)
    assert (home / "picloud.sqlite").exists()
    (home / "picloud.sqlite").chmod(0o644)
    started(home, capsys)
    assert {path.name: path.stat().st_mode & 0o077 for path in home.rglob("*") if path.stat().st_mode & 0o077} == {}


def test_another_server_of_this_machine_counts_only_while_it_lives(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listen("127.0.0.1", 0) as other:
        theirs = f"http://127.0.0.1:{other.getsockname()[1]}"
        write_owner_credentials(home, 42, "theirs", theirs)
        assert started(home, capsys)["client"] == theirs
    said = started(home, capsys)
    assert said["client"] == ""
    assert configuration(home) == {"api_key": said["owner_key"], "url": said["address"]}


def test_the_limit_of_open_files_is_raised() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        program.raise_open_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(program.OPEN_FILES, before[1]), before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
