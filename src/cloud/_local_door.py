"""Jobs inside jobs: how the code of a local job reaches the backend that runs it.

The client's process listens on a socket in a folder that only its user can enter; each request of a job is one
connection, so that waiting for results in one thread never delays another.
"""

from __future__ import annotations

import glob
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from cloud._backend import Backend, Order, Packed, Patience
from cloud._local_watch import Watcher
from picloud.wire.error import CloudException, CloudTimeoutError, Unavailable
from picloud.wire.message import Finished, Ranges

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_PREFIX = "picloud-mp-"
CHUNK = 256
"""Packed arguments or results in one message."""

_inside: DoorBackend | None = None
_simulated = False


def enter(path: str, number: int, simulator: bool) -> None:
    """This process is local worker number ``number`` of the client that listens at ``path``."""
    global _inside, _simulated
    _inside, _simulated = DoorBackend(path, number), simulator


def inside() -> DoorBackend | None:
    """The backend that runs this job, when this process runs local jobs."""
    return _inside


def simulator() -> DoorBackend | None:
    """The same, only when that backend is the simulator."""
    return _inside if _simulated else None


class Host(Backend, Protocol):
    """The backend behind a door: it knows which job of its own asks."""

    def submit(self, order: Order, jobs: Iterable[Packed], parent: int | None = None) -> Ranges:
        """As ``Backend.submit``, by the job ``parent``."""

    def watch(self, jids: Ranges, waiting: int | None = None) -> AbstractContextManager[Watcher]:
        """Watch these jobs, for the job of process number ``waiting``."""

    def job_of(self, number: int) -> int | None:
        """The jid that the process of this number runs."""


def _sweep() -> None:
    """Remove the folders of clients that were killed: nobody listens at their doors any more."""
    for folder in glob.glob(os.path.join(glob.escape(tempfile.gettempdir()), f"{_PREFIX}*")):
        with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(os.path.join(folder, "door"))
            except ConnectionRefusedError:
                if os.stat(folder).st_uid == os.getuid():
                    shutil.rmtree(folder, ignore_errors=True)


class Door:
    """The client's side: answers the jobs of one backend."""

    def __init__(self, backend: Host) -> None:
        from multiprocessing.connection import Listener

        self._backend = backend
        _sweep()
        self._folder = tempfile.mkdtemp(prefix=_PREFIX)
        self.path = os.path.join(self._folder, "door")
        self._listener = Listener(self.path, "AF_UNIX", backlog=128)
        self._closed = False
        threading.Thread(target=self._listen, name="cloud-local-door", daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        from multiprocessing.connection import Client

        self._closed = True
        with suppress(OSError), Client(self.path, "AF_UNIX"):  # wakes the thread: closing alone does not
            pass
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _listen(self) -> None:
        while not self._closed:
            try:
                link = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._answer, args=(link,), name="cloud-local-door", daemon=True).start()

    def _answer(self, link: Connection[Any, Any]) -> None:
        with link:
            try:
                number, method, args = link.recv()
                try:
                    self._act(link, number, method, args)
                except CloudException as error:
                    link.send(("error", error))
            except (EOFError, OSError):
                return  # the job, or its wait, has ended

    def _act(self, link: Connection[Any, Any], number: int, method: str, args: tuple[Any, ...]) -> None:
        if method == "submit":
            answer: Any = self._backend.submit(args[0], _items(link), parent=self._backend.job_of(number))
        elif method == "finished":
            self._stream(link, number, *args)
            answer = None
        else:
            answer = getattr(self._backend, method)(*args)
        link.send(("answer", answer))

    def _stream(self, link: Connection[Any, Any], number: int, jids: Ranges, payload: bool) -> None:
        def patience() -> float:  # a job that no longer waits has closed its end
            return 0 if link.poll() else 1.0

        with self._backend.watch(jids, waiting=number) as watcher:
            while not link.poll():
                try:
                    job = watcher.wait(patience)
                except CloudTimeoutError:
                    continue
                if job is None:
                    return
                link.send(("item", job.ended(payload)))


def _items(link: Connection[Any, Any]) -> Iterator[Packed]:
    while (chunk := link.recv()) is not None:
        for data, preview in chunk:
            yield Packed([data], preview)


class DoorBackend:
    """The job's side (a ``cloud._backend.Backend``): the same jobs, asked for through the door."""

    simulated = True

    def __init__(self, path: str, number: int) -> None:
        self._path, self._number = path, number

    def submit(self, order: Order, jobs: Iterable[Packed]) -> Ranges:
        """See ``cloud._backend.Backend.submit``."""
        with self._request("submit", order) as link:
            items = iter(jobs)
            try:
                while chunk := [(b"".join(p.parts), p.preview) for p in islice(items, CHUNK)]:
                    link.send(chunk)
                link.send(None)
            except BrokenPipeError:
                pass  # it was refused; the answer says why
            made: Ranges = _answer(link)
            return made

    def finished(self, jids: Ranges, *, payload: bool = True, patience: Patience = lambda: None) -> Iterator[Finished]:
        """See ``cloud._backend.Backend.finished``."""
        with self._request("finished", jids, payload) as link:
            while True:
                if not link.poll(patience()):
                    raise CloudTimeoutError(
                        "the jobs have not finished in the time allowed", hint="they run on: ask again, or kill them"
                    )
                kind, value = link.recv()
                if kind == "error":
                    raise value
                if kind == "answer":
                    return
                yield value

    def connection_info(self) -> dict[str, Any]:
        """See ``cloud._backend.Backend.connection_info``."""
        info: dict[str, Any] = self._ask("connection_info")
        return info

    def statuses(self, jids: Ranges) -> bytes:
        """See ``cloud._backend.Backend.statuses``."""
        found: bytes = self._ask("statuses", jids)
        return found

    def info(self, jids: Ranges, fields: list[str]) -> dict[int, dict[str, Any]]:
        """See ``cloud._backend.Backend.info``."""
        found: dict[int, dict[str, Any]] = self._ask("info", jids, fields)
        return found

    def payload(self, jid: int, part: str) -> bytes:
        """See ``cloud._backend.Backend.payload``."""
        found: bytes = self._ask("payload", jid, part)
        return found

    def kill(self, jids: Ranges | None) -> int:
        """See ``cloud._backend.Backend.kill``."""
        count: int = self._ask("kill", jids)
        return count

    def delete(self, jids: Ranges) -> int:
        """See ``cloud._backend.Backend.delete``."""
        count: int = self._ask("delete", jids)
        return count

    def rerun(self, jids: Ranges, failed: bool) -> Ranges:
        """See ``cloud._backend.Backend.rerun``."""
        made: Ranges = self._ask("rerun", jids, failed)
        return made

    def listing(
        self, state: str | None, label: str | None, func: str | None, since: int | None, limit: int
    ) -> list[dict[str, Any]]:
        """See ``cloud._backend.Backend.listing``."""
        rows: list[dict[str, Any]] = self._ask("listing", state, label, func, since, limit)
        return rows

    def close(self) -> bool:
        """Nothing to let go of: each request is its own connection."""
        return False

    def _ask(self, method: str, *args: Any) -> Any:
        with self._request(method, *args) as link:
            return _answer(link)

    def _request(self, method: str, *args: Any) -> Connection[Any, Any]:
        from multiprocessing.connection import Client

        try:
            link = Client(self._path, "AF_UNIX")
        except OSError as error:
            raise Unavailable(
                f"the process that started this job does not answer: {error}", hint="it has ended or called cloud.close()"
            ) from error
        link.send((self._number, method, args))
        return link


def _answer(link: Connection[Any, Any]) -> Any:
    try:
        kind, value = link.recv()
    except (EOFError, OSError) as error:
        raise Unavailable("the process that started this job has gone", hint="start it again") from error
    if kind == "error":
        raise value
    return value
