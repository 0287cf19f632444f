"""How long does everything take to start? ``python -m bench.start``

From ``picloud up`` in an empty home to the first result in a fresh interpreter; ``import cloud``; ``picloud --help``;
and Ray's own way from a fresh interpreter to its first result. The page cache is warm: files were read before.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from bench.machine import ROOT
from bench.rival import running, version
from bench.row import Row, show
from bench.server import Server
from bench.statistic import median, span

FIRST_RESULT = "import cloud; assert cloud.result(cloud.call(lambda x: x * 3, 3)) == 9"
IMPORT = "import time; t = time.perf_counter(); import cloud; print(time.perf_counter() - t)"


def measure(rounds: int = 3) -> list[Row]:
    """Each start ``rounds`` times or more; medians."""
    first = [_first_result() for _ in range(rounds)]
    imports = [_import_seconds() * 1e3 for _ in range(3 * rounds)]
    helps = [_help_seconds() * 1e3 for _ in range(3 * rounds)]
    ray = [_ray_seconds() for _ in range(rounds)]
    return [
        Row(
            "`picloud up` in an empty home to the first result",
            f"{span(first, 2)} s",
            "<= 2.5 s",
            median(first) <= 2.5,
            {f"Ray {version('ray')}": f"{span(ray, 1)} s"},
            {"seconds": first, "ray_seconds": ray},
        ),
        Row("`import cloud`", f"{span(imports)} ms", "<= 150 ms", median(imports) <= 150, values={"ms": imports}),
        Row("`picloud --help`", f"{span(helps)} ms", "<= 250 ms", median(helps) <= 250, values={"ms": helps}),
    ]


def _first_result() -> float:
    with Server(start=False) as server:
        began = time.perf_counter()
        server.up()
        subprocess.run([sys.executable, "-c", FIRST_RESULT], env=server.env, check=True)
        return time.perf_counter() - began


def _import_seconds() -> float:
    env = {"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", IMPORT], env=env, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _help_seconds() -> float:
    began = time.perf_counter()
    env = {"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin"}
    subprocess.run([str(Path(sys.executable).with_name("picloud")), "--help"], env=env, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def _ray_seconds() -> float:
    began = time.perf_counter()
    with running("ray"):
        # `running` returns after the first result of a fresh interpreter
        return time.perf_counter() - began


if __name__ == "__main__":
    show(measure())
