"""A server of the benchmark's own: a fresh PICLOUD_HOME, a free port, gone at the end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.machine import ROOT
from bench.processes import Installation, installation


class Server:
    """``with Server() as server``: started by ``picloud up``, stopped by ``picloud down``.

    Args:
        settings: lines of ``settings.toml``, as values by name.
        start: False leaves ``picloud up`` to the caller.
    """

    def __init__(self, settings: dict[str, Any] | None = None, start: bool = True) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="picloud-bench-"))
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("PICLOUD_")}
        self.env |= {"PICLOUD_HOME": str(self.home), "PYTHONPATH": f"{ROOT}/src:{ROOT}"}
        self._start = start
        if settings:
            lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
            (self.home / "settings.toml").write_text(lines)

    def __enter__(self) -> Server:
        if self._start:
            self.up()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.down()
        shutil.rmtree(self.home, ignore_errors=True)

    def up(self) -> str:
        """``picloud up`` on a free port, or on the port of the time before; returns what it printed."""
        return self.picloud("up", "--port", str(self.port() or 0))

    def down(self) -> None:
        """``picloud down``; a server that is not there is fine. The next :meth:`up` takes the same port."""
        self.port()
        self.picloud("down", check=False)

    def picloud(self, *words: str, check: bool = True) -> str:
        """Run the command line; what it printed on stdout.

        Raises:
            RuntimeError: it failed, with its stderr.
        """
        done = subprocess.run(
            [str(Path(sys.executable).with_name("picloud")), *words],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"picloud {' '.join(words)}: exit {done.returncode}: {done.stderr}\n{self.log_tail()}")
        return done.stdout

    def status(self) -> dict[str, Any]:
        """``picloud status --json``."""
        found: dict[str, Any] = json.loads(self.picloud("status", "--json"))
        return found

    def port(self) -> int:
        """The port of the server that ran last in this home, or 0."""
        try:
            address = json.loads((self.home / "server.json").read_text())["address"]
        except (OSError, ValueError, KeyError):
            return self._last_port
        self._last_port = int(address.rsplit(":", 1)[1].strip("/"))
        return self._last_port

    _last_port = 0

    def processes(self) -> Installation:
        """Its live processes."""
        return installation(self.home)

    def python(self, *words: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """A Python program that uses this server (or what ``env`` says), with pipes for text."""
        pipe = subprocess.PIPE
        return subprocess.Popen([sys.executable, *words], stdin=pipe, stdout=pipe, text=True, env=env or self.env)

    def log_tail(self) -> str:
        """The last lines of the server's log."""
        try:
            return "\n".join((self.home / "server.log").read_text(errors="replace").splitlines()[-20:])
        except OSError:
            return ""
