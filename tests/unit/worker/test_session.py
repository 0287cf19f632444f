"""The conversation with control: what is held, handed in, resent, given back; and when a worker gives up."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from fake_control import FakeControl, Worker

from picloud.wire import message as wire


def sleeper(seconds: float = 60) -> Callable[[], int]:
    def sleeps() -> int:
        threading.Event().wait(seconds)
        return os.getpid()

    return sleeps


def test_hello_then_credit(control: FakeControl, worker: Worker) -> None:
    control.wait(lambda: len(control.heard) >= 2)
    hello, credit = control.heard[:2]
    assert (hello.incarnation, hello.pid, hello.held) == ("ab" * 8, worker.process.pid, [])
    assert (credit.window, credit.slots) == (2048, 2)


def test_many_jobs_in_order_of_one_slot(control: FakeControl, start: Callable[..., Worker]) -> None:
    start(slots=1)
    spec = control.spec(lambda x: x + 1)
    leases = [control.lease(spec, i) for i in range(500)]
    control.send(wire.Leases([spec], leases))
    for i, lease in enumerate(leases):
        assert pickle.loads(control.outcome((lease.jid, 1)).data) == i + 1
    assert len(control.said(wire.Done)) < 250


def test_outcomes_are_kept_until_acknowledged(control: FakeControl, worker: Worker) -> None:
    control.acknowledge = False
    key = control.give(lambda: "kept")
    lease = control.outcome(key).lease
    control.outcomes.clear()
    control.hang_up()
    control.outcome(key)
    hello = control.said(wire.Hello)[-1]
    assert hello.held == [(*key, lease)]
    control.send(wire.Ack([key]))
    control.hang_up()
    control.wait(lambda: len(control.said(wire.Hello)) == 3)
    assert control.said(wire.Hello)[-1].held == []


def test_jobs_go_on_without_control(control: FakeControl, worker: Worker) -> None:
    key = control.give(sleeper(0.3))
    control.wait(lambda: control.said(wire.Started))
    control.hang_up()
    outcome = control.outcome(key)
    assert outcome.failure is None
    assert control.said(wire.Hello)[-1].held[0][:2] == key


def test_long_jobs_are_reported_as_started(control: FakeControl, worker: Worker) -> None:
    key = control.give(sleeper())
    assert control.wait(lambda: control.said(wire.Started))[0].jobs[0][:2] == key


def test_recall_gives_back_what_has_not_started(control: FakeControl, start: Callable[..., Worker]) -> None:
    start(slots=1)
    spec = control.spec(sleeper())
    leases = [control.lease(spec) for _ in range(10)]
    control.send(wire.Leases([spec], leases))
    control.wait(lambda: control.said(wire.Started))
    control.send(wire.Recall(keep=2))
    back = control.wait(lambda: control.said(wire.Returned))[0].jobs
    assert back == [(lease.jid, 1, lease.lease) for lease in leases[3:]]


def test_awaited_jobs_go_first(control: FakeControl, start: Callable[..., Worker]) -> None:
    start(slots=1)
    order = control.spec(lambda: time.monotonic())
    quick = [control.lease(order) for _ in range(20)]
    control.send(wire.Leases([order], quick))
    control.outcome((quick[-1].jid, 1))
    block = control.spec(sleeper(0.4))
    first = control.lease(block)
    control.send(wire.Leases([block], [first]))
    control.wait(lambda: control.said(wire.Started))
    plain, awaited = control.lease(order), control.lease(order, awaited=True)
    control.send(wire.Leases([], [plain]))
    control.send(wire.Leases([], [awaited]))
    times = [pickle.loads(control.outcome((lease.jid, 1)).data) for lease in (awaited, plain)]
    assert times == sorted(times)


def test_slots_come_and_go(control: FakeControl, worker: Worker) -> None:
    busy = [control.give(sleeper(0.5)) for _ in range(2)]
    control.wait(lambda: sum(len(s.jobs) for s in control.said(wire.Started)) == 2)
    control.send(wire.Slots(1))
    control.wait(lambda: control.said(wire.Credit)[-1].slots == 1)
    assert all(control.outcome(key).failure is None for key in busy)
    control.send(wire.Slots(3))
    control.wait(lambda: control.said(wire.Credit)[-1].slots == 3)
    key = control.give(lambda: 1)
    assert control.outcome(key).failure is None


def test_suspects_run_alone(control: FakeControl, worker: Worker) -> None:
    spec = control.spec(lambda: 5)
    leases = [control.lease(spec, alone=i % 2 == 0) for i in range(20)]
    control.send(wire.Leases([spec], leases))
    assert all(control.outcome((lease.jid, 1)).failure is None for lease in leases)


def test_stop_drains(control: FakeControl, start: Callable[..., Worker]) -> None:
    worker = start(slots=1)
    spec = control.spec(sleeper(0.4))
    leases = [control.lease(spec) for _ in range(3)]
    control.send(wire.Leases([spec], leases))
    control.wait(lambda: control.said(wire.Started))
    control.send(wire.Stop(10))
    assert worker.process.wait(20) == 0
    assert control.outcome((leases[0].jid, 1)).failure is None
    assert [job[0] for message in control.said(wire.Returned) for job in message.jobs] == [lease.jid for lease in leases[1:]]


def test_sigterm_gives_running_jobs_back(control: FakeControl, start: Callable[..., Worker]) -> None:
    worker = start(slots=2)
    again, once = control.give(sleeper()), control.give(sleeper(), restartable=False)
    control.wait(lambda: sum(len(s.jobs) for s in control.said(wire.Started)) == 2)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(20) == 0
    assert control.wait(lambda: control.said(wire.Returned))[0].jobs[0][:2] == again
    assert control.outcome(once).failure is not None and control.outcome(once).failure.cause == "worker_lost"


def test_nothing_of_a_sandbox_outlives_its_worker(control: FakeControl, worker: Worker) -> None:
    name = f"600.{os.getpid()}"

    def parent() -> None:
        import subprocess

        subprocess.Popen(["sleep", name])
        print("begun", flush=True)
        subprocess.run(["setsid", "sleep", name])

    key = control.give(parent)
    control.wait(lambda: control.output(key, "stdout"))
    assert control.wait(lambda: len(living(name)) == 2)
    worker.process.send_signal(signal.SIGKILL)
    worker.process.wait()
    control.wait(lambda: not living(name))


def living(word: str) -> list[str]:
    """The processes of this machine with that word on their command line."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if word.encode() in place.read_bytes().split(b"\0"):
                found.append(place.parent.name)
    return found


def test_a_worker_without_control_ends(control: FakeControl, start: Callable[..., Worker]) -> None:
    worker = start(slots=1, reconnect=0.3)
    control.wait(lambda: control.said(wire.Hello))
    control.server.shutdown()
    control.server.server_close()
    control.hang_up()
    assert worker.process.wait(20) == 0


def test_a_revoked_worker_ends(control: FakeControl, worker: Worker) -> None:
    control.wait(lambda: control.said(wire.Hello))
    control.refuse = True
    control.hang_up()
    assert worker.process.wait(20) == 0
