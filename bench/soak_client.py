"""The client of a soak: maps jobs that leave an effect, takes every outcome, and says what was not as promised.

python soak_client.py JOBS SECONDS NAME    ->  {"faults": [..], "attempts": [n of each job]}
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import cloud

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from bench.effects import leave

FAILS = 97
"""Every job whose index is a multiple of this raises."""
LARGE, LARGE_BYTES = 53, 200_000
"""Every job whose index is a multiple of this returns so many bytes, which travel through the edge."""


def work(index: int, seconds: float, name: str) -> int | bytes:
    """Leave one effect; then succeed or fail as the index says."""
    time.sleep(seconds)
    leave(name, index)
    if index % FAILS == 0:
        raise ValueError(index)
    return index.to_bytes(4, "big") * (LARGE_BYTES // 4) if index % LARGE == 0 else index * index


def main(jobs: int, seconds: float, name: str) -> dict[str, Any]:
    """Map, take every result twice over, look at every attempt."""
    jids = list(cloud.map(lambda index: work(index, seconds, name), range(jobs)))
    results = cloud.result(jids, ignore_errors=True)
    faults = [fault for index, result in enumerate(results) if (fault := judged(index, result))]
    if len(results) != jobs or len(set(jids)) != jobs:
        faults.append(f"{len(results)} results and {len(set(jids))} jids of {jobs} jobs")
    attempts = []
    for at in range(0, jobs, 1000):
        infos = cloud.info(jids[at : at + 1000], ["status", "attempts"])
        for jid in jids[at : at + 1000]:
            attempts.append(len(infos[jid]["attempts"]))
            accepted = [one for one in infos[jid]["attempts"] if one["cause"] not in ("worker_lost", None)]
            if len(accepted) != 1:
                faults.append(f"jid {jid} has {len(accepted)} accepted attempts: {infos[jid]['attempts']}")
    return {"faults": faults, "attempts": attempts}


def judged(index: int, result: Any) -> str:
    """What is wrong with this outcome, or ""."""
    if index % FAILS == 0:
        fine = isinstance(result, cloud.CloudException) and "ValueError" in str(result)
    else:
        fine = result == (index.to_bytes(4, "big") * (LARGE_BYTES // 4) if index % LARGE == 0 else index * index)
    return "" if fine else f"job {index} gave {result!r:.300}"


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3])))
