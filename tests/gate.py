"""How a test and its jobs tell each other things: by other jobs, for a job sees none of the test's files.

    label = gate()
    jid = cloud.call(waits(label))      # processing, until
    open_gate(label)                    # a job with that label is there

    jid = cloud.call(lambda: number(), _label=label)    # with number = attempt_number("cloud", label)

Works wherever jobs run and on every rung. What is handed to jobs here is made inside functions, so that it travels by value.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import cloud

PACE = 0.05
"""Seconds between two questions of a job at a gate."""


def gate() -> str:
    """A new label: jobs wait until there is a job that has it."""
    return f"gate {os.urandom(6).hex()}"


def open_gate(label: str, verbs: Any = cloud) -> None:
    """Let those through who wait for it."""
    verbs.call(abs, 1, _label=label)


def waits(label: str, module: str = "cloud") -> Callable[[], None]:
    """What a job calls, or is, to wait at a gate. ``module``: where it finds the verbs."""
    pace = PACE

    def wait() -> None:
        import importlib
        import time

        verbs = importlib.import_module(module)
        while not verbs.jobs(label=label):
            time.sleep(pace)

    return wait


def attempt_number(module: str, label: str) -> Callable[[], int]:
    """What tells a job which of its attempts it is, from 1. ``label``: the job's own, which no other has."""

    def number() -> int:
        import importlib

        verbs = importlib.import_module(module)
        (row,) = verbs.jobs(label=label)
        return len(verbs.info(row["jid"], "attempts")[row["jid"]]["attempts"])

    return number


def attempts(jid: int, verbs: Any = cloud) -> list[dict[str, Any]]:
    """The attempts of a job so far, the one that runs among them."""
    found: list[dict[str, Any]] = verbs.info(jid, "attempts")[jid]["attempts"]
    return found
