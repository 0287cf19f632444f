"""One control and one worker with two slots for each test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_control import FakeControl, Worker  # noqa: E402


@pytest.fixture
def control() -> Iterator[FakeControl]:
    made = FakeControl()
    yield made
    made.close()


@pytest.fixture
def start(control: FakeControl, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    workers: list[Worker] = []

    def begin(**order: Any) -> Worker:
        workers.append(Worker(control, tmp_path / f"work{len(workers)}", **order))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.close()


@pytest.fixture
def worker(start: Callable[..., Worker]) -> Worker:
    return start(slots=2)
