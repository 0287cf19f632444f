"""Which server, which key; and whether this is a job, or the simulator, instead.

Where jobs go is decided at each use: inside a job through the job's door, under the simulator to processes of this machine,
else to the server and account of, first found wins: ``setkey``, the environment, ``cloudconf.py``.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from cloud import _config
from picloud.wire.error import SetupError

if TYPE_CHECKING:
    from cloud._backend import Backend, Order, Packed, Patience
    from cloud._line import Line
    from picloud.wire.link import Link
    from picloud.wire.message import Finished, Ranges

_lock = threading.RLock()
_current: Session | None = None
_immutable = False
_simulates: bool | None = None
"""What ``start_simulator`` or ``setkey`` said; None = as the configuration says."""
whitelist: tuple[str, ...] | None = None


class Session:
    """One account at one server: a ``cloud._backend.Backend`` over the network, or over the door of a job."""

    simulated = False

    def __init__(self, url: str, key: str = "", secret: str = "", *, fingerprint: str = "", door: str = "") -> None:
        self.url, self.key, self.secret, self.fingerprint, self.door = url, key, secret, fingerprint, door
        self._sent: set[str] = set()
        self._link: Link | None = None
        self._server: dict[str, Any] | None = None
        self._tokens: Any = None
        self._lock = threading.Lock()
        self._local = threading.local()
        self._lines: WeakSet[Line] = WeakSet()

    @property
    def link(self) -> Link:
        """The link, opened at first use."""
        found = self._link
        if found is None:
            from picloud.wire.link import Link

            with self._lock:
                if self._link is None:
                    self._link = Link(
                        self.url, key=self.key, secret=self.secret, fingerprint=self.fingerprint, door=self.door, on_trouble=_tell
                    )
                found = self._link
        return found

    def server(self) -> dict[str, Any]:
        """What the server says about itself; asked once."""
        if self._server is None:
            self._server = self.link.json("GET", "/v1/server")
        return self._server

    def submit(self, order: Order, jobs: Iterable[Packed]) -> Ranges:
        """See ``cloud._backend.Backend.submit``. ValueError: the server has no such core type, or not so many cores."""
        from cloud._options import check_cores
        from cloud._submit import Submission, Tokens

        if order.options.core_type or order.options.cores != 1:
            check_cores(order.options, self.server())
        with self._lock:
            if self._tokens is None:
                self._tokens = Tokens()
        if self.door:
            parent, n = os.environ.get("PICLOUD_JID", ""), os.environ.get("PICLOUD_ATTEMPT", "")
            return Submission(self.link, order, self._sent, self._tokens, parent, f"{parent}.{n}").run(jobs)
        line = self._line() if order.count == 1 else None
        return Submission(self.link, order, self._sent, self._tokens, line=line).run(jobs)

    def _line(self) -> Line:
        """The line of this thread, open or not."""
        found: Line | None = getattr(self._local, "line", None)
        if found is None:
            from cloud._line import Line

            found = self._local.line = Line(self.link)
            with self._lock:
                self._lines.add(found)
        return found

    def statuses(self, jids: Ranges) -> bytes:
        """See ``cloud._backend.Backend.statuses``."""
        from picloud.wire.message import Watch, encode

        return self.link.request("POST", "/v1/job/status", encode(Watch(jids, payload=False)))

    def finished(
        self, jids: Ranges, *, payload: bool = True, patience: Patience = lambda: None, bell: Any = None
    ) -> Iterator[Finished]:
        """See ``cloud._backend.Backend.finished``. ``bell``: lets another thread interrupt the wait."""
        from cloud._stream import fetched, finished

        line: Line | None = getattr(self._local, "line", None)
        if line is None or len(jids) != 1 or jids[0][1] != 1 or bell is not None or not payload:
            yield from finished(self.link, jids, payload, patience, bell)
            return
        jid = jids[0][0]
        if (told := line.end(jid, patience)) is not None:
            yield from fetched(self.link, [told])
            return
        yield from finished(self.link, jids, payload, patience)
        line.asked(jid)

    def info(self, jids: Ranges, fields: list[str]) -> dict[int, dict[str, Any]]:
        """See ``cloud._backend.Backend.info``."""
        found = self.link.json("POST", "/v1/job/info", {"jids": jids, "fields": fields})["jobs"]
        return {int(jid): facts for jid, facts in found.items()}

    def payload(self, jid: int, part: str) -> bytes:
        """See ``cloud._backend.Backend.payload``."""
        return bytes(self.link.get(f"/v1/job/{jid}/payload?part={part}"))

    def kill(self, jids: Ranges | None) -> int:
        """See ``cloud._backend.Backend.kill``."""
        return int(self.link.json("POST", "/v1/job/kill", {"jids": jids})["killed"])

    def delete(self, jids: Ranges) -> int:
        """See ``cloud._backend.Backend.delete``."""
        return int(self.link.json("POST", "/v1/job/delete", {"jids": jids})["deleted"])

    def rerun(self, jids: Ranges, failed: bool) -> Ranges:
        """See ``cloud._backend.Backend.rerun``."""
        made = self.link.json("POST", "/v1/job/rerun", {"jids": jids, "failed": failed, "token": os.urandom(16).hex()})
        return [(first, count) for first, count in made["jids"]]

    def listing(
        self, state: str | None, label: str | None, func: str | None, since: int | None, limit: int
    ) -> list[dict[str, Any]]:
        """See ``cloud._backend.Backend.listing``."""
        from urllib.parse import urlencode

        asked = {"state": state, "label": label, "func": func, "since": since}
        rows: list[dict[str, Any]] = []
        before: int | None = None
        while len(rows) < limit:
            query = {**asked, "limit": min(limit - len(rows), 1000), "before": before}
            page = self.link.json("GET", f"/v1/job?{urlencode({k: v for k, v in query.items() if v is not None})}")
            rows += page["jobs"]
            before = page["next"]
            if before is None or not page["jobs"]:
                break
        return rows

    def connection_info(self) -> dict[str, Any]:
        """See ``cloud._backend.Backend.connection_info``."""
        kind = "HTTPS" if self.url.startswith("https") else "HTTP"
        return {
            "opened": self._link is not None,
            "connection_type": kind,
            "server_url": self.url,
            "api_key": int(self.key) if self.key.isdigit() else self.key,
            "api_secretkey": self.secret,
        }

    def close(self) -> bool:
        """See ``cloud._backend.Backend.close``."""
        with self._lock:
            link, self._link, self._server = self._link, None, None
            lines, self._lines, self._local = list(self._lines), WeakSet(), threading.local()
        for line in lines:
            line.close()
        self._sent.clear()
        if link is not None:
            link.close()
        return link is not None


def _tell(text: str) -> None:
    print(f"cloud: {text}", file=sys.stderr, flush=True)


# -- the current one --------------------------------------------------------------------------------------------------


def backend() -> Backend:
    """Where jobs of ``cloud.*`` go now."""
    if not running_on_cloud() and _is_simulated():
        from cloud import _simulator

        return _simulator.backend(config.num_procs)
    return session()


def session() -> Session:
    """The current account at its server.

    Raises:
        SetupError: nothing says which key to use.
    """
    global _current
    found = _current
    if found is None:
        with _lock:
            if _current is None:
                _current = _inside() if running_on_cloud() else _configured()
            found = _current
    return found


def _inside() -> Session:
    return Session("http://localhost", door=os.environ["PICLOUD_SOCKET"])


def _configured(key: Any = None, secret: str | None = None, url: str | None = None) -> Session:
    number = str(key if key is not None else config.api_key)
    if not number.isdigit():
        hint = "start a server with `picloud up`, or run `picloud setup` to use one elsewhere, or set PICLOUD_API_KEY"
        if number not in ("", "None"):
            raise SetupError(f"an API key is a number, not {number!r}", hint=hint)
        raise SetupError(f"no API key is configured in {_config.folder()}", hint=hint)
    if secret is None and os.environ.get("PICLOUD_API_KEY", number) == number:
        secret = os.environ.get("PICLOUD_API_SECRETKEY")
    address = str(url or config.url).rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise SetupError(f"{address!r} is not an address: it starts with http:// or https://", hint="see cloud.config.url")
    return Session(address, number, secret or _config.secret_of(number), fingerprint=config.fingerprint)


def running_on_cloud() -> bool:
    """True only inside a job of a server."""
    return "PICLOUD_SOCKET" in os.environ and "PICLOUD_JID" in os.environ


def is_simulated() -> bool:
    """True when jobs run on this machine without a server."""
    return not running_on_cloud() and _is_simulated()


def _is_simulated() -> bool:
    if _simulates is not None:
        return _simulates
    inside = sys.modules.get("cloud._local_door")  # a job of the simulator has it loaded
    return bool(config.use_simulator) or (inside is not None and inside.simulator() is not None)


def setkey(
    api_key: int | str,
    api_secretkey: str | None = None,
    server_url: str | None = None,
    restart: bool = False,
    immutable: bool = False,
) -> None:
    """Use another account, or another server. Turns the simulator off. Does nothing inside a job.

    Args:
        api_key: numeric key of the account.
        api_secretkey: its secret; None = as stored on this machine by ``picloud setup``.
        server_url: address of the server; None = as configured.
        restart: connect anew even when key and server stay the same.
        immutable: later calls of ``setkey`` do nothing.

    Raises:
        ValueError: the key is not a number.
        SetupError: no secret is stored for it here.
    """
    global _current, _immutable, _simulates, whitelist
    if running_on_cloud() or _immutable:
        return
    if not str(api_key).isdigit():
        raise ValueError(f"an API key is a number, not {api_key!r}")
    made = _configured(api_key, api_secretkey, server_url)
    with _lock:
        old = _current
        same = old is not None and (old.url, old.key, old.secret) == (made.url, made.key, made.secret)
        if restart or not same:
            _current = made
            if old is not None:
                old.close()
        _immutable, _simulates, whitelist = immutable, False, None
    _stop_simulator()


def start_simulator(force_restart: bool = False) -> None:
    """Run jobs of ``cloud.*`` on processes of this machine, without a server.

    Args:
        force_restart: drop the jobs of a simulator that runs already.
    """
    global _simulates, whitelist
    from cloud import _simulator

    _simulator.start(force_restart)
    _simulates, whitelist = True, None


def set_dependency_whitelist(whitelist: Iterable[str] | None) -> None:
    """Say which of your own modules may travel with functions.

    Args:
        whitelist: dotted names; packages above and modules below a listed one may travel too. None = all.

    Raises:
        TypeError: not a list of str.
    """
    names = None if whitelist is None else [whitelist] if isinstance(whitelist, str) else list(whitelist)
    if names is not None and not all(isinstance(name, str) for name in names):
        raise TypeError(f"the whitelist must be a list of dotted module names, not {whitelist!r}")
    globals()["whitelist"] = None if names is None else tuple(sorted(names))


def close() -> bool:
    """Let go of the connection and of threads. The next use opens it again.

    Returns:
        True if it was open.
    """
    if running_on_cloud():
        return False
    found = backend() if _current is not None or _is_simulated() else None
    return found.close() if found is not None else False


def getconfigpath() -> str:
    """The folder of configuration and credentials of this user."""
    return _config.folder()


def _recommit() -> None:
    """What ``config.commit()`` does."""
    global _current, _simulates, _immutable
    with _lock:
        old, _current = _current, None
        _simulates, _immutable = None, False
    if old is not None:
        old.close()
    _stop_simulator()


def _stop_simulator() -> None:
    simulator = sys.modules.get("cloud._simulator")
    if simulator is not None:
        simulator.stop()


config = _config.Config(_recommit)
