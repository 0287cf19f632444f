"""Queues and handlers as people see them: what waits, what happens, how fast, how long yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from picloud.server.control import Control
from picloud.server.storage import now_ms
from picloud.store.queue import graph
from picloud.store.queue.attachment import Attachment
from picloud.store.queue.graph import Node
from picloud.store.queue.tally import WINDOW, Happened

SECOND = 1000
LOOKED_BACK = 6
"""Windows over which rates are told for people: the last minute."""


class EdgeShown(TypedDict):
    exception: str
    queue: str
    delay: float


class HandlerShown(TypedDict):
    """What handles a queue."""

    name: str
    version: int
    created: int
    output_queues: list[str]
    on_error: list[EdgeShown]
    iter_output: bool
    readers_per_job: int
    max_parallel_jobs: int
    retry_on: list[str]
    max_retries: int | None
    retry_delay: float | None
    label: str
    type: str
    cores: int
    env: str
    vol: list[str]
    running: int
    starting: int
    attachment: int
    ceiling: float
    trouble: str


class Shown(TypedDict):
    """A queue."""

    name: str
    created: int
    paused: bool
    retention: float  # seconds
    count: int
    in_hand: int
    delayed: int
    dead: int
    oldest: float | None  # seconds
    enqueue_rate: float
    dequeue_rate: float
    error_share: float
    empty_in: float | None  # seconds
    windows: list[list[int]]
    handler: HandlerShown | None


async def shown(control: Control, account: int, names: Sequence[str], minutes: float = 1.0) -> list[Shown]:
    """Queues of an account, or those that are named.

    Args:
        minutes: of history.

    Raises:
        NotFound: one that is named is not there.
    """
    now = now_ms()
    since = now - now % WINDOW - max(int(minutes * 60 * SECOND), LOOKED_BACK * WINDOW)
    nodes = await control.storage.read(graph.read, account, names, since, now)
    named = {node.queue.id: node.queue.name for node in nodes}
    return [_queue(control, node, named, now) for node in nodes]


def _queue(control: Control, node: Node, named: dict[int, str], now: int) -> Shown:
    one, count = node.queue, node.inside
    came, went = _rate(node.windows, "came", now), _rate(node.windows, "went", now)
    gone = sum(each.went for _, each in node.windows)
    return {
        "name": one.name, "created": one.created, "paused": bool(one.paused), "retention": one.retention / SECOND,
        "count": count.waiting, "in_hand": count.in_hand, "delayed": count.delayed, "dead": count.dead,
        "oldest": None if count.oldest is None else max(0, now - count.oldest) / SECOND,
        "enqueue_rate": came, "dequeue_rate": went,
        "error_share": sum(each.failed for _, each in node.windows) / gone if gone else 0.0,
        "empty_in": count.waiting / (went - came) if count.waiting and went > came else 0.0 if not count.waiting else None,
        "windows": [[at, *each] for at, each in node.windows],
        "handler": _handler(control, node, node.handler) if node.handler else None,
    }  # fmt: skip


def _handler(control: Control, node: Node, one: Attachment) -> HandlerShown:
    asked, options = one.attach, one.attach.submit.options
    kind = control.settings.core_types[options.core_type]
    return {
        "name": one.name, "version": one.version, "created": one.created, "output_queues": asked.outputs,
        "on_error": [{"exception": edge.exception, "queue": edge.queue, "delay": edge.delay_ms / SECOND} for edge in asked.edges],
        "iter_output": asked.iter_output, "readers_per_job": asked.readers, "max_parallel_jobs": one.max_jobs,
        "retry_on": asked.retry_on, "max_retries": asked.max_retries,
        "retry_delay": None if asked.retry_delay_ms is None else asked.retry_delay_ms / SECOND,
        "label": options.label, "type": options.core_type, "cores": options.cores, "env": options.env, "vol": options.vol,
        "running": node.running, "starting": node.starting, "attachment": one.id,
        "ceiling": one.max_jobs * options.cores * kind.price / 1e6,  # dollars an hour
        "trouble": control.attachments.trouble(one.id),
    }  # fmt: skip


def _rate(windows: Sequence[tuple[int, Happened]], what: str, now: int) -> float:
    """Messages a second: of the last window that is over, or of the present one while nothing is known of that."""
    begin = now - now % WINDOW
    known: dict[int, int] = {at: getattr(each, what) for at, each in windows}
    if begin - WINDOW in known or begin not in known:
        return known.get(begin - WINDOW, 0) * SECOND / WINDOW
    return known[begin] * SECOND / max(now - begin, SECOND)
