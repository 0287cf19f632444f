"""Who gets how many slots: a pure function from a picture of the host to a number of slots for each kind.

Fair share between accounts by progressive filling: slots are handed out one at a time, each to the account with the
fewest compute units so far (per weight); inside an account to work that a running job awaits, then by priority, then
by jid. What is handed out is a *target*; running jobs are never interrupted for it. Idle slots stay warm while nobody
else needs their room. Design section 9, "Capacity".
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct


class KindView(Struct):
    """One kind as the dispatcher sees it now."""

    kind: int
    account: int
    units: int  # compute units of one slot, thousandths
    ready: int  # jobs that could start now (capped)
    awaited: bool = False  # some of them are waited for by running jobs
    priority: int = 5  # the best among them
    jid: int = 0  # the oldest among them
    slots: int = 0  # live or starting
    busy: int = 0  # slots with a job, lent ones included
    lent: int = 0  # slots whose job waits for other jobs
    stuck: bool = False  # its jobs wait while none has come to an end for a long time


class Host(Struct):
    """What the machine offers."""

    units: int  # thousandths of a compute unit
    cores: int
    idle_cpu: bool = True  # a core has been idle lately
    spare_slots: int = 1000  # how many more interpreters free RAM can hold
    oversize: bool = True  # a kind larger than all of it may run alone


def demand(view: KindView) -> int:
    """Slots this kind could use now, without those that only wait."""
    return view.busy - view.lent + view.ready


def targets(views: Iterable[KindView], host: Host, weights: dict[int, int] | None = None) -> dict[int, int]:
    """Slots each kind shall have (lent ones included).

    Args:
        views: every kind with work or slots.
        host: capacity; a kind larger than the whole host still gets one slot when it is alone, where ``oversize`` says so.
        weights: account -> share, default 1.
    """
    kinds = list(views)
    given = _fill(kinds, host, weights or {})
    free = host.units - sum(given[v.kind] * v.units for v in kinds)
    result = {}
    for view in sorted(kinds, key=lambda v: -v.busy):
        active = given[view.kind]
        warm = max(0, min(view.slots - view.lent - active, free // view.units if free > 0 else 0))
        free -= warm * view.units
        result[view.kind] = active + warm + view.lent
    return _within_memory(kinds, result, host)


def _fill(kinds: list[KindView], host: Host, weights: dict[int, int]) -> dict[int, int]:
    given = {view.kind: 0 for view in kinds}
    used: dict[int, int] = {}
    free = host.units
    while True:
        alone = host.oversize and free == host.units > 0
        open_kinds = [v for v in kinds if given[v.kind] < min(demand(v), _ceiling(v, host)) and (v.units <= free or alone)]
        if not open_kinds:
            return given
        best = min(
            open_kinds, key=lambda v: (used.get(v.account, 0) / weights.get(v.account, 1), not v.awaited, v.priority, v.jid)
        )
        given[best.kind] += 1
        free -= best.units
        used[best.account] = used.get(best.account, 0) + best.units


def _ceiling(view: KindView, host: Host) -> int:
    """One slot a core; beyond that one more at a time, while cores are idle or where nothing would ever make room.

    Jobs that serve or wait hold their slots and leave the cores to others: behind them, room there is must not stay empty.
    """
    running = view.slots - view.lent
    return max(host.cores, running + 1) if host.idle_cpu or view.stuck else max(host.cores, min(running, view.busy - view.lent))


def _within_memory(kinds: list[KindView], result: dict[int, int], host: Host) -> dict[int, int]:
    """New interpreters beyond what free RAM holds are not started; a kind without any slot comes first."""
    spare = host.spare_slots
    for view in sorted(kinds, key=lambda v: (v.slots > 0, not v.awaited, v.priority, v.jid)):
        grows = result[view.kind] - view.slots
        if grows > 0:
            allowed = min(grows, max(spare, 0))
            result[view.kind] = view.slots + allowed
            spare -= allowed
    return result


def batch(window: int, held: int, slots: int, runtime_us: float | None, lease_ms: int) -> int:
    """How many leases a worker gets at once: about ``lease_ms`` of work for each slot, within its window.

    Args:
        window: leases it may hold; held: those it holds; slots: its slots.
        runtime_us: the kind's recent run time of one job, None when not known.
    """
    room = window - held
    if room <= 0:
        return 0
    if runtime_us is None:
        return max(0, min(room, 2 * max(slots, 1) - held))
    worth = int(lease_ms * 1000 / max(runtime_us, 1.0)) * max(slots, 1)
    ceiling = min(max(worth, slots, 1), window)
    if held > ceiling // 2:
        return 0
    return max(0, min(room, ceiling - held))
