"""What the user's own script defines is found by processes that a job starts."""

from __future__ import annotations

import pickle
from typing import Any

from fake_control import FakeControl, Worker

SCRIPT = """
def half(n):
    return n / 2

class Point:
    x = 3

def together():
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(half, range(4)), pool.apply(type, (Point(),)).__name__
"""


def test_a_pool_of_processes_takes_functions_and_objects_of_the_script(control: FakeControl, worker: Worker) -> None:
    script: dict[str, Any] = {"__name__": "__main__"}
    exec(SCRIPT, script)
    outcome = control.outcome(control.give(script["together"]))
    assert outcome.failure is None, outcome.failure
    assert pickle.loads(outcome.data) == ([0.0, 0.5, 1.0, 1.5], "Point")
