"""The system log of a job: programs that a signal ended, and the kernel's own lines."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from picloud.worker.kernel import KernelLog, process_of
from picloud.worker.loop import Loop
from tests.unit.worker.fake_control import FakeControl, Worker

LINES = [
    ("seg[10519]: segfault at 0 ip 0000560a6fcae139 sp 00007fff6205c790 error 6 in seg[1139,560a6fcae000+1000]", 10519),
    ("my prog[7]: segfault at 0 ip 0 sp 0 error 4", 7),
    ("traps: python3[321] trap divide error ip:1 sp:2 error:0", 321),
    ("Memory cgroup out of memory: Killed process 77 (python) total-vm:1kB", 77),
    ("oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,task_memcg=/x,task=python,pid=88,uid=0", 88),
    ("cgroup: fork rejected by pids controller in /x", 0),
    ("usb 1-1: new device number 5", 0),
]


@pytest.mark.parametrize(("text", "pid"), LINES)
def test_the_process_that_a_line_is_about(text: str, pid: int) -> None:
    assert process_of(text) == pid


def test_a_line_goes_to_the_job_whose_process_it_names() -> None:
    said: list[Any] = []
    program = "import subprocess; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    first = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert first.stdout is not None
    child = int(first.stdout.readline())
    slot: Any = SimpleNamespace(process=first, job="job", tell=lambda *words: said.append(words))
    idle: Any = SimpleNamespace(process=None, job=None)
    loop = Loop()
    try:
        log = KernelLog(loop, [idle, slot])
        log.say(f"sleep[{child}]: segfault at 0")
        log.say(f"python[{os.getpid()}]: segfault at 0")
        log.say("something else")
        assert said == [("job", f"kernel: sleep[{child}]: segfault at 0", "syslog")]
    finally:
        os.killpg(first.pid, 9)
        first.communicate()
        loop.close()


def test_a_program_that_a_signal_ended_leaves_a_line(control: FakeControl, start: Callable[..., Worker]) -> None:
    def crash() -> list[int]:
        import subprocess

        codes = [subprocess.run(["/bin/sh", "-c", f"kill -{number} $$"], check=False).returncode for number in ("SEGV", "TERM")]
        return [*codes, subprocess.run("exit 3", shell=True, check=False).returncode]

    start(slots=1)
    key = control.give(crash)
    assert control.outcome(key).failure is None
    told = control.output(key, "syslog").decode()
    assert "sh[" in told
    assert "]: ended by SIGSEGV: '/bin/sh -c kill -SEGV $$'\n" in told
    assert told.count("\n") == 1, "SIGTERM is a way to ask, and exit codes are the program's own"
    second = control.give(crash)
    control.outcome(second)
    assert control.output(second, "syslog").count(b"\n") == 1, "noted once, however many jobs have run before"
