"""Which kind of sandbox a worker's slots get: the one that control found out to work here, made from the worker's order."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from picloud.sandbox import platform
from picloud.sandbox.base import Limits, Maker
from picloud.sandbox.maker import BoxMaker, Setting
from picloud.sandbox.plain import PlainMaker
from picloud.wire.error import SetupError
from picloud.worker import surroundings
from picloud.worker.order import Order

log = logging.getLogger(__name__)

SHARED = ("code", "specs", "arguments")
"""Folders of a worker that its runners read."""


def maker(order: Order, layers: list[Path]) -> Maker:
    """What makes this worker's sandboxes.

    Args:
        layers: the image's unpacked layers, the lowest first.

    Raises:
        SetupError: the kind that the order asks for does not work here.
    """
    folder = Path(order.folder)
    limits = Limits(order.memory_limit, order.cores, order.units, order.disk)
    shared = {name: str(folder / name) for name in SHARED}
    if order.rung == "D":
        return PlainMaker(limits, surroundings.passed(), shared)
    setting = Setting(
        image=order.image or platform.image(),
        limits=limits,
        instance=os.environ.get("PICLOUD_INSTANCE") or order.incarnation,
        worker=order.incarnation,
        account=order.account,
        network=order.network,
        private=order.private,
        shared=shared,
        env=surroundings.passed(surroundings.ANYWHERE),
        rung=order.rung,
        folders=[(one.host, one.mount, one.read_only) for one in order.volumes if one.host],
        places=[one.mount for one in order.volumes],
    )
    try:
        return BoxMaker(setting, folder, layers)
    except SetupError as error:
        if order.rung:
            raise
        log.warning("jobs run without isolation: %s", error)
        return PlainMaker(limits, surroundings.passed(), shared)
