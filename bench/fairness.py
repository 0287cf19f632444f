"""Does one account's pile keep another account waiting? ``python -m bench.fairness``

A has 100,000 jobs of one second of processor time each waiting; B's no-op must answer soon. Then both have such piles and
the processor time that their jobs got is compared: each job adds a line to its account's file when it ends.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from bench.row import Row, show
from bench.server import Server
from bench.statistic import span

WAITING = 100_000
CLIENT = """
import sys, time, cloud

def spin(seconds, path):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    if path:
        with open(path, "a") as file:
            file.write(f"{seconds}\\n")

for line in sys.stdin:
    verb, *rest = line.split()
    began = time.perf_counter()
    if verb == "noop":
        cloud.result(cloud.call(spin, 0, ""))
    elif verb == "pile":
        seconds, count, path = float(rest[0]), int(rest[1]), rest[2]
        cloud.map(lambda _: spin(seconds, path), range(count))
    elif verb == "kill":
        cloud.kill()
    print(time.perf_counter() - began, flush=True)
"""


def measure(seconds: float = 30.0) -> list[Row]:
    """Both questions on one server; the second one for ``seconds``."""
    with Server() as server:
        a, b = Client(server), Client(server, account="b")
        a.ask("noop")
        b.ask("noop")
        took = a.ask(f"pile 1 {WAITING} {server.home}/a0")
        waits = [b.ask("noop") for _ in range(5)]
        a.ask("kill")
        paths = [server.home / "a", server.home / "b"]
        for client, path in zip((a, b), paths, strict=True):
            client.ask(f"pile 0.1 20000 {path}")
        shares = _shares(paths, seconds)
        for client in (a, b):
            client.ask("kill")
            client.close()
    share = 100 * shares[0] / sum(shares) if sum(shares) else 0.0
    return [
        Row(
            f"{WAITING:,} one-second jobs of A wait; B's no-op, 5 times",
            f"{span(waits, 2)} s",
            "each < 2 s",
            max(waits) < 2,
            values={"seconds": waits, "pile_accepted_s": took},
        ),
        Row(
            f"both loaded for {seconds:.0f} s: processor time of A : B",
            f"{share:.0f} : {100 - share:.0f}",
            "50 : 50 +- 10 %",
            40 <= share <= 60,
            values={"cpu_seconds": shares},
        ),
    ]


class Client:
    """A process of one account: the owner, or one that is made for it."""

    def __init__(self, server: Server, account: str = "") -> None:
        env = dict(server.env)
        if account:
            env |= key_of(server, account)
        self._process = server.python("-c", CLIENT, env=env)

    def ask(self, line: str) -> float:
        """Have it done; the seconds it took."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)


def key_of(server: Server, account: str) -> dict[str, str]:
    """Make an account; the environment variables of a client of its own."""
    made = json.loads(server.picloud("admin", "account", "add", account, "--json"))
    return {
        "PICLOUD_URL": server.status()["address"],
        "PICLOUD_API_KEY": str(made["api_key"]),
        "PICLOUD_API_SECRETKEY": made["api_secretkey"],
    }


def _shares(paths: list[Path], seconds: float) -> list[float]:
    time.sleep(3)  # both piles are under way
    before = [_sum(path) for path in paths]
    time.sleep(seconds)
    return [_sum(path) - was for path, was in zip(paths, before, strict=True)]


def _sum(path: Path) -> float:
    return sum(float(line) for line in path.read_text().split()) if path.exists() else 0.0


if __name__ == "__main__":
    show(measure())
