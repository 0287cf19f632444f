"""``make soak``: jobs run while server, edge, workers and runners are killed with SIGKILL at random.

Afterwards every job must have exactly one accepted outcome, the one its function leads to, and the effects that the jobs left
outside must agree with the attempts the server lists. Then a second map is cut by ``picloud restart``: it must lose and
repeat nothing, and a third by ``picloud down`` and ``picloud up`` three times in a row: no job may fail of it. At the end no
process may be left, the ledger must balance (:mod:`bench.ledger`), and the server's log must be free of tracebacks.

``--short`` is the version that ``make test`` runs.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

from bench import ledger
from bench.effects import Effects
from bench.server import Server

CLIENT = str(Path(__file__).with_name("soak_client.py"))
PARTS = ("runners", "runners", "sandboxes", "workers", "control", "edge")
"""What is killed, chosen evenly from this list: runners twice as often as the rest."""
BAD_WORDS = ("Traceback", "database is locked")
"""What the server's log must not hold."""


@dataclass
class Plan:
    """How much of everything; times in seconds."""

    jobs: int = 20_000
    kills: int = 30
    pause: tuple[float, float] = (0.5, 3.0)
    restart_jobs: int = 2_000
    downs: int = 3
    job_seconds: float = 0.01
    seed: int = 0


P = TypeVar("P", bound=Plan)
SHORT = Plan(jobs=300, kills=5, pause=(0.5, 1.5), restart_jobs=300)


@dataclass
class Report:
    """What happened; ``faults`` is empty when every promise was kept."""

    seed: int
    jobs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    faults: list[str] = field(default_factory=list)


def soak(plan: Plan) -> Report:
    """Run the plan on a fresh server; every choice follows from ``plan.seed``."""
    report = Report(plan.seed)
    with Server() as server, Effects(server.home) as effects:
        _cut_by_kills(server, effects, plan, report)
        _cut_by_restart(server, effects, plan, report)
        _cut_by_downs(server, effects, plan, report)
        server.down()
        report.faults += ledger.faults(server.home)
        report.faults += bad_lines(server.home / "server.log")
        left = [f"{process.pid} {' '.join(process.cmdline())}" for process in server.processes().all()]
        report.faults += [f"still there after picloud down: {process}" for process in left]
    return report


def _cut_by_kills(server: Server, effects: Effects, plan: Plan, report: Report) -> None:
    killer = Killer(server, plan, report)
    killer.start()
    try:
        while killer.is_alive():
            _check(server, effects, report, plan, f"kills-{report.jobs}")
            killer.enough.set()
            if sum(report.kills.values()) >= plan.kills:
                killer.join()
    finally:
        killer.stop.set()
        killer.join()
    if sum(report.kills.values()) < plan.kills:
        report.faults.append(f"only {sum(report.kills.values())} kills of {plan.kills}: the run was too short to judge")


def _cut_by_restart(server: Server, effects: Effects, plan: Plan, report: Report) -> None:
    client = _client(server, plan.restart_jobs, plan.job_seconds, "restart")
    effects.until_more("restart", 0)
    server.picloud("restart")
    repeated = _judge(report, client, plan.restart_jobs, effects, "restart")
    if repeated:
        report.faults.append(f"picloud restart ran {repeated} jobs again")


def _cut_by_downs(server: Server, effects: Effects, plan: Plan, report: Report) -> None:
    client = _client(server, plan.restart_jobs, plan.job_seconds, "downs")
    for _ in range(plan.downs):
        effects.until_more("downs", effects.of("downs").total())
        server.down()
        server.up()
    _judge(report, client, plan.restart_jobs, effects, "downs")


def bad_lines(path: Path) -> list[str]:
    """Lines of the server's log that no kill excuses, a traceback with its last lines."""
    lines = path.read_text(errors="replace").splitlines()
    return [
        "server.log: " + " | ".join(line.strip() for line in _traceback(lines, at)[-7:])
        for at, line in enumerate(lines)
        if any(word in line for word in BAD_WORDS)
    ]


def _traceback(lines: list[str], at: int) -> list[str]:
    """The lines from ``at`` to the one that names the error."""
    end = at + 1
    while end < len(lines) and lines[end].startswith(" "):
        end += 1
    return lines[at : end + 1]


def _check(server: Server, effects: Effects, report: Report, plan: Plan, name: str) -> None:
    client = _client(server, plan.jobs, plan.job_seconds, name)
    report.repeats += _judge(report, client, plan.jobs, effects, name)


def _client(server: Server, jobs: int, job_seconds: float, name: str) -> subprocess.Popen[str]:
    return server.python(CLIENT, str(jobs), str(job_seconds), name)


def _judge(report: Report, client: subprocess.Popen[str], jobs: int, effects: Effects, name: str) -> int:
    """Hold the client's findings against the effects; how many attempts ran a job again."""
    out, _ = client.communicate()
    report.jobs += jobs
    if client.returncode:
        report.faults.append(f"{name}: the client ended with {client.returncode}")
        return 0
    found = json.loads(out)
    report.faults += [f"{name}: {fault}" for fault in found["faults"]]
    ran = effects.of(name)
    for index in range(jobs):
        attempts = found["attempts"][index]
        if not 1 <= ran[index] <= attempts:
            report.faults.append(f"{name}: job {index} left {ran[index]} effects in {attempts} attempts")
    return ran.total() - jobs


class Killer(threading.Thread):
    """Kills a random process at random moments, and starts the server again where it was that.

    It ends when the kills are made and ``enough`` work was done; ``stop`` ends it at once.
    """

    def __init__(self, server: Server, plan: Plan, report: Report, parts: Sequence[str] = PARTS) -> None:
        super().__init__(name="killer", daemon=True)
        self._server, self._plan, self._report, self._parts = server, plan, report, parts
        self._random = random.Random(plan.seed)
        self.enough, self.stop = threading.Event(), threading.Event()

    def run(self) -> None:
        """Kill until it is enough."""
        while not self.stop.wait(self._random.uniform(*self._plan.pause)):
            if self.enough.is_set() and sum(self._report.kills.values()) >= self._plan.kills:
                return
            self._kill_one(self._random.choice(self._parts))

    def _kill_one(self, part: str) -> None:
        processes: list[psutil.Process] = getattr(self._server.processes(), part)
        if not processes:
            return
        victim = self._random.choice(processes)
        try:
            victim.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            return
        self._report.kills[part] += 1
        if part == "control":
            victim.wait(10)
            try:
                self._server.up()
            except RuntimeError as error:
                self._report.faults.append(f"the server does not start again: {error}")
                self.stop.set()


def command(soak: Callable[[P], Report], short: P, full: P, what: str, promise: Callable[[Report], str]) -> int:
    """The command line of a soak; 1 where a promise was broken.

    Args:
        what: of which there are so many.
        promise: says what was kept.
    """
    parser = argparse.ArgumentParser(prog="make soak", description=sys.modules[soak.__module__].__doc__)
    parser.add_argument("--short", action="store_true", help="a minute's version")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="repeat the choices of an earlier run")
    arguments = parser.parse_args()
    plan = short if arguments.short else full
    plan.seed = arguments.seed
    began = time.monotonic()
    report = soak(plan)
    kills = ", ".join(f"{count} {part}" for part, count in sorted(report.kills.items()))
    took = time.monotonic() - began
    print(f"soak: seed {report.seed}: {report.jobs:,} {what}, {sum(report.kills.values())} kills ({kills}) in {took:.0f} s")
    print(f"soak: {promise(report)}; {len(report.faults)} faults")
    for fault in report.faults[:50]:
        print(f"soak: FAULT {fault}")
    return int(bool(report.faults))


def _promise(report: Report) -> str:
    return f"one accepted outcome each; {report.repeats} attempts ran again after a kill"


if __name__ == "__main__":
    sys.exit(command(soak, SHORT, Plan(), "jobs", _promise))
