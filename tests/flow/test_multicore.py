"""What core types and cores mean to a job; that jobs draw different random numbers; what the system log tells."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

import cloud
from cloud import _session

pytestmark = pytest.mark.live

MULTIPLES = {"c1": (1,), "c2": (1, 2, 4, 8), "f2": (1, 2, 4, 8, 16), "m1": (1, 2, 4, 8), "s1": (1,)}
CRASH = "int main(void) { volatile int *nowhere = 0; return *nowhere; }"


@pytest.fixture(autouse=True)
def used(server: Any) -> None:
    server.use()


def nothing() -> None:
    """A job that has to wait, so that it is only accepted."""


def test_the_table_of_multiples() -> None:
    def waits() -> None:
        import threading

        threading.Event().wait(600)

    first, accepted = cloud.call(waits), []
    for name, allowed in MULTIPLES.items():
        for cores in (1, 2, 3, 4, 8, 16):
            if cores in allowed:
                accepted.append(cloud.call(nothing, _type=name, _cores=cores, _depends_on=first))
            else:
                with pytest.raises(ValueError, match=f"_type='{name}' takes _cores="):
                    cloud.call(nothing, _type=name, _cores=cores, _depends_on=first)
    cloud.kill([first, *accepted])


def test_a_job_of_four_cores_finds_four() -> None:
    def looks() -> tuple[int | None, str, str]:
        import os

        return (
            os.cpu_count(),
            subprocess.run(["nproc"], capture_output=True, text=True).stdout.strip(),
            os.environ["OMP_NUM_THREADS"],
        )

    jid = cloud.call(looks, _type="c2", _cores=4)
    assert cloud.result(jid, timeout=60) == (4, "4", "4")
    here = _session.session().server()["capacity"]["memory"]
    assert cloud.info(jid, "memory.limit")[jid]["memory.limit"] == min(4 * (800 << 20), here)


def test_a_thousand_jobs_draw_a_thousand_numbers() -> None:
    def draws(_: int) -> tuple[float, float]:
        import random

        import numpy

        return random.random(), float(numpy.random.random())

    found = cloud.result(cloud.map(draws, range(1000)), timeout=120)
    assert [len(set(column)) for column in zip(*found, strict=True)] == [1000, 1000]


def test_the_system_log_tells_of_a_line_and_of_a_crash(tmp_path: Path) -> None:
    (tmp_path / "crash.c").write_text(CRASH)
    subprocess.run(["gcc", "-o", tmp_path / "crash", tmp_path / "crash.c"], check=True)
    jid = cloud.shell.execute("logger hi there; ./{program}", {"program": f"@{tmp_path / 'crash'}"})
    cloud.join(jid, timeout=60, ignore_errors=True)
    told = cloud.info(jid, "syslog")[jid]["syslog"]
    assert "hi there" in told
    assert "SIGSEGV" in told or "segfault" in told
