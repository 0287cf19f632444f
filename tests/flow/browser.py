"""A real browser for tests of pages: Chromium, told by its debugging protocol what to do."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

DEADLINE = 60.0
WORDS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"]


class Page:
    """A page that is open."""

    def __init__(self, line: ClientConnection) -> None:
        self._line, self._count = line, 0

    def run(self, script: str) -> Any:
        """What an expression gives; None where the page has gone to another one meanwhile."""
        told = self._ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return told["result"].get("value") if told else None

    def wait(self, script: str) -> Any:
        """What an expression gives, once it gives something."""
        until = time.monotonic() + DEADLINE
        while not (found := self.run(f"new Promise(done => setTimeout(() => done({script}), 50))")):
            assert time.monotonic() < until, self.run("document.body.innerText")
        return found

    def open(self, url: str) -> None:
        """Go to a page, as if to a new one."""
        self._ask("Page.navigate", url="about:blank")
        self._ask("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def _ask(self, method: str, **more: Any) -> Any:
        self._count += 1
        self._line.send(json.dumps({"id": self._count, "method": method, "params": more}))
        while (told := json.loads(self._line.recv(DEADLINE))).get("id") != self._count:
            continue
        return told.get("result")


@contextmanager
def browser(home: Path) -> Iterator[Page]:
    """A browser with one page, and nothing remembered."""
    words = ["chromium-headless-shell", *WORDS, f"--user-data-dir={home}", "about:blank"]
    program = subprocess.Popen(words, env={**os.environ, "HOME": str(home)}, stderr=subprocess.DEVNULL)
    try:
        told, until = home / "DevToolsActivePort", time.monotonic() + DEADLINE
        while not (told.exists() and told.read_text().count("\n")):
            assert time.monotonic() < until and program.poll() is None, "the browser did not start"
        port = told.read_text().split("\n")[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=DEADLINE) as answer:
            (page,) = [one for one in json.load(answer) if one["type"] == "page"]
        with connect(page["webSocketDebuggerUrl"], max_size=None) as line:
            yield Page(line)
    finally:
        program.terminate()
        program.wait(DEADLINE)
