"""``make bench``: every question in turn, one table, one results file.

``--only map,call`` asks some questions alone; ``--rounds N`` changes how often the systems take turns.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
import traceback
from datetime import UTC, datetime

from bench.machine import ROOT, busy, describe
from bench.row import Row, show

QUESTIONS = (
    "map",
    "call",
    "start",
    "slot",
    "sandbox",
    "layer",
    "shell",
    "authority",
    "sampling",
    "spinning",
    "fairness",
    "idle",
    "crons",
    "realtime",
    "objects",
    "mount",
    "queues",
    "images",
    "usage",
    "views",
    "jobs_page",
    "million",
)
"""Modules of this package with ``measure() -> list[Row]``, in the order they are asked."""
TAKES_ROUNDS = ("map", "call", "start", "slot", "sandbox", "layer", "shell", "objects", "mount", "queues", "images")


def main() -> int:
    """Ask, show, save; 1 where a target was missed or a question could not be answered."""
    arguments = _arguments()
    rows: list[Row] = []
    machine = describe() | {"busy_before": busy()}
    print(f"bench: {machine}", file=sys.stderr)
    for name in arguments.only.split(","):
        print(f"bench: {name} ...", file=sys.stderr, flush=True)
        began = time.perf_counter()
        rows += _ask(name, arguments.rounds)
        print(f"bench: {name} took {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    title = f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}, commit {machine['commit']}"
    show(rows, title)
    print(f"saved in {_save(machine, rows)}")
    return int(any(row.met is False for row in rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default=",".join(QUESTIONS), help="questions, separated by commas")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each system")
    return parser.parse_args()


def _ask(name: str, rounds: int) -> list[Row]:
    measure = importlib.import_module(f"bench.{name}").measure
    try:
        found: list[Row] = measure(rounds) if name in TAKES_ROUNDS else measure()
    except Exception as error:  # noqa: BLE001  one broken question must not hide the answers to the others
        traceback.print_exc()
        return [Row(name, f"{type(error).__name__}: {error}"[:300], met=False)]
    return found


def _save(machine: dict[str, object], rows: list[Row]) -> str:
    when = datetime.now(UTC)
    path = ROOT / "bench" / "results" / f"{when:%Y-%m-%d-%H%M%S}.json"
    path.parent.mkdir(exist_ok=True)
    saved = {"when": when.isoformat(timespec="seconds"), "machine": machine, "rows": [row.to_dict() for row in rows]}
    path.write_text(json.dumps(saved, indent=1) + "\n")
    return str(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
