"""Attaching a handler to a queue: what it says is checked, its code goes to the server, jobs are the server's from then on."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from cloud import _queues, _stored
from cloud._errors import Edge, Edges, Rules
from cloud._queues import check_count
from cloud._reader import Spec
from cloud._readers import run
from picloud.wire import queue as wire
from picloud.wire.queue import LONGEST_DELAY, MOST_JOBS, MOST_OUTPUTS, MOST_READERS, Attach, Attached

ALLOWED = ("_cores", "_env", "_label", "_os_env_vars", "_priority", "_profile", "_restartable", "_secrets", "_type", "_vol")


class Plan(NamedTuple):
    """What ``attach`` was given besides the handler."""

    outputs: Any
    iter_output: bool
    readers: int
    max_jobs: int
    rules: Rules
    on_error: Any
    reserved: dict[str, Any]


def attach(queue: str, handler: Any, plan: Plan) -> int:
    """Make ``handler`` the one of this queue; its version. Errors as for ``CloudQueue.attach``."""
    _check_handler(handler)
    rules, max_jobs = plan.rules, plan.reserved.pop("_max_parallel_jobs", plan.max_jobs)
    check_count("readers_per_job", plan.readers, 1, MOST_READERS)
    check_count("max_parallel_jobs", max_jobs, 0, MOST_JOBS)
    names, edges = _names(plan.outputs), _edges(plan.on_error)
    chosen = _stored.options("attach", "", plan.reserved, ALLOWED)
    link = _queues.link()
    chosen.options.restartable = False  # a job that died is replaced, never tried again
    job = functools.partial(run, handler, Spec(queue, names, bool(plan.iter_output), plan.readers, rules, edges))
    kept = _stored.stored(job, handler if not _is_object(handler) else type(handler), chosen)
    asked = Attach(
        _queues.token(), queue, kept.submit, [*names],
        [wire.Edge(_shown(edge.exception), edge.queue, edge.delay_ms) for edge in edges.every],
        bool(plan.iter_output), plan.readers, max_jobs,
        [_shown(kind) for kind in rules.retry_on], rules.max_retries, rules.retry_delay_ms,
    )  # fmt: skip
    return _stored.send(link, "/v1/queue/attach", asked, kept, Attached).version


def _is_object(handler: Any) -> bool:
    return callable(getattr(handler, "message_handler", None))


def _check_handler(handler: Any) -> None:
    if isinstance(handler, type):
        raise TypeError(f"a handler is a function or an instance, not the class {handler.__name__}: attach {handler.__name__}()")
    if not callable(handler) and not _is_object(handler):
        raise TypeError(
            f"a handler is a callable of one argument, or an object with message_handler(message), not {handler!r:.80}"
        )
    for name in ("pre_handling", "post_handling"):
        if _is_object(handler) and not callable(getattr(handler, name, print)):
            raise TypeError(f"the handler's {name} is not callable")


def _names(outputs: Any) -> tuple[str, ...]:
    """The names of one queue or many."""
    from cloud.queue import CloudQueue

    many = [outputs] if isinstance(outputs, CloudQueue) else outputs
    if not isinstance(many, Iterable) or isinstance(many, str | bytes):
        raise TypeError(f"output_queues must be a CloudQueue or a list of them, not {outputs!r:.80}")
    found = list(many)
    for one in found:
        if not isinstance(one, CloudQueue):
            raise TypeError(f"output_queues holds {one!r:.80}, which is no CloudQueue; cloud.queue.get(name) makes one")
    if len(found) > MOST_OUTPUTS:
        raise ValueError(f"{len(found)} output queues, at most {MOST_OUTPUTS}")
    return tuple(dict.fromkeys(one.name for one in found))


def rules(retry_on: Any, max_retries: Any, retry_delay: Any) -> Rules:
    """When a message is tried again.

    Raises:
        TypeError: not exception classes.
        ValueError: ``retry_on`` without both numbers, or one out of range.
    """
    many = (retry_on,) if isinstance(retry_on, type) else tuple(retry_on or ())
    for kind in many:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError(f"retry_on must list exception classes, not {kind!r:.80}")
    if many and (max_retries is None or retry_delay is None):
        raise ValueError("retry_on needs max_retries and retry_delay")
    if max_retries is not None:
        check_count("max_retries", max_retries, 0, 10_000)
    if retry_delay is not None:
        check_count("retry_delay", retry_delay, 0, wire.LONGEST_DEADLINE)
    return Rules(many, max_retries, None if retry_delay is None else retry_delay * 1000)


def _edges(on_error: Any) -> Edges:
    from cloud.queue import CloudQueue

    if not isinstance(on_error, Mapping):
        raise TypeError(f"on_error must be a dict {{ExceptionClass: {{'queue': queue, 'delay': seconds}}}}, not {on_error!r:.80}")
    made = []
    for kind, way in on_error.items():
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError(f"the keys of on_error are exception classes, not {kind!r:.80}")
        if not isinstance(way, Mapping) or set(way) - {"queue", "delay"} or not isinstance(way.get("queue"), CloudQueue):
            raise ValueError(
                f"on_error[{kind.__name__}] must be {{'queue': a CloudQueue}} and perhaps a 'delay', not {way!r:.80}"
            )
        check_count(f"the delay of on_error[{kind.__name__}]", way.get("delay", 0), 0, LONGEST_DELAY)
        made.append(Edge(kind, way["queue"].name, 1000 * way.get("delay", 0)))
    if len(made) > MOST_OUTPUTS:
        raise ValueError(f"on_error names {len(made)} classes, at most {MOST_OUTPUTS}")
    return Edges(tuple(made))


def _shown(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
