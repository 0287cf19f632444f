"""Further words for the store's tests about money: workers that cost something."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from picloud.settings import Settings, free_amount
from picloud.store.act import lease
from picloud.store.meter import credit
from picloud.store.meter.credit import Standing
from picloud.store.schema import attempt
from picloud.wire.job import Cause, Failure
from picloud.wire.message import Lease, Outcome
from tests.contract.store.storekeeper import Keeper

C1, F2 = 50_000, 220_000
FREE = free_amount(Settings())


def moment(*at: int) -> int:
    """Epoch ms of a moment in UTC."""
    return int(datetime(*at, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type,misc]


class Payer(Keeper):
    """A keeper whose workers cost something."""

    price = C1

    def take(self, by: int, want: int = 100, prefer: tuple[int, ...] = (), kind: int = 1) -> list[Lease]:
        found: list[Lease] = self.write(lease.take, by, kind, want, list(prefer), self.tick(), self.price)
        return found

    def run(self, ms: int, count: int = 1, **options: Any) -> list[Lease]:
        """Jobs that take so long."""
        self.map(count, **options)
        kind = self.kind()
        by = self.worker(kind)
        given = self.take(by, count, kind=kind)
        self.finish(by, *(Outcome(one.jid, one.n, one.lease, 0, ms * 1000, data=b"r") for one in given))
        return given

    def standing(self, now: int | None = None) -> Standing:
        """Its money."""
        found: Standing = self.read(credit.standing, self.account, self.now if now is None else now, FREE)
        return found

    def line(self, jid: int) -> Any:
        """The newest line of the ledger of a job."""
        return self.read(lambda tx: tx.execute(select(attempt).where(attempt.c.jid == jid).order_by(attempt.c.n.desc())).first())


def ends(one: Lease, us: int, cause: Cause = Cause.none, unpaid: int = 0) -> Outcome:
    failure = Failure(cause.name, "so") if cause else None
    return Outcome(one.jid, one.n, one.lease, int(cause), us, failure=failure, unpaid_us=unpaid)
