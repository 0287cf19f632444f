"""What jobs print reaches control, whole, in order and under the right job."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable

from fake_control import FakeControl, Worker

from picloud.wire import message as wire
from picloud.worker.logs import Pipe, Stream


def test_streams_are_kept_apart(control: FakeControl, worker: Worker) -> None:
    def speaks() -> None:
        print("out")
        print("err", file=sys.stderr)
        os.write(1, b"raw\n")
        subprocess.run(["echo", "child"], check=True)
        logging.getLogger("mine").info("told %d", 7)
        logging.getLogger("mine").debug("not told")

    key = control.give(speaks)
    control.outcome(key)
    assert sorted(control.output(key, "stdout").split()) == [b"child", b"out", b"raw"]
    assert control.output(key, "stderr") == b"err\n"
    assert control.output(key, "logging").endswith(b"INFO mine: told 7\n")


def test_many_jobs_get_their_own_lines(control: FakeControl, worker: Worker) -> None:
    def speaks(i: int) -> None:
        if i % 3 == 0:
            print("line", i)

    spec = control.spec(speaks)
    leases = [control.lease(spec, i) for i in range(200)]
    control.send(wire.Leases([spec], leases))
    for lease in leases:
        control.outcome((lease.jid, 1))
    for i, lease in enumerate(leases):
        if i % 3 == 0:
            assert control.output((lease.jid, 1), "stdout") == f"line {i}\n".encode()


def test_output_comes_while_the_job_runs(control: FakeControl, worker: Worker) -> None:
    def speaks() -> None:
        print("early", flush=True)
        time.sleep(30)

    key = control.give(speaks)
    control.wait(lambda: control.output(key, "stdout") == b"early\n")
    assert key not in control.outcomes


def test_flood_is_cut_to_first_and_last(control: FakeControl, start: Callable[..., Worker]) -> None:
    start(slots=1, log_head=1000, log_tail=70_000)

    def floods() -> None:
        for i in range(300_000):
            print(f"{i:09d}")

    key = control.give(floods)
    control.outcome(key)
    found = control.output(key, "stdout")
    assert found[:1000] == b"".join(b"%09d\n" % i for i in range(100))
    assert len(found) == 3_000_000 and found.endswith(b"000299999\n")
    assert found.count(b".") > 1_000_000


def test_closed_stdout_is_open_again_for_the_next_job(control: FakeControl, start: Callable[..., Worker]) -> None:
    start(slots=1)

    def closes() -> None:
        sys.stdout.close()
        os.close(1)

    control.outcome(control.give(closes))
    key = control.give(lambda: print("still here"))
    control.outcome(key)
    assert control.output(key, "stdout") == b"still here\n"


def test_profile(control: FakeControl, worker: Worker) -> None:
    key = control.give(lambda: sorted(range(10)), profile=True)
    control.outcome(key)
    assert b"function calls" in control.output(key, "profile")


def test_stream_keeps_head_and_tail() -> None:
    stream = Stream(head=10, tail=5)
    stream.add(b"0123456789abcdef")
    stream.add(b"ghijklmnop")
    assert stream.take() == [(0, b"0123456789"), (16, b"ghijklmnop")]
    stream.add(b"q")
    assert stream.take() == [(26, b"q")] and stream.size == 27


def test_what_is_taken_early_ends_before_the_mark() -> None:
    """The runner writes its mark first and tells the result after it; a look in between leaves the mark where it is."""
    pipe = Pipe(b"--mark--")
    try:
        os.write(pipe.writer, b"one--ma")
        pipe.read()
        assert pipe.rest() == b"one"
        os.write(pipe.writer, b"rk--two")
        pipe.read()
        assert (pipe.rest(), pipe.until_mark(), pipe.rest()) == (b"", b"", b"two")
    finally:
        pipe.close()
