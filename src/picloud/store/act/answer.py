"""What the acts that end jobs answer."""

from __future__ import annotations

from msgspec import Struct, field

from picloud.wire.message import Finished, Ranges


class Finish(Struct):
    """What one act changed.

    Attributes:
        moved: jobs that became final, with their results: what watchers get.
        closed: further jids that became final without a result (killed, stalled, never sent); watchers of these read the
            store, as slow ones do.
        stale: attempts (jid, n) that were not the worker's any more; to be acknowledged, so that it forgets them.
        ready_kinds: kinds that got ready jobs.
        ended: how many jobs this act itself ended.
        more: the act stopped at its limit; call it again.
    """

    moved: list[Finished] = field(default_factory=list)
    closed: Ranges = field(default_factory=list)
    stale: list[tuple[int, int]] = field(default_factory=list)
    ready_kinds: set[int] = field(default_factory=set)
    ended: int = 0
    more: bool = False
