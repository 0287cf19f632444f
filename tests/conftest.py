"""What suites share: one real server for the whole run, started the way a user starts one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import cloud
from cloud import _config
from picloud.cli.call import Server as At
from picloud.cli.call import call
from picloud.server.mounts import OVERLAY, file_system
from tests.s3 import S3, Bucket, new_bucket

PICLOUD = [sys.executable, "-c", "import sys; from picloud.cli.main import main; sys.exit(main())"]
"""The command ``picloud``, of this interpreter and this source tree."""


@dataclass
class Server:
    """A running server and its owner's key."""

    home: Path
    url: str
    pid: int
    key: str
    secret: str
    remote: str = ""  # address for other machines, where it was started with --host
    fingerprint: str = ""

    def picloud(self, *words: str) -> Any:
        """Run a command of the command line; its JSON answer."""
        return picloud(self.home, *words)

    def account(self) -> str:
        """The name of its owner's account: that of the machine's user where it may be one."""
        return str(call(At(self.url, self.key, self.secret), "GET", "/v1/server")["account"])

    def use(self) -> None:
        """Make this process its owner's client."""
        global in_use
        in_use = self
        os.environ["PICLOUD_HOME"] = str(self.home)
        cloud.config._forget()
        cloud.setkey(self.key, self.secret, self.url)


in_use: Server | None = None
"""Whose client this process is."""


def picloud(home: Path, *words: str) -> Any:
    """Run ``picloud --json`` for an installation; its answer."""
    done = subprocess.run(
        [*PICLOUD, "--json", *words],
        env={**os.environ, "PICLOUD_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"picloud {' '.join(words)}: {done.stdout}{done.stderr}{_log(home)}"
    return json.loads(done.stdout) if done.stdout.strip() else None


def _log(home: Path) -> str:
    log = home / "server.log"
    return f"\nserver.log:\n{log.read_text()[-4000:]}" if log.exists() else ""


def start_server(home: Path, *flags: str) -> Server:
    """``picloud up`` on a free port, in an installation of its own."""
    told = picloud(home, "up", "--port", "0", *flags)
    before = os.environ.get("PICLOUD_HOME")
    os.environ["PICLOUD_HOME"] = str(home)
    try:
        key = str(_config._read()["api_key"])
        secret = _config.secret_of(key)
    finally:
        _restore(before)
    return Server(home, told["address"], told["pid"], key, secret, told.get("remote") or "", told.get("tls_fingerprint") or "")


def stop_server(server: Server) -> None:
    """``picloud down``, and nothing is left."""
    server.picloud("down")
    shutil.rmtree(server.home, ignore_errors=True)


def _restore(home: str | None) -> None:
    if home is None:
        os.environ.pop("PICLOUD_HOME", None)
    else:
        os.environ["PICLOUD_HOME"] = home


def server_home() -> Path:
    """A new folder on a file system that a server accepts (a container's own root is not)."""
    usual = Path(tempfile.gettempdir())
    return Path(tempfile.mkdtemp(prefix="picloud-test-", dir="/dev/shm" if file_system(usual) in OVERLAY else usual))


INTERPRETERS = f"interpreters = {[tempfile.gettempdir(), sys.prefix, sys.base_prefix]}\n"
"""A setting for tests that make further accounts: then only interpreters in these folders may be brought along."""


@contextmanager
def serving(settings: str = "") -> Iterator[Server]:
    """A server with these lines in its settings; ``cloud`` in this process is its owner's client meanwhile."""
    before, former = os.environ.get("PICLOUD_HOME"), in_use
    home = server_home()
    (home / "settings.toml").write_text(settings)
    started = start_server(home)
    started.use()
    try:
        yield started
    finally:
        cloud.close()
        stop_server(started)
        _restore(before)
        cloud.config._forget()
        if former is not None:
            former.use()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A running server; ``cloud`` in this process is its owner's client."""
    with serving(INTERPRETERS) as started:
        yield started


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """An S3 server that lives as long as the test run."""
    started = S3()
    yield started
    started.stop()


@pytest.fixture
def s3_bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A new bucket there; this process's environment leads to it."""
    with new_bucket(s3) as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture(autouse=True)
def _as_client_of_the_server(request: pytest.FixtureRequest) -> None:
    """Whatever tests before did to ``cloud``: a test that asks for the server talks to it."""
    if "server" in request.fixturenames:
        request.getfixturevalue("server").use()
