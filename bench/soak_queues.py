"""``make soak``, its second part: messages through a pipeline of four handlers while everything is killed with SIGKILL at random.

Each final message must be there exactly once, what came into each queue must be what went and what is left, nothing may be in
anybody's hands or set aside, and the ledger must balance. ``--short`` is the version that ``make test`` runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import ledger
from bench.server import Server
from bench.soak import Killer, Plan, Report, bad_lines, command

CLIENT = str(Path(__file__).with_name("soak_queues_client.py"))
PARTS = ("runners", "runners", "runners", "workers", "control", "edge")
"""What is killed, chosen evenly from this list; a handler's readers are forks of runners and count among them."""


@dataclass
class QueuePlan(Plan):
    """How much of everything; times in seconds."""

    jobs: int = 100_000  # messages
    kills: int = 30
    pause: tuple[float, float] = (0.3, 1.5)


SHORT = QueuePlan(jobs=1_500, kills=5, pause=(0.5, 1.5))


def soak(plan: QueuePlan) -> Report:
    """Run the plan on a fresh server; every choice follows from ``plan.seed``."""
    report = Report(plan.seed)
    with Server({"handler_idle": 3}) as server:
        killer = Killer(server, plan, report, PARTS)
        killer.start()
        try:
            while killer.is_alive():
                _round(server, plan, report)
                killer.enough.set()
                if sum(report.kills.values()) >= plan.kills:
                    killer.join()
        finally:
            killer.stop.set()
            killer.join()
        server.down()
        report.faults += ledger.faults(server.home)
        report.faults += bad_lines(server.home / "server.log")
    return report


def _round(server: Server, plan: QueuePlan, report: Report) -> None:
    name = f"soak{report.jobs}"
    client: subprocess.Popen[str] = server.python(CLIENT, str(plan.jobs), name)
    out, _ = client.communicate()
    report.jobs += plan.jobs
    if client.returncode:
        report.faults.append(f"{name}: the client ended with {client.returncode}")
    else:
        report.faults += [f"{name}: {fault}" for fault in json.loads(out)]


if __name__ == "__main__":
    sys.exit(command(soak, SHORT, QueuePlan(), "messages", lambda _: "each final message once, the counts balance"))
