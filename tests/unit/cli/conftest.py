"""The command line in this process, the server a stand-in."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import cloud
from cloud import _session
from picloud.cli import lifecycle, main
from picloud.engine import process


class Said(NamedTuple):
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        return json.loads(self.err)["error"]


Picloud = Callable[..., Said]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own; no process of it outlives the test."""
    root = tmp_path / "home"
    root.mkdir(mode=0o700)
    monkeypatch.setenv("PICLOUD_HOME", str(root))
    monkeypatch.setenv("PICLOUD_PORT", "0")
    monkeypatch.setattr(lifecycle, "PROGRAM", [str(Path(__file__).with_name("stand_in.py"))])
    for name in ("PICLOUD_API_KEY", "PICLOUD_API_SECRETKEY", "PICLOUD_URL", "PICLOUD_FINGERPRINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_session, "_current", None)  # a command is a process of its own: it knows no earlier session
    monkeypatch.setattr(cloud.job.verbs, "module", "cloud")
    cloud.config._forget()
    yield root
    process.kill_marked(process.of_home(root))
    cloud.config._forget()


@pytest.fixture
def picloud(capfdbinary: pytest.CaptureFixture[bytes], home: Path) -> Picloud:
    """Runs a command: ``picloud("status", "--json").json``."""

    def run(*words: str) -> Said:
        capfdbinary.readouterr()
        code = main.run(list(words))
        out, err = capfdbinary.readouterr()
        return Said(code, out.decode(errors="surrogateescape"), err.decode())

    return run
