"""Reading along: what a job prints and uses, while it runs and after."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import cloud
from tests.contract.conftest import DEADLINE, Place, until
from tests.gate import gate, open_gate, waits

FIGURES = {
    "cputime": {"user", "system"},
    "memory": {"usage", "max_usage", "failcnt", "limit", "cache", "limit_hits", "kernel_kills"},
    "swap": {"usage", "max_usage"},
    "disk": {"usage", "max_usage", "read", "written"},
    "network": {"in", "out"},
}


@pytest.fixture
def live(server: Any) -> None:
    """A server: only there jobs are followed while they run."""


def waiting(label: str) -> Callable[[int], None]:
    """A job that prints, holds so many bytes until the gate is open, and prints again; without a label it waits for nothing."""
    wait_there = waits(label) if label else None

    def wait(size: int) -> None:
        import logging
        import sys

        if not size:
            print("first")
            print("aside", file=sys.stderr, flush=True)
            sys.stdout.flush()
            logging.getLogger("talk").info("noted")
        data = bytearray(size)
        for at in range(0, len(data), 4096):
            data[at] = 1
        if wait_there is not None:
            wait_there()
        if not size:
            print("last \N{SNOWMAN}")

    return wait


def test_every_place_tells_the_same_figures_by_name(place: Place) -> None:
    jid = place.verbs.call(sum, [1, 2])
    place.verbs.join(jid, timeout=DEADLINE)
    found = place.verbs.info(jid, "all")[jid]
    assert {name: set(found[name]) for name in FIGURES} == FIGURES
    assert found["cpu_percentage"] is None
    assert found["ports"] is None
    part = place.verbs.info(jid, ["memory.failcnt", "memory.max_usage", "disk.usage", "cputime.user"])[jid]
    assert part["memory.failcnt"] is None
    assert part["memory.max_usage"] == found["memory"]["max_usage"]
    assert part["cputime.user"] == found["cputime"]["user"] >= 0


def test_what_was_printed(service: Place) -> None:
    jid = service.verbs.call(waiting(""), 0)
    service.verbs.join(jid, timeout=DEADLINE)
    until(lambda: dict(cloud.logs(jid, "stdout")) != {})
    assert "".join(text for _, text in cloud.logs(jid, "stdout")) == "first\nlast \N{SNOWMAN}\n"
    assert "".join(text for _, text in cloud.logs(jid, "stdout", since=6)) == "last \N{SNOWMAN}\n"
    assert {stream for stream, _ in cloud.logs(jid)} >= {"stdout", "stderr"}
    assert "".join(text for stream, text in cloud.logs(jid, follow=True) if stream == "stderr").startswith("aside\n")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("stdin",), ValueError),
        ((None, False, 5), ValueError),
        (("stdout", False, -1), ValueError),
        (("stdout", False, "yesterday"), TypeError),
        (("stdout", False, True), TypeError),
    ],
)
def test_what_cannot_be_read_is_refused_before_it_is_asked(
    service: Place, words: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        cloud.logs(1, *words)


def test_unknown_jobs_are_named(service: Place) -> None:
    for ask in (cloud.logs, cloud.samples):
        with pytest.raises(cloud.CloudException, match="987654321"):
            list(ask(987_654_321))
        with pytest.raises(TypeError):
            ask([1, 2])  # type: ignore[arg-type]


def test_output_is_followed_while_it_comes(live: None) -> None:
    label, is_open = gate(), False
    jid = cloud.call(waiting(label), 0)
    told: list[str] = []
    for stream, text in cloud.logs(jid, follow=True):
        told.append(f"{stream}: {text}")
        if not is_open and "first" in "".join(told) and "noted" in "".join(told):
            open_gate(label)
            is_open = True
    assert "stdout: last \N{SNOWMAN}\n" in told
    assert cloud.status(jid) == "done"


def test_a_follower_of_a_job_that_never_printed_learns_of_its_end(live: None) -> None:
    label = gate()
    jid = cloud.call(waiting(label), 1)
    heard: list[Any] = []
    ended = threading.Event()

    def follow() -> None:
        heard.extend(cloud.logs(jid, "stdout", follow=True))
        ended.set()

    threading.Thread(target=follow, daemon=True).start()
    until(lambda: cloud.status(jid) == "processing")
    open_gate(label)
    assert ended.wait(DEADLINE)
    assert heard == []


def test_only_what_is_not_older(live: None) -> None:
    jid = cloud.call(print, "words")
    cloud.join(jid)
    until(lambda: list(cloud.logs(jid, "stdout")))
    assert list(cloud.logs(jid, since=datetime.timedelta(hours=1))) == [("stdout", "words\n")]
    assert list(cloud.logs(jid, since=datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1))) == []


def test_a_flood_comes_whole_and_in_order(live: None) -> None:
    def flood() -> None:
        import sys

        for number in range(60_000):
            print(f"line {number}")
            if number % 100 == 0:
                print(number, file=sys.stderr)

    jid = cloud.call(flood)
    text: dict[str, str] = {}
    for stream, piece in cloud.logs(jid, follow=True):
        text[stream] = text.get(stream, "") + piece
    assert text["stdout"].splitlines() == [f"line {number}" for number in range(60_000)]
    assert text["stderr"].splitlines() == [str(number) for number in range(0, 60_000, 100)]


def test_figures_while_a_job_runs_and_its_samples(live: None) -> None:
    label = gate()
    jid = cloud.call(waiting(label), 60 << 20)
    samples: Iterator[dict[str, Any]] = cloud.samples(jid, follow=True)
    first = next(samples)
    assert first["memory"]["usage"] >= 60 << 20
    found = cloud.info(jid, ["status", "runtime", "memory", "cpu_percentage", "cputime"])[jid]
    assert found["status"] == "processing"
    assert found["runtime"] > 0
    assert found["memory"]["usage"] >= 60 << 20
    assert found["memory"]["limit"] >= 300 << 20
    assert found["cpu_percentage"] >= 0
    open_gate(label)
    rest = list(samples)
    assert rest, "the last one comes with the end"
    assert [one["at"] for one in (first, *rest)] == sorted(one["at"] for one in (first, *rest))
    assert list(cloud.samples(jid)) == [first, *rest]
    after = cloud.info(jid, ["memory", "cpu_percentage", "attempts"])[jid]
    assert (after["memory"]["usage"], after["cpu_percentage"]) == (None, None)
    assert after["memory"]["max_usage"] >= 60 << 20
    assert after["attempts"][0]["memory"] == after["memory"]


@pytest.mark.parametrize(
    ("line", "told"), [("kill -SEGV $$", "bash"), ("sh -c 'kill -ABRT $$'", "sh"), ("true; sh -c 'kill -BUS $$'", "bash")]
)
def test_a_program_that_a_signal_ended_is_in_the_system_log(live: None, line: str, told: str) -> None:
    jid = cloud.shell.execute(line, {}, ignore_exit_status=True)
    cloud.join(jid, timeout=DEADLINE)
    until(lambda: "ended by SIG" in cloud.info(jid, "syslog")[jid]["syslog"])
    text = cloud.info(jid, "syslog")[jid]["syslog"]
    assert f" {told}" in text
    assert line in text


def test_core_types_are_listed(server: Any) -> None:
    found = server.picloud("types")
    assert [row["type"] for row in found][:2] == ["c1", "c2"]
    assert [row["type"] for row in found if row["default"]] != []
    with pytest.raises(ValueError, match="_type='c2' takes _cores=1, 2, 4 or 8, not _cores=3; this server has c1"):
        cloud.call(abs, 1, _type="c2", _cores=3)
