"""Everything that is known of a few jobs.

    read(tx, account, ranges, log_bytes=65_536, streams=(..)) -> {jid: dict}            NotFound; at most LONGEST jids

The dict has the fields of ``cloud.info``: status, exception, runtime (s), created, started, finished (epoch ms or None),
function, label, attributes, args, result (previews), cputime, memory, cause, failure, attempts, parent_jid, depends_on,
code_version, env, vol, profile, cost,
swap, disk, network, cpu_percentage, ports, and the asked streams as text. Values of environment variables are not among them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, bindparam, null, select, union_all

from picloud.store import closing, image, log
from picloud.store import job as jobs
from picloud.store.certificate import certificate
from picloud.store.rows import from_json, gathered, hexed, listing, unpack_failure
from picloud.store.schema import argument, attempt, code, job, kind, lease, result, submission, worker
from picloud.wire.error import BadRequest
from picloud.wire.job import Cause, Failure, Status
from picloud.wire.message import Figures, Ranges
from picloud.wire.money import dollars

LONGEST = 10_000
"""Jobs in one answer."""


def read(tx: Connection, account: int, ranges: Ranges, log_bytes: int = 65_536, streams: Iterable[str] = ()
         ) -> dict[int, dict[str, Any]]:  # fmt: skip
    """What is known of these jobs.

    Args:
        log_bytes: of each stream, from its end.
        streams: which of stdout, stderr, logging, pilog, syslog to read.

    Raises:
        NotFound: a jid is not of this account.
        BadRequest: too many at once.
    """
    if sum(count for _, count in ranges) > LONGEST:
        raise BadRequest(f"info of more than {LONGEST} jobs at once", hint="ask for fewer; cloud.jobs() lists many")
    made: dict[int, dict[str, Any]] = {}
    wanted = list(streams)
    closed = closing.covering(tx, account)
    for first, count in ranges:
        for jid in (at for start, size in jobs.unsent(tx, account, [(first, count)]) for at in range(start, start + size)):
            ended = next((one for one in closed if one.first <= jid < one.end), None)
            made[jid] = {
                "status": (ended.status if ended else Status.waiting).name,
                "cause": ended.cause.name if ended else None,
                "attempts": [],
            }
        place = {"account": account, "first": first, "end": first + count}
        attempts: dict[int, list[dict[str, Any]]] = {}
        for row in listing(tx, _ATTEMPTS, **place):
            attempts.setdefault(row[0], []).append(_attempt(row))
        rows = tx.execute(_JOBS, place).all()
        images = image.shown(tx, {row.image for row in rows})
        for row in rows:
            made[row.jid] = _job(row, attempts.get(row.jid, []), images.get(row.image))
    printed = log.tails(tx, account, ranges, wanted, log_bytes) if wanted else {}
    for jid, about in made.items():
        about |= {stream: printed.get(jid, {}).get(stream, b"").decode("utf-8", "replace") for stream in wanted}
    return made


def _attempt(row: list[Any]) -> dict[str, Any]:
    _, n, where, cause, leased, started, ended, runtime, user, system, peak, failure, told, billed, price, amount = row
    return {
        "n": n, "worker": where, "leased": leased, "started": started, "ended": ended,
        "cause": None if ended is None else Cause(cause).name, "runtime": None if runtime is None else runtime / 1e6,
        "cputime": {"user": user / 1e6, "system": system / 1e6} if ended is not None else {"user": None, "system": None},
        **_figures(from_json(told, type=Figures) if told else Figures(), peak),
        "message": unpack_failure(bytes.fromhex(failure)).message if failure else None,
        "billed": None if billed is None else billed / 1e3, "price": price, "amount": amount,
    }  # fmt: skip


def _figures(told: Figures, peak: int | None) -> dict[str, dict[str, int | None]]:
    """What an attempt has used, as ``cloud.info`` names it; None is not known."""
    return {
        "memory": {
            "usage": None, "max_usage": peak or None, "failcnt": told.refused, "limit": told.memory_limit, "cache": told.cache,
            "limit_hits": told.limit_hits, "kernel_kills": told.kernel_kills,
        },
        "swap": {"usage": None, "max_usage": told.swap},
        "disk": {"usage": None, "max_usage": told.disk_used, "read": told.disk_read, "written": told.disk_written},
        "network": {"in": told.net_in, "out": told.net_out},
    }  # fmt: skip


def _job(row: Any, attempts: list[dict[str, Any]], seen: image.Shown | None) -> dict[str, Any]:
    last = attempts[-1] if attempts else {}
    options = from_json(row.options)
    if seen is not None and seen.digest:
        options |= {"env_version": seen.version, "env_digest": seen.digest}
    told = unpack_failure(row.failure) if row.failure else certificate(Cause(row.cause), row.blame) if row.cause else None
    if told and last and last["memory"]["limit"] is None:
        last["memory"]["limit"] = told.memory_limit
    if told and last.get("cause") not in (None, Cause.none.name) and last["message"] is None:
        last["message"] = told.message  # the failure of the last attempt is the job's, and stored only there
    function = from_json(row.code_info) if row.code_info else {"name": row.name}
    return {
        "status": Status(row.status).name, "cause": Cause(row.cause).name if row.cause else None,
        "exception": (told.traceback or told.message) if told else None, "failure": _shown(told),
        "created": row.created, "started": last.get("started"), "finished": row.finished, "runtime": last.get("runtime"),
        "function": function, "label": row.label, "attributes": options, "env": seen.name if seen else None,
        "vol": options.get("vol", []),
        "args": row.args, "result": row.result, "profile": None,
        "cputime": last.get("cputime", _NO_TIME), **{name: last.get(name, none) for name, none in _NO_FIGURES.items()},
        "core_type": options.get("core_type"), "cores": options.get("cores", 1), "cpu_percentage": None, "ports": None,
        "cost": _cost(attempts), "attempts": attempts, "parent_jid": row.parent_jid, "depends_on": options.get("depends_on", []),
        "code_version": row.code_digest[:12], "submission": row.submission, "priority": row.priority,
    }  # fmt: skip


def _cost(attempts: list[dict[str, Any]]) -> dict[str, Any]:
    """What the attempts that ended come to."""
    amount = sum(one["amount"] or 0 for one in attempts)
    return {
        "dollars": dollars(amount),
        "amount": amount,
        "billed": sum(one["billed"] or 0 for one in attempts),
        "estimate": False,
    }


_NO_TIME = {"user": None, "system": None}
_NO_FIGURES = _figures(Figures(), None)


def _shown(failure: Failure | None) -> dict[str, Any] | None:
    """The failure as plain values, without the pickle that only a client may load."""
    if failure is None:
        return None
    plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(failure, exception=b""))
    return plain


def _bound(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


_mine = (job.c.account == _bound("account"), job.c.jid >= _bound("first"), job.c.jid < _bound("end"))
_JOBS = (
    select(job.c.jid, job.c.status, job.c.cause, job.c.created, job.c.finished, job.c.submission, job.c.priority,
           submission.c.name, submission.c.label, submission.c.options, submission.c.blame, submission.c.parent_jid,
           submission.c.function.label("code_digest"), kind.c.env.label("image"), code.c.info.label("code_info"),
           argument.c.preview.label("args"), result.c.preview.label("result"), result.c.failure)
    .join_from(job, submission, submission.c.id == job.c.submission)
    .join(kind, kind.c.id == job.c.kind)
    .outerjoin(code, (code.c.account == submission.c.account) & (code.c.digest == submission.c.function))
    .outerjoin(argument, argument.c.jid == job.c.jid)
    .outerjoin(result, result.c.jid == job.c.jid)
    .where(*_mine)
)  # fmt: skip
_ended = (
    select(attempt.c.jid, attempt.c.n, worker.c.incarnation, attempt.c.cause, attempt.c.leased, attempt.c.started,
           attempt.c.ended, attempt.c.runtime_us, attempt.c.cpu_user_us, attempt.c.cpu_system_us, attempt.c.peak_memory,
           attempt.c.failure, attempt.c.figures, attempt.c.billed_ms, attempt.c.price, attempt.c.amount)
    .join_from(attempt, job, job.c.jid == attempt.c.jid)
    .outerjoin(worker, worker.c.id == attempt.c.worker)
    .where(*_mine)
)  # fmt: skip
_open = (
    select(lease.c.jid, lease.c.n, worker.c.incarnation, *(null() for _ in range(1)), lease.c.leased, lease.c.started,
           *(null() for _ in range(8)), lease.c.price, null())
    .join_from(lease, job, job.c.jid == lease.c.jid)
    .outerjoin(worker, worker.c.id == lease.c.worker)
    .where(*_mine)
)  # fmt: skip
_both = union_all(_ended, _open).subquery()
_in_order = select(_both).order_by(_both.c.jid, _both.c.n).subquery()
_ATTEMPTS = select(gathered(*(hexed(c) if c.name == "failure" else c for c in _in_order.c)))
