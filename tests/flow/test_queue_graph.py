"""``picloud queue graph`` over a real server: as a picture, in a pipe, as JSON, and live."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

import cloud
from cloud.queue import CloudQueue
from tests.conftest import PICLOUD
from tests.flow.terminal import Terminal

pytestmark = pytest.mark.live
NAMES = ("graph-in", "graph-out", "graph-bad")


@pytest.fixture
def queues(server: Any) -> Iterator[list[CloudQueue]]:
    """A handler that gets no jobs, between two queues and one for errors; and a loop."""
    found = [cloud.queue.get(name) for name in NAMES]
    source, sink, bad = found

    def twice(x: int) -> int:
        return 2 * x

    source.attach(twice, [sink], max_parallel_jobs=0, on_error={KeyError: {"queue": bad, "delay": 5}})
    bad.attach(twice, [bad, source], max_parallel_jobs=0)
    source.push(range(7))
    yield found
    for one in found:
        one.delete()


@pytest.fixture
def env(server: Any) -> dict[str, str]:
    return {**os.environ, "PICLOUD_HOME": str(server.home)}


def typed(env: dict[str, str], *words: str) -> str:
    done = subprocess.run([*PICLOUD, "queue", "graph", *words], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_notebooks_get_queues_and_edges(queues: Any) -> None:
    found = cloud.queue.graph()
    mine = {one["name"]: one for one in found["queues"] if one["name"] in NAMES}
    assert mine["graph-in"]["handler"]["name"] == "twice" and mine["graph-in"]["count"] == 7 and not mine["graph-out"]["handler"]
    assert [edge for edge in found["edges"] if edge["from"] in NAMES] == [
        {"from": "graph-bad", "to": "graph-bad", "exception": None, "delay": 0.0},
        {"from": "graph-bad", "to": "graph-in", "exception": None, "delay": 0.0},
        {"from": "graph-in", "to": "graph-out", "exception": None, "delay": 0.0},
        {"from": "graph-in", "to": "graph-bad", "exception": "KeyError", "delay": 5.0},
    ]


def test_in_a_pipe_it_is_ascii(queues: Any, env: dict[str, str]) -> None:
    said = typed(env)
    assert said.isascii() and "| graph-in  7 |" in said and "| twice  0 jobs  0.0/s |-" in said and "| KeyError" in said
    assert max(map(len, said.splitlines())) <= 80
    assert max(map(len, typed(env | {"COLUMNS": "30"}).splitlines())) <= 30


def test_as_json(queues: Any, env: dict[str, str]) -> None:
    found = json.loads(typed(env, "--json"))
    assert set(found) == {"queues", "edges"} and {one["name"] for one in found["queues"]} >= set(NAMES)


def test_at_a_terminal_it_is_drawn_with_errors_in_red(queues: Any, env: dict[str, str]) -> None:
    words = [*PICLOUD, "queue", "graph"]
    with Terminal(words, env=env | {"LANG": "C.UTF-8", "COLUMNS": "90", "PYTHONIOENCODING": "utf-8"}, columns=90) as terminal:
        assert "╭───▼" in terminal.until("\x1b[31mKeyError")
        assert terminal.wait() == 0


def test_it_follows_what_happens_until_it_is_interrupted(queues: Any, env: dict[str, str]) -> None:
    with Terminal([*PICLOUD, "queue", "graph", "--watch"], env=env, rows=60) as terminal:
        terminal.until("7")
        queues[0].push(range(1_234))
        terminal.until("1,241")
        queues[0].pause()
        terminal.until("paused")
        terminal.type("\x03")
        assert terminal.wait() == 0


def test_in_a_pipe_it_follows_line_by_line(queues: Any, env: dict[str, str]) -> None:
    line = [*PICLOUD, "--json", "queue", "graph", "--watch"]
    with subprocess.Popen(line, env=env, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        counts = [_count(json.loads(following.stdout.readline()))]
        queues[0].purge()
        while counts[-1]:
            counts.append(_count(json.loads(following.stdout.readline())))
        following.send_signal(signal.SIGINT)
        following.stdout.read()
        assert counts[0] == 7 and following.wait(30) == 0


def _count(found: dict[str, Any]) -> int:
    return int(next(one["count"] for one in found["queues"] if one["name"] == "graph-in"))


def test_where_there_are_none(server: Any, env: dict[str, str]) -> None:
    for one in cloud.queue.list():
        one.delete()
    assert typed(env) == "no queues yet: picloud queue push NAME MESSAGE makes one\n"
    assert json.loads(typed(env, "--json")) == {"queues": [], "edges": []}
