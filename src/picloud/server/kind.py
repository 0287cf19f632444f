"""A kind as the control process works with it: the row, and what the settings say of its core type."""

from __future__ import annotations

from msgspec import Struct

from picloud.settings import CoreType, Settings


class Kind(Struct, frozen=True):
    """What decides which worker may run a job, with the size of one slot."""

    id: int
    account: int
    account_name: str
    core_type: str
    cores: int
    units: int  # compute units of a slot, thousandths
    memory: int  # bytes of RAM of a slot: the smaller of core type x cores and the host's
    full: int  # slots that fill the host: one per core
    env: str = ""  # its image, see picloud.store.image
    vol: str = ""  # its volumes, see picloud.store.kind
    price: int = 0  # of a core, micro-dollars an hour


def size(settings: Settings, core_type: str, cores: int) -> CoreType:
    """The size of a slot; a core type that an operator removed counts as the smallest."""
    kind = settings.core_types.get(core_type) or min(settings.core_types.values(), key=lambda t: t.units)
    return CoreType(kind.units * cores, kind.memory * cores, (cores,), kind.price * cores)
