"""Jobs that read an object of the bucket at the same time: ``python -m bench.mount_jobs KEY JOBS``; prints the bytes of each."""

from __future__ import annotations

import sys
import time

import cloud

BESIDE = 2.0
"""Seconds for which a job stays, so that the next one gets a slot of its own."""


def read(key: str) -> int:
    """All of it; how many bytes."""
    size = 0
    with open(f"/bucket/{key}", "rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            size += len(piece)
    time.sleep(BESIDE)
    return size


if __name__ == "__main__":
    key, jobs = sys.argv[1], int(sys.argv[2])
    print(*cloud.result(cloud.map(read, [key] * jobs)), sep="\n")
