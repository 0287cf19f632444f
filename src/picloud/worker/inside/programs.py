"""Programs that a job starts by ``subprocess``: where a signal ends one, the job's system log tells.

The module is not loaded for that; it is looked after when a job loads it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from picloud.wire import systemlog

NAME = "subprocess"


def watch() -> None:
    """Note the ends of programs from now on."""
    if NAME in sys.modules:
        _look_after(sys.modules[NAME])
    else:
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds that one module, once, as the usual finder does."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != NAME:
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            load = loader.exec_module

            def load_and_look_after(module: ModuleType) -> None:
                load(module)
                _look_after(module)

            loader.exec_module = load_and_look_after
        return spec


def _look_after(module: Any) -> None:
    told = module.Popen._handle_exitstatus

    def handle(self: Any, *rest: Any) -> None:
        told(self, *rest)
        if isinstance(self.returncode, int) and self.returncode < 0:
            _note(self)

    module.Popen._handle_exitstatus = handle


def _note(process: Any) -> None:
    words = [process.args] if isinstance(process.args, str | bytes | os.PathLike) else list(process.args)
    texts = [os.fsdecode(word) for word in words]
    systemlog.ended(os.path.basename(texts[0]) if texts else "?", -process.returncode, " ".join(texts), process.pid)
