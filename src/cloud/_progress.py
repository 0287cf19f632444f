"""A progress bar on stderr: only at a terminal (or in a notebook), and only for waits that one notices."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

SOON = 0.5
"""Seconds after which the bar appears."""


class Bar:
    """Counts what has come; shows it when that takes time. Costs nothing where nobody looks.

    Args:
        total: how many are awaited.
        done: how many of them need no waiting.
        what: stands before the bar.
        unit: ``jobs``, or ``bytes``, which are shown with their speed.
    """

    def __init__(self, total: int, done: int = 0, what: str = "jobs", unit: str = "jobs") -> None:
        self.total, self.done, self.what, self.unit = total, done, what, unit
        self._shown: Any = None
        self._task: Any = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        if total > done and (_notebook() or _terminal()):
            self._timer = threading.Timer(SOON, self._show)
            self._timer.daemon = True
            self._timer.start()

    def step(self, count: int = 1) -> None:
        """So many more have come."""
        self.done += count
        shown = self._shown
        if shown is not None:
            self._update(shown)

    def _show(self) -> None:
        with self._lock:
            if self._timer is None:
                return  # closed in the meantime
            if _notebook():
                self._shown = _tqdm(self.total, self.done, self.unit)
                return
            from rich.console import Console
            from rich.progress import Progress

            shown = Progress(*_columns(self.what, self.unit), console=Console(stderr=True), transient=True)
            self._task = shown.add_task(self.what, total=self.total, completed=self.done)
            shown.start()
            self._shown = shown

    def _update(self, shown: Any) -> None:
        if self._task is not None:
            shown.update(self._task, completed=self.done)
        else:
            shown.update(self.done - shown.n)

    def close(self) -> None:
        """Take it away."""
        if self._timer is None:
            return
        self._timer.cancel()
        with self._lock:
            self._timer = None
            shown, self._shown = self._shown, None
            if shown is not None:
                self._update(shown)
        if shown is not None:
            shown.stop() if self._task is not None else shown.close()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _terminal() -> bool:
    try:
        return os.environ.get("TERM") not in ("dumb", "unknown") and sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False  # replaced or closed by the program


def _notebook() -> bool:
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


def _columns(what: str, unit: str) -> list[Any]:
    from rich import progress
    from rich.markup import escape

    counts = [progress.DownloadColumn(), progress.TransferSpeedColumn()] if unit == "bytes" else [progress.MofNCompleteColumn()]
    times = [progress.TimeElapsedColumn(), progress.TimeRemainingColumn()]
    return [progress.TextColumn(escape(what)), progress.BarColumn(), *counts, *times]


def _tqdm(total: int, done: int, unit: str) -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=total, initial=done, unit=unit[:-1], unit_scale=unit == "bytes", leave=False)
