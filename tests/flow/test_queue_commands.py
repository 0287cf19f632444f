"""``picloud queue`` over a real server."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from cloud import queue
from cloud.queue import Done
from tests.conftest import PICLOUD

pytestmark = pytest.mark.usefixtures("no_queues")


@pytest.fixture
def typed(server: Any) -> Any:
    """A command as it is typed: exit code, and what it printed."""

    def run(*words: str, stdin: str = "") -> tuple[int, str, str]:
        env = {**os.environ, "PICLOUD_HOME": str(server.home)}
        line = [*PICLOUD, "queue", *words]
        done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=60, check=False, input=stdin)
        return done.returncode, done.stdout, done.stderr

    return run


def die(name: str, *messages: Any) -> list[int]:
    """Make messages dead letters; their ids."""
    q = queue.get(name)
    q.push(messages)
    try:
        raise LookupError("nothing\nof the kind")
    except LookupError as error:
        q.exchange([Done(one, end="dead", error=error) for one in q.pop_tickets()], 0)
    return sorted(one.id for one in q.dead())


def test_the_way_of_a_message(typed: Any) -> None:
    assert typed("push", "in", "[1, 2]", "word", '"5"', "5") == (0, "", "")
    assert typed("push", "in", "-", stdin='{"a": "ü"}\n\nplain text\n') == (0, "", "")
    assert typed("push", "in", "5", "--text") == (0, "", "")
    assert typed("count", "in") == (0, "8\n", "")
    assert typed("pop", "in", "-n", "3") == (0, '[1, 2]\n"word"\n"5"\n', "")
    assert typed("pop", "in", "-t", "0") == (0, '5\n{"a": "ü"}\n""\n"plain text"\n"5"\n', "")
    assert typed("pop", "in", "--json") == (0, "[]\n", "")
    queue.get("in").push([(1, 2), {1: b"x"}])
    assert typed("pop", "in", "-n", "1")[1] == "(1, 2)\n"
    assert json.loads(typed("pop", "in", "--json")[1]) == [{"1": "x"}]


def test_keys_and_delays(typed: Any) -> None:
    for _ in range(2):
        assert typed("push", "in", "1", "2", "--key", "a", "--key", "b")[0] == 0
    assert typed("push", "in", "3", "--delay", "900")[0] == 0
    found = json.loads(typed("info", "in", "--json")[1])
    assert (found["count"], found["delayed"]) == (3, 1)


def test_what_is_there(typed: Any) -> None:
    columns = "name messages in hand delayed oldest dead paused handler jobs in/s out/s empty in $/h trouble"
    code, said, _ = typed("list")
    assert (code, " ".join(said.split())) == (0, columns)
    queue.get("b").push([1])
    queue.get("b").pop_tickets()
    queue.get("a").push([1, 2], delay=900)
    assert typed("pause", "b") == (0, "", "")
    rows = [line.split() for line in typed("list", "-o", "no-header")[1].splitlines()]
    assert [row[7:9] + row[10:] for row in rows] == [["-", "-", "0.0", "-", "-", "-"], ["-", "-", "0.0", "0", "-", "-"]]
    assert all(float(row[9]) >= 0 for row in rows)
    assert [row[:7] for row in rows] == [["a", "2", "0", "2", "-", "0", "False"], ["b", "0", "1", "0", "-", "0", "True"]]
    assert [one["name"] for one in json.loads(typed("list", "--json")[1])] == ["a", "b"]
    queue.get("b").attach(print, output_queues=[queue.get("a")], max_parallel_jobs=0)
    lines = {*typed("info", "b")[1].splitlines()}
    handled = typed("list", "-o", "no-header")[1].splitlines()[1].split()
    assert handled[7:11] == ["print", "0", "of", "0"] and handled[-2:] == ["0.00", "-"]
    assert {"name: b", "paused: True", "in_hand: 1", "handler.name: print", "handler.output_queues: a"} <= lines
    assert typed("resume", "b")[0] == 0 and not queue.get("b").info()["paused"]
    assert typed("purge", "a") == (0, "2\n", "") and typed("count", "a", "--json")[1] == '{"count": 0}\n'


def test_deleting_asks(typed: Any) -> None:
    queue.get("in").push([1, 2])
    code, _, told = typed("delete", "in", stdin="n\n")
    assert code == 130 and "Delete queue in with 2 messages and 0 dead letters?" in told and queue.exists("in")
    assert typed("delete", "in")[0] == 130 and queue.exists("in"), "nobody answers"
    assert typed("delete", "in", stdin="y\n")[0] == 0 and not queue.exists("in")
    queue.get("in").push([1])
    assert typed("delete", "in", "--yes", "--json") == (0, '{"deleted": true}\n', "")


def test_dead_letters(typed: Any) -> None:
    ids = die("in", {"a": 1}, (2, 3), "x")
    head, *lines = typed("dead", "in")[1].splitlines()
    assert head.split() == ["id", "cause", "exception", "message", "retries", "when"]
    assert [line.split()[0] for line in lines] == [str(number) for number in reversed(ids)]
    assert "LookupError: nothing" in lines[0] and "(2, 3)" in lines[1] and "{'a': 1}" in lines[2]
    assert len(typed("dead", "in", "-n", "1")[1].splitlines()) == 2
    found = json.loads(typed("dead", "in", "--json")[1])
    assert (found[0]["id"], found[0]["cause"], found[0]["exception"]) == (
        ids[2],
        "exception",
        "LookupError: nothing\nof the kind",
    )
    told = typed("dead", "in", "--traceback", str(ids[1]))[1]
    assert told.startswith("exception: LookupError: nothing\nof the kind\n\nMessage: (2, 3)\n\nTraceback (most recent")
    assert "Traceback" in json.loads(typed("dead", "in", "--traceback", str(ids[1]), "--json")[1])["traceback"]
    assert typed("replay", "in", str(ids[0])) == (0, "1\n", "") and queue.get("in").pop() == [{"a": 1}]
    assert typed("bury", "in", str(ids[1])) == (0, "1\n", "")
    assert typed("replay", "in", "--all", "--json") == (0, '{"replayed": 1}\n', "") and queue.get("in").pop() == ["x"]
    assert typed("bury", "in", "--all") == (0, "0\n", "")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("push", "a/b", "1"), 3, "is no name of a queue"),
        (("push", "in"), 2, "Missing argument"),
        (("push", "in", "1", "--delay", "901"), 2, "not in the range"),
        (("push", "in", "1", "2", "--key", "a"), 1, "fewer keys"),
        (("pop", "other"), 3, "no queue 'other'"),
        (("pop", "in", "-n", "11"), 2, "not in the range"),
        (("pop", "in", "-t", "21"), 2, "not in the range"),
        (("info", "other"), 3, "no queue 'other'"),
        (("pause", "other"), 3, "no queue 'other'"),
        (("delete", "other", "--yes"), 3, "no queue 'other'"),
        (("purge", "other"), 3, "no queue 'other'"),
        (("dead", "other"), 3, "no queue 'other'"),
        (("dead", "in", "--traceback", "999999"), 1, "no dead letter 999999"),
        (("replay", "in"), 2, "or give --all"),
        (("replay", "in", "1", "--all"), 2, "or give --all"),
        (("bury", "in", "x"), 2, "not a valid"),
    ],
)
def test_wrong_words(typed: Any, words: tuple[str, ...], code: int, says: str) -> None:
    queue.get("in").push([1])
    found, _, told = typed(*words)
    assert found == code and says in " ".join(told.split()), told
    assert queue.list() == [queue.get("in")] and queue.get("in").count() == 1
