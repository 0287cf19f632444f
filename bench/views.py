"""What do 200 open pages cost while jobs run? ``python -m bench.views``

Each page watches what the home and the jobs page show; two jobs a second begin and end. The pages read what comes, as browsers
do.
"""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
import urllib.request
from typing import Any

from bench.processes import processor_seconds
from bench.row import Row, show
from bench.server import Server

PAGES, SECONDS, JOBS_A_SECOND = 200, 30.0, 2
TARGET = 20.0
"""Percent of a core."""
WATCHED = ("/v1/job?limit=50", "/v1/status", "/v1/queue", "/v1/credit", "/v1/usage?by=day&limit=31")
CLIENT = """
import sys, time, cloud
for line in sys.stdin:
    began, count = time.monotonic(), 0
    seconds, rate = map(float, line.split())
    while time.monotonic() < began + seconds:
        time.sleep(max(0, began + count / rate - time.monotonic()))
        cloud.call(time.sleep, 0.2)
        count += 1
    print(count, flush=True)
"""


class Pages:
    """Open pages, read by one thread."""

    def __init__(self, port: int, token: str, count: int) -> None:
        self.bytes = 0
        self.lines = 0
        self._open = True
        self._ready = selectors.DefaultSelector()
        body = json.dumps({"watch": [{"path": path} for path in WATCHED]})
        head = f"POST /v1/view HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        for _ in range(count):
            link = socket.create_connection(("127.0.0.1", port))
            link.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            self._ready.register(link, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while self._open:
            for key, _ in self._ready.select(0.5):
                link: Any = key.fileobj
                part = link.recv(1 << 18)
                if not part:
                    raise RuntimeError("a page was dropped")
                self.bytes += len(part)
                self.lines += part.count(b'{"path": ')

    def close(self) -> None:
        """Close them all."""
        self._open = False
        self._thread.join()
        for key in list(self._ready.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._ready.close()


def measure(seconds: float = SECONDS) -> list[Row]:
    """The same jobs without pages, then with them."""
    with Server() as server:
        client = server.python("-c", CLIENT)
        assert client.stdin and client.stdout

        def run() -> float:
            """Percent of a core that the control process takes."""
            control = server.processes().control
            before, began = processor_seconds(control), time.monotonic()
            client.stdin.write(f"{seconds} {JOBS_A_SECOND}\n")  # type: ignore[union-attr]
            client.stdin.flush()  # type: ignore[union-attr]
            client.stdout.readline()  # type: ignore[union-attr]
            return 100 * (processor_seconds(control) - before) / (time.monotonic() - began)

        run()  # the slots are warm, and 50 jobs are in the list
        alone = run()
        pages = Pages(server.port(), _token(server), PAGES)
        time.sleep(2)
        seen = pages.bytes, pages.lines
        busy = run()
        sent, lines = pages.bytes - seen[0], pages.lines - seen[1]
        pages.close()
        client.communicate(timeout=60)
    values = {"percent": busy, "percent_without": alone, "bytes_a_second": sent / seconds, "lines_a_second": lines / seconds}
    return [
        Row(
            f"{PAGES} pages open, {JOBS_A_SECOND} jobs a second: processor time of control",
            f"{busy:.1f} % of a core ({alone:.1f} % without; {lines / seconds:,.0f} lines/s, {sent / seconds / 1e6:.2f} MB/s)",
            f"<= {TARGET:.0f} %",
            busy <= TARGET,
            values=values,
        )
    ]


def _token(server: Server) -> str:
    """A session."""
    url = json.loads(server.picloud("--json", "status", "--login"))["login_url"]
    at, _, ticket = url.partition("/#")
    body = json.dumps({"ticket": ticket}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{at}/v1/login", body)) as answer:
        return str(json.load(answer)["token"])


if __name__ == "__main__":
    show(measure())
