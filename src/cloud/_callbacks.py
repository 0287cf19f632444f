"""Callbacks: functions run on the caller's machine when a job ends, by one background thread."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable
from typing import Any

from cloud._backend import Backend
from cloud._jids import Asked
from cloud._session import config
from picloud.wire.error import CloudException, CloudTimeoutError
from picloud.wire.job import Status

_log = logging.getLogger("cloud")
_LOOK = 0.1
"""Seconds between two looks at a backend whose waits cannot be interrupted (it is in this process: a look costs nothing)."""

Callback = Callable[..., Any]


class Callbacks:
    """The jobs of one backend that somebody wants to be told of."""

    def __init__(self, backend: Backend) -> None:
        _log.setLevel(logging.getLevelNamesMapping().get(str(config.print_log_level).upper(), logging.ERROR))
        self._backend = backend
        self._bell: Any = None
        self._wanted: dict[int, tuple[list[Callback], list[Callback]]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, jid: int, on_success: list[Callback], on_error: list[Callback]) -> None:
        """Run one list or the other, from left to right, when this job ends."""
        with self._lock:
            self._wanted[jid] = (on_success, on_error)
            if self._thread is None:
                if not self._backend.simulated:
                    from cloud._stream import Bell

                    self._bell = Bell()
                self._thread = threading.Thread(target=self._watch, name="cloud-callbacks", daemon=True)
                self._thread.start()
                return
        if self._bell is not None:
            self._bell.ring()

    def _watch(self) -> None:
        while True:
            with self._lock:
                jids = Asked([(jid, 1) for jid in self._wanted], False).unique()
                if not jids:
                    self._thread = None
                    return
                if self._bell is not None:
                    self._bell.reset()
            try:
                self._read(jids)
            except CloudTimeoutError:
                continue  # further jobs have been added
            except CloudException as error:
                _log.error("callbacks of jobs cannot run any more: %s", error)
                with self._lock:
                    self._wanted.clear()

    def _read(self, jids: list[tuple[int, int]]) -> None:
        backend: Any = self._backend
        if self._bell is not None:
            found = backend.finished(jids, payload=False, bell=self._bell)
        else:
            found = backend.finished(jids, payload=False, patience=lambda: _LOOK)
        for one in found:
            with self._lock:
                on_success, on_error = self._wanted.pop(one.jid, ([], []))
            for callback in on_success if one.status == Status.done else on_error:
                _run(callback, one.jid)


def _run(callback: Callback, jid: int) -> None:
    try:
        if _takes_a_jid(callback):
            callback(jid)
        else:
            callback()
    except Exception:  # noqa: BLE001 user code: one bad callback must not silence the others
        _log.exception("a callback of job %d failed", jid)


def _takes_a_jid(callback: Callback) -> bool:
    try:
        inspect.signature(callback).bind(0)
    except ValueError:
        return True  # built in, without a signature
    except TypeError:
        return False
    return True
