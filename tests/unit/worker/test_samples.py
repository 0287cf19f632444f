"""What running jobs use: gauges from /proc, meters that begin with their job, samples that a worker sends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from picloud.sandbox import proc
from picloud.sandbox.base import Gauge
from picloud.settings import CORE_TYPES, MIB
from picloud.wire.job import Cause
from picloud.wire.message import Figures, Outcome, Sample, Samples
from picloud.worker import remarks
from picloud.worker.samples import Meter
from tests.unit.worker.fake_control import FakeControl, Worker

HOLDS = """
import sys
data = bytearray(int(sys.argv[1]))
for at in range(0, len(data), 4096):
    data[at] = 1
print("ready", flush=True)
sys.stdin.read()
"""

HAD_CHILD = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.3: pass"])
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holds() -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """Starts processes that hold so many bytes until their input ends."""
    started: list[subprocess.Popen[str]] = []

    def start(size: int, *before: str) -> subprocess.Popen[str]:
        words = [*before, sys.executable, "-c", HOLDS, str(size)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.communicate(timeout=10)


def test_the_gauge_of_a_process_counts_all_that_it_started(holds: Callable[..., subprocess.Popen[str]]) -> None:
    family = holds(50 * MIB, "/bin/sh", "-c", '"$@"; true', "sh")
    found = proc.gauge(family.pid)
    assert found is not None
    assert found.processes == 2
    assert 50 * MIB <= found.memory < 80 * MIB
    assert found.memory == proc.memory(family.pid)
    assert (found.refused, found.limit_hits, found.kernel_kills, found.cache) == (None, None, None, None)
    assert (found.net_in, found.net_out) == (None, None), "the network is the host's own"


def test_what_children_used_stays_when_they_have_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", HAD_CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    found = proc.gauge(process.pid)
    assert found is not None
    assert found.cpu_user_us + found.cpu_system_us >= 280_000
    process.communicate(timeout=10)
    assert proc.gauge(process.pid) is None
    assert proc.memory(process.pid) == 0


def test_bytes_written_to_disk(tmp_path: object) -> None:
    before = proc.gauge(os.getpid())
    with open(f"{tmp_path}/file", "wb") as file:
        file.write(b"x" * MIB)
        file.flush()
        os.fsync(file.fileno())
    after = proc.gauge(os.getpid())
    assert before is not None
    assert after is not None
    assert after.disk_written is not None
    assert after.disk_written >= (before.disk_written or 0)


def test_figures_begin_with_the_job() -> None:
    meter = Meter(7, 1, Gauge(cpu_user_us=500, memory=90, refused=2, disk_read=10), limit=1000)
    first = meter.sample(Gauge(cpu_user_us=700, cpu_system_us=5, memory=300, swap=7, refused=2, disk_read=15), 250)
    assert first == Sample(7, 1, 250, 200, 5, 300, 300, swap=7, refused=0, disk_read=5)
    second = meter.sample(Gauge(cpu_user_us=900, cpu_system_us=5, memory=200, swap=3, refused=5, disk_read=15), 2250)
    assert (second.memory, second.peak, second.swap, second.refused) == (200, 300, 3, 3)
    outcome = Outcome(7, 1, b"", 0, 3_000_000, cpu_user_us=100, cpu_system_us=90)
    meter.into(outcome)
    assert (outcome.cpu_user_us, outcome.cpu_system_us, outcome.peak_memory) == (400, 90, 300)
    assert outcome.figures == Figures(memory_limit=1000, swap=7, refused=3, disk_read=5)
    assert [one["at_ms"] for one in meter.last_minute()] == [250, 2250]
    assert "cache" not in meter.last_minute()[0]


def test_the_last_minute_is_a_minute() -> None:
    meter = Meter(7, 1, Gauge(), 0)
    for at in range(250, 200_000, 2000):
        meter.sample(Gauge(), at)
    told = meter.last_minute()
    assert told[-1]["at_ms"] - told[0]["at_ms"] <= 60_000
    assert len(told) == 31


def samples_of(control: FakeControl, key: tuple[int, int]) -> list[Sample]:
    return [one for message in control.said(Samples) for one in message.samples if (one.jid, one.n) == key]


def holder() -> Callable[[int, str], int]:
    """A function that holds memory until a file is there."""

    def hold(size: int, until: str) -> int:
        import os
        import time

        data = bytearray(size)
        for at in range(0, size, 4096):
            data[at] = 1
        while not os.path.exists(until):
            time.sleep(0.01)
        return len(data)

    return hold


def test_a_worker_samples_its_running_jobs(control: FakeControl, start: Callable[..., Worker], tmp_path: object) -> None:
    start(slots=1, memory_limit=256 << 20, rung="D")
    go = f"{tmp_path}/go"
    key = control.give(holder(), 60 * MIB, go)
    (first, *_) = control.wait(lambda: [one for one in samples_of(control, key) if one.memory > 60 * MIB])
    assert first.memory < 120 * MIB
    open(go, "w").close()
    outcome = control.outcome(key)
    assert outcome.figures is not None
    assert outcome.figures.memory_limit == 256 << 20
    assert outcome.figures.refused is None, "without a cgroup nobody can tell"
    assert outcome.peak_memory >= 60 * MIB
    assert samples_of(control, key)[-1].at_ms > first.at_ms, "a last sample came with the end"


def test_a_short_job_is_not_sampled(control: FakeControl, worker: Worker) -> None:
    key = control.give(abs, -1)
    assert control.outcome(key).figures is None
    assert not samples_of(control, key)


def test_the_peak_is_each_job_s_own(control: FakeControl, start: Callable[..., Worker], tmp_path: object) -> None:
    start(slots=1, rung="D", memory_limit=512 << 20)
    go = f"{tmp_path}/go"
    open(go, "w").close()
    peaks = [control.outcome(control.give(holder(), size, go)).peak_memory >> 20 for size in (200 << 20, 50 << 20, 4096)]
    assert peaks[0] >= 200
    assert 50 <= peaks[1] < 120
    assert peaks[2] < 50


def test_out_of_memory_tells_what_there_is_to_know(control: FakeControl, start: Callable[..., Worker], tmp_path: object) -> None:
    table = msgspec.to_builtins({**CORE_TYPES, "big": CORE_TYPES["m1"]})
    start(slots=1, rung="D", memory_limit=300 * MIB, core_type="c1", core_types=table, host_cores=2, host_memory=4 << 30)

    def grow() -> None:
        import sys
        import time

        print("begins")
        sys.stdout.flush()
        held = []
        while True:
            held.append(b"x" * (4 << 20))
            time.sleep(0.02)

    outcome = control.outcome(control.give(grow))
    failure = outcome.failure
    assert failure is not None
    assert outcome.cause == Cause.out_of_memory
    assert failure.peak_memory is not None
    assert failure.peak_memory > 300 * MIB
    assert (failure.memory_limit, failure.log_tail) == (300 * MIB, "begins\n")
    assert "_type='c2'" in failure.advice
    assert "grow" in failure.stacks
    assert failure.last_minute[-1]["memory"] > failure.last_minute[0]["memory"] or len(failure.last_minute) == 1


def test_a_refused_request_counts(control: FakeControl, start: Callable[..., Worker]) -> None:
    start(slots=1, rung="D", memory_limit=300 * MIB, core_type="c1", core_types=msgspec.to_builtins(CORE_TYPES), host_cores=1)
    outcome = control.outcome(control.give(bytearray, 1 << 40))
    assert outcome.failure is not None
    assert (outcome.cause, outcome.failure.refused) == (Cause.out_of_memory, 1)
    assert outcome.figures is not None
    assert outcome.figures.refused == 1


def test_the_pi_log_warns_of_the_limit_and_of_a_small_host(
    control: FakeControl, start: Callable[..., Worker], tmp_path: object
) -> None:
    table = msgspec.to_builtins(CORE_TYPES)
    start(slots=1, memory_limit=200 * MIB, core_type="c1", core_types=table, host_cores=2, host_units=500, rung="D")
    go = f"{tmp_path}/go"
    key = control.give(holder(), 185 * MIB, go)
    control.wait(lambda: b"nearly hit" in control.output(key, "pilog"))
    open(go, "w").close()
    control.outcome(key)
    told = control.output(key, "pilog").decode()
    assert "less RAM than c1 with 1 core stands for: 200 MB instead of 300 MB" in told
    assert "larger than this host (1 of 0.5 compute units): the job runs alone" in told
    assert told.count("nearly hit") == 1


def test_what_was_counted_is_not_forgotten_with_its_process() -> None:
    meter = Meter(7, 1, Gauge(cpu_user_us=100), 0)
    meter.sample(Gauge(cpu_user_us=900, disk_read=50), 250)
    last = meter.sample(Gauge(cpu_user_us=300, disk_read=20), 2250)
    assert last.cpu_user_us == 800
    assert meter.figures.disk_read == 50


def test_the_pi_log_is_told_of_counts_that_double() -> None:
    said: list[str] = []
    slot: Any = SimpleNamespace(tell=lambda job, text: said.append(text))
    job: Any = SimpleNamespace(meter=Meter(7, 1, Gauge(), 0))
    for count in (0, 1, 1, 2, 3, 5, 9):
        remarks.of(slot, job, Sample(7, 1, 0, 0, 0, 0, 0, limit_hits=count), 0)
    assert [int(text.split("(")[1].split()[0]) for text in said] == [1, 2, 5]


MANY = """
import subprocess
for _ in range(900):
    subprocess.Popen(["sleep", "300"])
print("all", flush=True)
input()
"""
SHARES = """
import mmap, os
kept = mmap.mmap(-1, 50 << 20)
kept.write(bytes(50 << 20))
os.fork(), os.fork()
kept.seek(0)
kept.read(50 << 20)
os.write(1, b"held ")
os.read(0, 1)
"""


def test_the_gauge_of_a_large_family_counts_all_of_it() -> None:
    argv = [sys.executable, "-c", MANY]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"all\n"
            assert len(list(proc.family(process.pid))) == proc.tasks(process.pid) == 901
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_shared_memory_counts_once() -> None:
    with subprocess.Popen([sys.executable, "-c", SHARES], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.read(20) == b"held " * 4
        assert 50 * MIB <= proc.memory(process.pid) < 150 * MIB
        assert proc.memory(process.pid, 400 * MIB) >= 400 * MIB, "files in memory that nobody maps"
        process.communicate()
