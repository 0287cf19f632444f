"""The client of a soak of queues: pushes, waits for all that comes out at the end, says what was not as promised.

python soak_queues_client.py MESSAGES NAME    ->  [fault, ..]
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import Any

import cloud
from cloud import _queues
from cloud.queue import CloudQueue
from picloud.wire.queue import Exchange, Hold

STAGES = 4
PATIENCE = 180.0
"""Seconds without a message after which something must be wrong."""
FAILS = 97
"""Every message whose number is a multiple of this fails at its first try in each stage."""


def stage(message: list[Any], cur_retry: int) -> list[Any]:
    """One more step."""
    number, steps = message
    if number % FAILS == 0 and cur_retry == 0:
        raise LookupError(number)
    return [number, steps + 1]


def main(messages: int, name: str) -> list[str]:
    """Push, and take all that comes out."""
    queues = [cloud.queue.get(f"{name}-{at}") for at in range(STAGES + 1)]
    for source, sink in zip(queues, queues[1:], strict=False):
        source.attach(stage, sink, readers_per_job=2, max_parallel_jobs=2, retry_on=[LookupError], max_retries=1, retry_delay=0)
    queues[0].push([[number, 0] for number in range(messages)])
    faults = judged(messages, drained(queues[-1], messages))
    time.sleep(1)
    faults += [fault for queue in queues for fault in unbalanced(queue, messages)]
    for queue in queues:
        queue.delete()
    return faults


def drained(queue: CloudQueue, count: int) -> Counter[tuple[int, ...]]:
    """All messages of a queue, until ``count`` came or none comes any more."""
    found: Counter[tuple[int, ...]] = Counter()
    received, last = b"", time.monotonic()
    while found.total() < count and time.monotonic() - last < PATIENCE:
        token = _queues.token()
        answer = _queues.exchange(
            Exchange(token, queue.name, take=1000, hold=int(Hold.removed), timeout_ms=5000, received=received)
        )
        received = token
        found.update(tuple(json.loads(one.data)) for one in answer.messages)
        last = time.monotonic() if answer.messages else last
    return found


def judged(messages: int, found: Counter[tuple[int, ...]]) -> list[str]:
    """What is wrong with the messages that came out."""
    faults = [f"message {one} came {times} times" for one, times in found.items() if times != 1]
    expected = {(number, STAGES) for number in range(messages)}
    lost, strange = expected - set(found), set(found) - expected
    if lost:
        faults.append(f"{len(lost)} messages are missing, among them {sorted(lost)[:5]}")
    return faults + [f"a message {one} that nobody pushed" for one in strange]


def unbalanced(queue: CloudQueue, messages: int) -> list[str]:
    """What a queue tells that cannot be."""
    told = _queues.listing(queue.name, minutes=600)[0]
    came, went = (sum(window[at] for window in told["windows"]) for at in (1, 2))
    faults = [f"queue {queue.name}: {told[what]} {what}" for what in ("count", "in_hand", "dead") if told[what]]
    if (came, went) != (messages, messages):
        faults.append(f"queue {queue.name}: {came} messages came and {went} went, of {messages}")
    return faults


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), sys.argv[2])))
