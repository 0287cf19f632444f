"""Reservations: cores of a type that are kept ready for an account.

request(tx, account, wish, room, now) -> Reservation     BadRequest: there is no room, with the figures
find(tx, account, number) -> Reservation                 NotFound; those that have ended too
ended(tx, account, limit) -> list[Reservation]           those that have ended last
every(tx, account=None) -> list[Reservation]             those that have not ended, of all accounts
change(tx, account, number, longest) -> Reservation      NotFound, BadRequest: it is released
release(tx, account, number, why, now) -> Reservation    NotFound; a repeat changes nothing
release_all(tx, account, why, now)
begin(tx, number, at) / end(tx, number, at)              its slots are ready; nothing runs on it any more

    asked for -> began (slots are ready, it is paid from here) -> released (no job begins) -> ended (no job runs)

One that has not begun costs nothing, whatever becomes of it. What one costs is written by :mod:`picloud.store.meter.stretch`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Text, bindparam, insert, select, update

from picloud.store import kind as kinds
from picloud.store.meter.schema import reservation
from picloud.store.rows import add, one, run
from picloud.store.schema import counter, kind
from picloud.wire.error import BadRequest, NotFound

LOCK = "reserved"
"""The row whose lock one holds who looks for room."""


class Reservation(NamedTuple):
    """A row, with its kind's."""

    id: int
    account: int
    kind: int
    core_type: str
    env: str
    vol: str
    cores: int
    price: int
    created: int
    longest: int | None
    began: int | None
    released: int | None
    ended: int | None
    why: str

    @property
    def due(self) -> int | None:
        """When it ends by itself (epoch ms)."""
        return None if self.longest is None or self.began is None else self.began + self.longest


class Wish(NamedTuple):
    """What is asked for."""

    core_type: str
    cores: int
    env: str  # in which jobs are expected
    price: int
    longest: int | None = None  # ms
    token: str = ""


class Room(NamedTuple):
    """What all reservations together may take."""

    units: int  # compute units, thousandths
    memory: int  # bytes
    sizes: dict[str, tuple[int, int]]  # core type -> the same of a core


def request(tx: Connection, account: int, wish: Wish, room: Room, now: int) -> Reservation:
    """Reserve cores.

    Args:
        room: of the machine; its ``sizes`` know all core types that are reserved.
        now: epoch ms.

    Raises:
        BadRequest: there is not that much left; with what is asked, what there is, and what is reserved.
    """
    run(tx, _MAKE_LOCK, name=LOCK, value=0)
    run(tx, _TAKE_LOCK, name_=LOCK)
    found = one(tx, _BY_TOKEN, account=account, token=wish.token) if wish.token else None
    if found is None:
        _check_room(wish, room, every(tx))
        values = {
            "account": account, "kind": kinds.ensure(tx, account, wish.core_type, 1, wish.env), "cores": wish.cores,
            "price": wish.price, "token": wish.token, "created": now, "longest": wish.longest,
        }  # fmt: skip
        found = tx.execute(_ADD, values).one()
    return find(tx, account, int(found[0]))


def _check_room(wish: Wish, room: Room, there: list[Reservation]) -> None:
    for at, what, limit, scale in ((0, "compute units", room.units, 1000), (1, "MiB of memory", room.memory, 1 << 20)):
        asked = wish.cores * room.sizes[wish.core_type][at]
        taken = sum(each.cores * room.sizes[each.core_type][at] for each in there)
        if asked + taken > limit:
            figures: dict[str, Any] = {"asked": asked / scale, "reservable": limit / scale, "reserved": taken / scale}
            left = max(0, limit - taken) // max(1, room.sizes[wish.core_type][at])
            raise BadRequest(
                f"{wish.cores} cores of {wish.core_type} are {asked / scale:g} {what}; of this machine's, {limit / scale:g} may"
                f" be reserved, and {taken / scale:g} are",
                hint=f"ask for {left} at most, or release others" if left else "release others first: picloud realtime list",
                what=what, **figures,
            )  # fmt: skip


def find(tx: Connection, account: int, number: int) -> Reservation:
    """One reservation, also one that has ended.

    Raises:
        NotFound: the account has none of that number.
    """
    row = one(tx, _FIND, account=account, id=number)
    if row is None:
        raise NotFound(f"there is no reservation {number}", hint="cloud.realtime.list() tells yours")
    return Reservation(*row)


def every(tx: Connection, account: int | None = None) -> list[Reservation]:
    """Those that have not ended, the oldest first."""
    rows = run(tx, _OPEN) if account is None else run(tx, _OPEN_OF, account=account)
    return [Reservation(*row) for row in rows.fetchall()]


def ended(tx: Connection, account: int, limit: int) -> list[Reservation]:
    """The newest of an account that have ended."""
    return [Reservation(*row) for row in run(tx, _ENDED_OF, account=account, limit=limit).fetchall()]


def change(tx: Connection, account: int, number: int, longest: int | None) -> Reservation:
    """Change how long it lasts from its begin on (ms; None = until it is released).

    Raises:
        NotFound: the account has none of that number.
        BadRequest: it is released.
    """
    found = find(tx, account, number)
    if found.released is not None:
        raise BadRequest(f"reservation {number} is released: {found.why}", hint="request another one")
    run(tx, _CHANGE, id_=number, longest_=longest)
    return found._replace(longest=longest)


def release(tx: Connection, account: int, number: int, why: str, now: int) -> Reservation:
    """No further job begins on it; one that has not begun has ended.

    Raises:
        NotFound: the account has none of that number.
    """
    find(tx, account, number)
    run(tx, _RELEASE, id_=number, now=now, why_=why)
    run(tx, _END_UNBEGUN, id_=number, now=now)
    return find(tx, account, number)


def release_all(tx: Connection, account: int, why: str, now: int) -> list[Reservation]:
    """Release all of an account that are not."""
    return [release(tx, account, each.id, why, now) for each in every(tx, account) if each.released is None]


def begin(tx: Connection, number: int, at: int) -> None:
    """Its slots are ready since ``at`` (epoch ms); of one that began or was released before, nothing changes."""
    run(tx, _BEGIN, id_=number, at=at)


def end(tx: Connection, number: int, at: int) -> None:
    """Nothing runs on it any more."""
    run(tx, _END, id_=number, at=at)


def _bound(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


_this = reservation.c.id == _bound("id_")
_ROWS = select(
    reservation.c.id, reservation.c.account, reservation.c.kind, kind.c.core_type, kind.c.env, kind.c.vol,
    *(reservation.c[name] for name in Reservation._fields[6:]),
).join_from(reservation, kind, kind.c.id == reservation.c.kind)  # fmt: skip
_OPEN = _ROWS.where(reservation.c.ended.is_(None)).order_by(reservation.c.id)
_OPEN_OF = _OPEN.where(reservation.c.account == _bound("account"))
_ENDED_OF = (
    _ROWS.where(reservation.c.account == _bound("account"), reservation.c.ended.is_not(None))
    .order_by(reservation.c.id.desc())
    .limit(_bound("limit"))
)
_FIND = _ROWS.where(reservation.c.account == _bound("account"), reservation.c.id == _bound("id"))
_BY_TOKEN = select(reservation.c.id).where(
    reservation.c.account == _bound("account"), reservation.c.token == bindparam("token", type_=Text)
)
_ADD = insert(reservation).returning(reservation.c.id)
_MAKE_LOCK = add(counter)
_TAKE_LOCK = select(counter.c.name).where(counter.c.name == bindparam("name_", type_=Text)).with_for_update()
_CHANGE = update(reservation).where(_this, reservation.c.released.is_(None)).values(longest=_bound("longest_"))
_RELEASE = (
    update(reservation)
    .where(_this, reservation.c.released.is_(None))
    .values(released=_bound("now"), why=bindparam("why_", type_=Text))
)
_END_UNBEGUN = update(reservation).where(_this, reservation.c.began.is_(None)).values(ended=_bound("now"))
_BEGIN = (
    update(reservation).where(_this, reservation.c.began.is_(None), reservation.c.released.is_(None)).values(began=_bound("at"))
)
_END = update(reservation).where(_this, reservation.c.ended.is_(None)).values(ended=_bound("at"))
