"""Sandboxes of images that have layers: these are fetched and unpacked first, once a host, when the first slot starts."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from picloud.sandbox.base import Maker, Sandbox
from picloud.sandbox.layer import Layers, Stack
from picloud.sandbox.plain import PlainMaker
from picloud.wire.error import SetupError
from picloud.worker import grounds
from picloud.worker.control import Control
from picloud.worker.order import Order


def maker(order: Order, control: Control) -> Maker:
    """What makes this worker's sandboxes; of an image with layers it fetches them when they are needed.

    Raises:
        SetupError: the kind of sandbox that the order asks for does not work here.
    """
    image = order.image
    if image is None or not (image.layers or image.setup):
        return grounds.maker(order, [])
    return Layered(order, control)


class Layered:
    """See :class:`picloud.sandbox.base.Maker`."""

    def __init__(self, order: Order, control: Control) -> None:
        self._order, self._control = order, control
        self._lock = threading.Lock()
        self._stack: Stack | None = None
        self._maker: Maker | None = None
        self.rung = order.rung
        self.lacks: list[str] = []

    def make(self, folder: Path) -> Sandbox:
        with self._lock:
            if self._maker is None:
                self._maker = self._prepared()
                self.rung, self.lacks = self._maker.rung, self._maker.lacks
        return self._maker.make(folder)

    def _prepared(self) -> Maker:
        order = self._order
        wanted = order.image.layers if order.image is not None else []
        if self._stack is None and wanted:
            place = Path(order.layers) if order.layers else Path(order.folder) / "layers"
            self._stack = Layers(place).take(wanted, self._control.layer)
        made = grounds.maker(order, self._stack.folders if self._stack is not None else [])
        if isinstance(made, PlainMaker):
            made.close()
            raise SetupError("this machine cannot show environments: its jobs have no file system of their own",
                             hint="picloud doctor tells what is missing")  # fmt: skip
        return made

    def remove(self, folder: Path) -> None:
        if self._maker is not None:
            self._maker.remove(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        if self._maker is not None:
            self._maker.close()
        if self._stack is not None:
            self._stack.close()
