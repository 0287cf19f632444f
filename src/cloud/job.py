"""Jobs: a function applied to one set of arguments, run elsewhere. Every verb once, for the network and for local twins."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from cloud import _session

if TYPE_CHECKING:
    from cloud._backend import Backend, Order, Packed
    from cloud._callbacks import Callbacks
    from cloud._jids import Asked, Jids
    from cloud._options import Chosen
    from cloud._reading import Output
    from cloud._results import Cache
    from picloud.wire.message import Ranges

finished_statuses = ["done", "stalled", "error", "killed"]
SHELL = "picloud"
_VERY_MANY = 10_000_000
"""Jobs above which we ask whether there are so many before making room for what they return."""
_LOOKED_AT = 8
"""Items of a map whose classes' modules are looked for; the rest is taken to be alike."""


class Verbs:
    """What one can do with jobs, over any backend.

    Args:
        backend: gives the place where jobs go now.
        module: where users find these verbs, said in advice; ``SHELL`` = on the command line.
    """

    def __init__(self, backend: Callable[[], Backend], module: str = "cloud") -> None:
        self._backend, self.module = backend, module
        self._caches: dict[int, tuple[Any, Cache]] = {}
        self._watchers: dict[int, tuple[Any, Callbacks]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # ``from cloud import call`` in a function that travels: the verbs of the place where it runs are meant.
        return Verbs, (self._backend, self.module)

    # -- submitting -----------------------------------------------------------------------------------------------

    def call(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> int:
        """Run ``func(*args, **kwargs)`` as a job.

        Args:
            func: any callable.
            args, kwargs: its arguments. Keywords that start with an underscore are options:
                ``_label`` (str), ``_priority`` (int, lower runs earlier, 5), ``_depends_on`` (jids),
                ``_depends_on_errors`` ('abort' or 'ignore'), ``_max_runtime`` (minutes, fractions allowed),
                ``_retries`` (int), ``_retry_delay`` (seconds), ``_retry_on`` (exception classes), ``_kill_process``,
                ``_restartable``, ``_profile`` (bool), ``_os_env_vars`` (names, or dict), ``_secrets`` (names),
                ``_fast_serialization`` (0, 1, 2), ``_webhook`` (URL that is told of the end),
                ``_type`` (core type), ``_cores`` (int), ``_env`` (environment),
                ``_callback``, ``_callback_on_error`` (callables, run here).

        Returns:
            The jid, at once.

        Raises:
            TypeError: not callable, arguments that do not fit its signature, an option of a wrong type or unknown.
            ValueError: an option with a bad value.
            pickle.PicklingError: function or arguments cannot be pickled; names the way to the culprit.
            CloudException: the server refused it, or could not be reached.
        """
        from cloud import _arguments, _options

        chosen = _options.read(kwargs)
        _arguments.check(func, args, chosen.arguments)
        modules: set[str] = set()
        packed = _arguments.pack(args, chosen.arguments, modules, chosen.options.fast_serialization)
        backend = self._backend()
        order = self._order(backend, func, chosen, modules, 1)
        [(jid, _)] = backend.submit(order, [packed])
        if chosen.on_success or chosen.on_error:
            self._callbacks(backend).add(jid, chosen.on_success, chosen.on_error)
        return jid

    def map(self, func: Callable[..., Any], *iterables: Iterable[Any], **kwargs: Any) -> Jids | list[int]:
        """Run ``func`` on each position of the iterables, one job each, like the built-in map.

        Args:
            func: any callable.
            iterables: one for each argument of ``func``; shorter ones are padded with None. May be generators, of any length.
            kwargs: options as in :meth:`call`, but for callbacks. Constant arguments go by ``functools.partial``.

        Returns:
            The jids, as a light sequence; ``[]`` where there is nothing to do. Jobs run while later items are still sent.

        Raises:
            As :meth:`call`. ValueError also for no iterable, or a keyword of the function.
        """
        from cloud import _arguments, _options
        from cloud._jids import Jids

        chosen = _options.read(kwargs, many=True)
        if not iterables:
            raise ValueError("map needs at least one iterable")
        _arguments.check(func, (None,) * len(iterables), {})
        count = _arguments.length(iterables)
        if count == 0:
            return []
        modules: set[str] = set()
        fast = chosen.options.fast_serialization
        jobs: Iterator[Packed] = (
            _arguments.pack(row, {}, modules, fast) for row in _arguments.rows(iterables, told=count is not None)
        )
        head = list(islice(jobs, _LOOKED_AT))
        backend = self._backend()
        with self._interruptible("map", None):
            made = backend.submit(self._order(backend, func, chosen, modules, count), chain(head, jobs))
        return Jids(made) if made else []

    def _order(self, backend: Backend, func: Callable[..., Any], chosen: Chosen, modules: set[str], count: int | None) -> Order:
        from cloud import _function
        from cloud._backend import Order

        code, functions = _function.code(func, chosen.retry_on, modules)
        shipped = []
        if not backend.simulated and _session.config.automatic_dependency_transfer:
            from cloud import _modules

            shipped = _modules.collect(modules, functions, _session.whitelist)
        chosen.options.interactive = getattr(func, "is_program", False) is True
        return Order(code, code.info["name"], chosen.options, shipped, chosen.env_values, count)

    # -- waiting --------------------------------------------------------------------------------------------------

    def status(self, jids: Any) -> Any:
        """State of a job, or list of states: waiting, queued, processing, done, error, stalled, killed.

        Raises:
            NotFound: one of them is unknown.
        """
        from picloud.wire.job import Status

        asked = _asked(jids)
        names = [state.name for state in Status]
        found = [names[state] for state in self._backend().statuses(asked.ranges)] if asked.ranges else []
        return found[0] if asked.single else found

    def join(self, jids: Any, timeout: float | None = None, ignore_errors: bool = False, deadlock_check: bool = True) -> None:
        """Wait until all jobs have ended.

        Args:
            jids: one jid, or any iterable of jids and ranges.
            timeout: seconds; None = for ever.
            ignore_errors: wait for all, and raise nothing about failed ones.
            deadlock_check: kept for old programs: a job that waits for others lends them its place.

        Raises:
            JobError: one has failed; perhaps before the others have ended.
            CloudTimeoutError: the time has passed, or a job would wait for itself.
        """
        from cloud import _results

        asked, deadline = _asked(jids), _results.Deadline(timeout)
        if asked.ranges:
            with self._interruptible("join", asked):
                _results.wait(_knowing(self._backend(), asked), asked, deadline, ignore_errors)

    def result(self, jids: Any, timeout: float | None = None, ignore_errors: bool = False, deadlock_check: bool = True) -> Any:
        """What jobs returned, waiting for it; arguments and errors as in :meth:`join`.

        With ``ignore_errors`` the exception stands in the place of a failed job's value.

        Returns:
            One value for one jid, else a list in the order of ``jids``.
        """
        from cloud import _results

        asked, deadline = _asked(jids), _results.Deadline(timeout)
        backend = self._backend()
        with self._interruptible("result", asked):
            values = _results.gather(_knowing(backend, asked), self._cache(backend), asked, deadline, ignore_errors)
        return values[0] if asked.single else values

    def iresult(
        self,
        jids: Any,
        timeout: float | None = None,
        num_in_parallel: int = 10,
        ignore_errors: bool = False,
        ordered: bool = True,
    ) -> Iterator[Any]:
        """Results one by one, as an iterator that goes on after an error.

        Args:
            jids: one jid, or any iterable of jids and ranges.
            timeout: seconds for each step.
            num_in_parallel: kept for old programs: results are streamed ahead.
            ignore_errors: yield a failed job's exception instead of raising it.
            ordered: False yields (jid, result) as the jobs end.

        Raises:
            JobError, CloudTimeoutError: at the turn of the job; the iteration can go on.
        """
        from cloud import _results

        asked, backend = _asked(jids), self._backend()
        if isinstance(num_in_parallel, bool) or not isinstance(num_in_parallel, int):
            raise TypeError(f"num_in_parallel must be an int, not {num_in_parallel!r}")
        kind = _results.Results if ordered else _results.AsTheyEnd
        return kind(_knowing(backend, asked), self._cache(backend), asked, timeout, ignore_errors)

    # -- looking and ending ---------------------------------------------------------------------------------------

    def info(self, jids: Any, info_requested: Any = None) -> dict[int, dict[str, Any]]:
        """Facts about jobs.

        Args:
            jids: one jid, or any iterable of jids and ranges.
            info_requested: a field, a list of fields, or 'all'; None = stdout, stderr, status, runtime. Dotted names
                (``memory.max_usage``) give one part. Times are datetimes in UTC, sizes bytes, None = not known.

        Returns:
            jid -> field -> value, also for one jid.

        Raises:
            ValueError: no such field.
            NotFound: an unknown jid.
        """
        from cloud import _info

        asked, names = _asked(jids), _info.fields(info_requested)
        return _info.facts(self._backend(), asked.unique(), names) if asked.ranges else {}

    def logs(self, jid: int, stream: str | None = None, follow: bool = False, since: Any = None) -> Iterator[Output]:
        """What a job has printed, piece by piece, as ``(stream, text)``.

        Args:
            jid: one job; of several attempts the newest.
            stream: stdout, stderr, logging, pilog (remarks of the platform) or syslog; None = all, as they came.
            follow: go on until the job has ended (in the simulator: wait for it).
            since: bytes of the one stream to leave out, or a datetime or timedelta (ago): nothing older.

        Raises:
            ValueError: no such stream, or an offset for all of them.
            NotFound: an unknown jid.
        """
        from cloud import _reading

        return _reading.logs(self._backend(), jid, stream, follow, since)

    def samples(self, jid: int, follow: bool = False) -> Iterator[dict[str, Any]]:
        """What a job used over time, a sample each two seconds: ``attempt``, ``at`` (seconds since its begin), and
        cputime, memory, swap, disk, network as :meth:`info` names them; ``follow`` goes on until it has ended."""
        from cloud import _reading

        return _reading.samples(self._backend(), jid, follow)

    def kill(self, jids: Any = None) -> None:
        """End jobs that have not finished.

        Args:
            jids: one jid, or any iterable of jids and ranges; None = every unfinished job of the account.
        """
        asked = None if jids is None else _asked(jids)
        if asked is None or asked.ranges:
            self._backend().kill(asked.unique() if asked else None)

    def delete(self, jids: Any) -> None:
        """Erase result, output and description of finished jobs.

        Raises:
            Conflict: one has not finished.
            NotFound: one is unknown.
        """
        asked = _asked(jids)
        if asked.ranges:
            backend = self._backend()
            backend.delete(asked.unique())
            self._cache(backend).drop(asked.unique())

    def rerun(self, jids: Any, failed: bool = False) -> Jids | list[int]:
        """Submit the same jobs again.

        Args:
            jids: one jid, or any iterable of jids and ranges.
            failed: only those that have not ended as done.

        Returns:
            The new jids.
        """
        from cloud._jids import Jids

        asked = _asked(jids)
        made = self._backend().rerun(asked.unique(), failed) if asked.ranges else []
        return Jids(made) if made else []

    def jobs(
        self, state: str | None = None, label: str | None = None, func: str | None = None, since: Any = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Jobs of the account, newest first.

        Args:
            state: only those in this state.
            label: only those with this label.
            func: only those of a function of this name.
            since: only those created after it: a datetime, or seconds since the epoch.
            limit: how many at most.

        Returns:
            One dict for each job: jid, status, function, label, core_type, cores, created, started, finished (datetimes
            in UTC, or None), runtime (seconds), cause, attempts, parent_jid.
        """
        from cloud import _listing

        return _listing.rows(self._backend(), state, label, func, since, limit)

    def connection_info(self) -> dict[str, Any]:
        """Where jobs go: ``opened, connection_type`` and ``server_url, api_key, api_secretkey``, or ``num_procs``."""
        return self._backend().connection_info()

    @contextmanager
    def _interruptible(self, verb: str, asked: Asked | None) -> Generator[None]:
        """Ctrl-C leaves jobs running: say how to come back to them, or how to end them."""
        try:
            yield
        except KeyboardInterrupt as stop:
            notes = getattr(stop, "__notes__", [])
            if asked is not None:
                again, end = self._typed(verb, asked.ranges), self._typed("kill", asked.ranges)
                long = " until this process ends" if self._backend().simulated else ""
                notes = [f"the jobs run on{long}. {again} waits for them again, {end} ends them"]
            for note in notes:
                print(f"\ncloud: {note}", file=sys.stderr, flush=True)
            raise

    def _typed(self, verb: str, ranges: Ranges) -> str:
        """What to type for a verb: in Python, or at the shell when the command line uses these verbs."""
        from cloud._jids import shown, spelled

        return f"`{SHELL} {verb} {shown(ranges)}`" if self.module == SHELL else f"{self.module}.{verb}({spelled(ranges)})"

    # -- the backend's companions ---------------------------------------------------------------------------------

    def _cache(self, backend: Backend) -> Cache:
        from cloud._results import Cache

        held = self._caches.get(id(backend))
        if held is None or held[0] is not backend:
            self._caches.clear()
            held = self._caches[id(backend)] = backend, Cache(1000 * _session.config.cloud_result_cache_size)
        return held[1]

    def _callbacks(self, backend: Backend) -> Callbacks:
        from cloud._callbacks import Callbacks

        held = self._watchers.get(id(backend))
        if held is None or held[0] is not backend:
            held = self._watchers[id(backend)] = backend, Callbacks(backend)
        return held[1]


def _asked(jids: Any) -> Asked:
    from cloud._jids import asked

    return asked(jids)


def _knowing(backend: Backend, asked: Asked) -> Backend:
    """The backend, which knows all the jobs if they are very many, and could let us wait for them.

    Raises:
        NotFound: it does not know one.
        CloudTimeoutError: a job would wait for itself.
    """
    if not backend.simulated and _session.running_on_cloud():
        from cloud._jids import refuse_itself

        refuse_itself(int(os.environ["PICLOUD_JID"]), asked.ranges)
    if len(asked) > _VERY_MANY:
        backend.statuses(asked.ranges)
    return backend


verbs = Verbs(_session.backend)
"""Of ``cloud.*``: the network, or the simulator."""

call, map, status, join, result, iresult = verbs.call, verbs.map, verbs.status, verbs.join, verbs.result, verbs.iresult
info, logs, samples, kill = verbs.info, verbs.logs, verbs.samples, verbs.kill
delete, rerun, jobs, connection_info = verbs.delete, verbs.rerun, verbs.jobs, verbs.connection_info
