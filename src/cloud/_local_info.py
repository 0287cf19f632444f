"""What can be told about a local job: the fields of ``info``, the rows of ``jobs``."""

from __future__ import annotations

import time
from typing import Any

import msgspec.structs

from cloud._local_jobs import LocalJob
from picloud.wire.job import Status

ABSENT = ("created", "finished", "env", "vol", "pilog", "logging", "syslog", "code_version", "cpu_percentage", "ports")
"""Fields that exist only on the service; None here, as they always were in the simulator."""

MEMORY = ("usage", "max_usage", "failcnt", "limit", "cache", "limit_hits", "kernel_kills")
"""What ``memory`` tells on the service; here the peak alone is known."""

TEXT = 65_536
"""Characters of stdout and of stderr that ``info`` tells."""


def describe_job(job: LocalJob, fields: list[str], output: tuple[bytes, bytes]) -> dict[str, Any]:
    """The asked fields of one job; "all" stands for every one, an unknown name for None."""
    facts = _facts(job, output)
    return facts if "all" in fields else {name: _dotted(facts, name) for name in fields}


def _dotted(facts: dict[str, Any], name: str) -> Any:
    head, _, tail = name.partition(".")
    found = facts.get(name, facts.get(head) if tail else None)
    return found.get(tail) if tail and name not in facts and isinstance(found, dict) else found


def _facts(job: LocalJob, output: tuple[bytes, bytes]) -> dict[str, Any]:
    order, outcome, failure = job.submission.order, job.outcome, job.failure
    return dict.fromkeys(ABSENT) | {
        "status": job.status.name,
        "exception": (failure.traceback or failure.message) if failure else None,
        "stdout": _text(output[0]),
        "stderr": _text(output[1]),
        "runtime": runtime(job),
        "started": job.started,
        "function": order.function.info | {"name": order.name},
        "label": order.options.label or None,
        "attributes": msgspec.structs.asdict(order.options) | {"os_env_vars": order.options.env_names},
        "args": job.preview,
        "result": outcome.preview if outcome and job.status is Status.done else None,
        "profile": job.profile or None,
        "cputime": {"user": outcome.cpu_user_us / 1e6, "system": outcome.cpu_system_us / 1e6}
        if outcome
        else {"user": None, "system": None},
        "memory": dict.fromkeys(MEMORY) | {"max_usage": (outcome.peak_memory or None) if outcome else None},
        "swap": {"usage": None, "max_usage": None},
        "disk": {"usage": None, "max_usage": None, "read": None, "written": None},
        "network": {"in": None, "out": None},
        "cause": failure.cause if failure else None,
        "failure": msgspec.to_builtins(msgspec.structs.replace(failure, exception=b"")) if failure else None,
        "attempts": [dict(attempt) for attempt in job.attempts],
        "parent_jid": job.submission.parent,
        "depends_on": [first + i for first, count in order.options.depends_on for i in range(count)],
    }


def runtime(job: LocalJob) -> float | None:
    """Seconds that its function ran, so far if it runs; None before it starts."""
    if job.outcome is not None:
        return job.outcome.runtime_us / 1e6
    if job.started is None:
        return None
    return max(0, (job.finished or time.time_ns() // 1_000_000) - job.started) / 1000


def listed(job: LocalJob, state: str | None, label: str | None, func: str | None, since: int | None) -> dict[str, Any] | None:
    """The row of ``jobs`` for this one, or None where it does not fit what is asked."""
    order = job.submission.order
    if (state and job.status.name != state) or (label is not None and order.options.label != label):
        return None
    if (func is not None and order.name != func) or (since is not None and job.created < since):
        return None
    return {
        "jid": job.jid,
        "status": job.status.name,
        "function": order.name,
        "label": order.options.label,
        "core_type": order.options.core_type,
        "cores": order.options.cores,
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
        "runtime": runtime(job),
        "cause": job.failure.cause if job.failure else None,
        "attempts": len(job.attempts),
        "parent_jid": job.submission.parent,
    }


def _text(output: bytes) -> str:
    return output.decode(errors="replace")[-TEXT:]
