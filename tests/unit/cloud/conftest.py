"""A client of a fake server, for each test anew."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake import Fake

from cloud import _session
from cloud.job import Verbs


@pytest.fixture
def fake() -> Iterator[Fake]:
    server = Fake()
    yield server
    server.stop()


@pytest.fixture
def session(fake: Fake) -> Iterator[_session.Session]:
    made = _session.Session(fake.url, "1", "secret")
    yield made
    made.close()


@pytest.fixture
def jobs(session: _session.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Verbs:
    monkeypatch.setenv("PICLOUD_HOME", str(tmp_path))
    return Verbs(lambda: session)
