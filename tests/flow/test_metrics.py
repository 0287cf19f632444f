"""/metrics of a real server, who may read it, and the charts and the collector that take it."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import cloud
from picloud.cli.call import Server as At
from picloud.cli.call import call
from tests.conftest import Server, serving
from tests.house.test_routes import basic, request

pytestmark = pytest.mark.live
ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r'([a-z_]+)(?:\{([a-z_]+="(?:[^"\\]|\\.)*"(?:,[a-z_]+="(?:[^"\\]|\\.)*")*)\})? (\S+)')
DEADLINE = 60.0


class Collector:
    """Takes what is sent by OTLP."""

    def __init__(self) -> None:
        self.came: list[tuple[str, Any]] = []
        self.first = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.came.append((self.path, json.loads(body)))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")
                outer.first.set()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(collector: Collector) -> Iterator[Server]:
    """Metrics are open to this machine, and go to a collector."""
    with serving(f'metrics = "open"\notlp_endpoint = "{collector.url}"\n') as made:
        queue = cloud.queue.get("letters")
        queue.push([1, 2, 3])
        assert cloud.result(cloud.call(abs, -1)) == 1
        cloud.join(cloud.call(lambda: 1 / 0), ignore_errors=True)
        yield made


def read(server: Server) -> dict[str, list[tuple[dict[str, str], float]]]:
    """The samples, by name."""
    status, answer = request(server.url, "GET", "/metrics")
    assert status == 200, answer
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for line in answer.decode().splitlines():
        if not line.startswith("#"):
            name, labels, value = LINE.fullmatch(line).groups()  # type: ignore[union-attr]
            found.setdefault(name, []).append((dict(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', labels or "")), float(value)))
    return found


def until(server: Server, true: Any) -> dict[str, list[tuple[dict[str, str], float]]]:
    """What is told once something is so; a look is good for some seconds."""
    deadline = time.monotonic() + DEADLINE
    while not true(found := read(server)):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


def test_what_happened_is_counted(server: Server) -> None:
    found = until(server, lambda found: sum(value for _, value in found["picloud_jobs_finished_total"]) >= 2)
    assert found["picloud_jobs_submitted_total"] == [({}, 2.0)]
    assert {labels["state"]: value for labels, value in found["picloud_jobs_finished_total"]} == {"done": 1.0, "error": 1.0}
    assert found["picloud_job_wait_seconds_count"] == [({}, 2.0)]
    assert found["picloud_database_bytes"][0][1] > 0 and found["picloud_cores"][0][1] > 0
    assert all(value > 0 for _, value in found["picloud_disk_free_bytes"])
    routes = {labels["route"] for labels, _ in found["picloud_http_request_seconds_count"]}
    assert "/v1/result" in routes and not any("/v1/job/1" in route for route in routes), "templates alone"


def test_queues_and_jobs_show_what_is_there(server: Server) -> None:
    found = until(server, lambda found: "picloud_queue_messages" in found)
    owner = server.account()
    queues = {(labels["account"], labels["queue"]): value for labels, value in found["picloud_queue_messages"]}
    assert queues == {(owner, "letters"): 3.0}
    assert found["picloud_queue_oldest_seconds"][0][1] >= 0
    jid = cloud.shell.execute("exec sleep 600", {})
    try:
        found = until(
            server, lambda found: any(labels["state"] == "processing" and value == 1 for labels, value in found["picloud_jobs"])
        )
        assert any(labels["state"] == "busy" and value >= 1 for labels, value in found["picloud_slots"])
    finally:
        cloud.kill(jid)


def test_who_may_read_it(server: Server) -> None:
    """This machine may by the setting; who comes through a proxy needs a key of the owner's."""
    made = server.picloud("admin", "account", "add", "metricslab")
    foreign, owner = basic(made["api_key"], made["api_secretkey"]), basic(server.key, server.secret)
    limited = call(At(server.url, server.key, server.secret), "POST", "/v1/key", {"scopes": ["read", "jobs"]})
    at = urlsplit(server.url)
    found = []
    for auth in ("", foreign, basic(limited["api_key"], limited["api_secretkey"]), owner):
        line = http.client.HTTPConnection(at.hostname or "", at.port or 80, timeout=DEADLINE)
        line.request("GET", "/metrics", headers={"X-Forwarded-For": "192.0.2.7"} | ({"Authorization": auth} if auth else {}))
        answer = line.getresponse()
        found.append(answer.status)
        answer.read()
        line.close()
    assert found == [401, 403, 403, 200]


def test_a_collector_is_sent_the_same(server: Server, collector: Collector) -> None:
    assert collector.first.wait(DEADLINE)
    path, told = collector.came[0]
    assert path == "/v1/metrics"
    names = {one["name"] for one in told["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]}
    assert {"picloud_cores", "picloud_jobs", "picloud_jobs_submitted_total"} <= names


def test_the_charts_show_only_what_there_is(server: Server) -> None:
    found = set(until(server, lambda found: "picloud_queue_rate" in found))
    board = json.loads((ROOT / "docs/grafana/picloud.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    asked += [one["query"]["query"] for one in board["templating"]["list"] if one["type"] == "query"]
    names = {name for query in asked for name in re.findall(r"picloud_[a-z_]+", query)}
    assert len(names) >= 15 and names <= found, names - found


def test_without_the_setting_nobody_reads_without_a_key() -> None:
    with serving() as closed:
        assert request(closed.url, "GET", "/metrics")[0] == 401
        assert request(closed.url, "GET", "/metrics", auth=basic(closed.key, closed.secret))[0] == 200
