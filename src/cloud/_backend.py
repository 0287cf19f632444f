"""The seam below the verbs: where jobs go. One contract, three places.

``cloud.job`` holds every verb once (``class Verbs(backend: Callable[[], Backend])``): argument checks, packing, result
ranges, progress, error texts, ordering, callbacks, timeouts. Below it a :class:`Backend` only stores, runs and reports:

    cloud._session     the network (a server, or inside a job the door)
    cloud._local       worker processes of this machine: ``cloud.mp`` and the simulator each own one
    cloud._local_door  the same from inside a job of such a process

``cloud.mp`` is ``Verbs(<its local backend>)``; ``cloud.*`` is ``Verbs(_session.backend)``, where ``_session.backend()``
gives the network or, under ``use_simulator``, ``cloud._simulator.backend()``.

All errors are ``picloud.wire.error`` classes. Every method may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from picloud.wire.job import Options
from picloud.wire.message import Code, Finished, Ranges
from picloud.wire.payload import Buffer

Patience = Callable[[], float | None]
"""How many seconds the caller would wait from now on (None = for ever); asked again before each wait."""


class Packed(NamedTuple):
    """The arguments of one job: the parts of a ``picloud.wire.payload`` and a short text that shows them."""

    parts: list[Buffer]
    preview: str


@dataclass
class Order:
    """One call or map, as the verbs hand it down: everything but the arguments."""

    function: Code  # kind "function": pickle of (callable, retry_on)
    name: str  # the function's name, for people
    options: Options
    modules: list[Code] = field(default_factory=list)  # empty where ``backend.simulated``: same disk, same path
    env_values: dict[str, str] = field(default_factory=dict)
    count: int | None = 1  # how many jobs; None = not known before the items end


class Backend(Protocol):
    """Stores jobs, runs them, tells how they ended."""

    simulated: bool
    """True where jobs run on this machine without a server (``cloud.mp`` and the simulator)."""

    def submit(self, order: Order, jobs: Iterable[Packed]) -> Ranges:
        """Accept one job per item of ``jobs`` (consumed once, lazily, on the caller's thread) and return their jids.

        Early jobs may run while later items are still made. An exception of the iterable passes through; what was
        accepted before it stays accepted.

        Raises:
            NotFound: a jid of ``options.depends_on`` is unknown.
        """

    def statuses(self, jids: Ranges) -> bytes:
        """One ``Status`` byte per jid, in the order of the ranges. NotFound (with ``jid``) names the first unknown one."""

    def finished(self, jids: Ranges, *, payload: bool = True, patience: Patience = lambda: None) -> Iterator[Finished]:
        """Each of the jobs once, as soon as it is final, in the order of ending; ends after the last.

        With ``payload``, ``data`` of a done job is always set: a backend fetches blobs itself.

        Raises:
            CloudTimeoutError: nothing came within the caller's patience. Ask again with the jids that are missing.
            NotFound: an unknown jid.
        """

    def info(self, jids: Ranges, fields: list[str]) -> dict[int, dict[str, Any]]:
        """Facts about jobs, JSON-like values only (times: epoch ms), as ``POST /v1/job/info``. NotFound as above."""

    def payload(self, jid: int, part: str) -> bytes:
        """Stored bytes of a job: ``part`` is "function" (pickle of (callable, retry_on)), "args" or "result"."""

    def kill(self, jids: Ranges | None) -> int:
        """End the unfinished ones (None: all unfinished jobs of the account); how many were."""

    def delete(self, jids: Ranges) -> int:
        """Forget finished jobs; Conflict if one is unfinished."""

    def rerun(self, jids: Ranges, failed: bool) -> Ranges:
        """Submit the same jobs again (``failed``: only those that did not end as done); the new jids."""

    def listing(
        self, state: str | None, label: str | None, func: str | None, since: int | None, limit: int
    ) -> list[dict[str, Any]]:
        """Newest first, as ``GET /v1/job``: {jid, status, function, label, core_type, cores, created, started, ...}."""

    def connection_info(self) -> dict[str, Any]:
        """``opened, connection_type`` and ``server_url, api_key, api_secretkey`` or ``num_procs``."""

    def close(self) -> bool:
        """Let go of connection, threads and processes; True if there was something open. The next use opens again."""
