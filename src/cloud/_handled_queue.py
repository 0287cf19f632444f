"""A queue with a handler: attaching one, taking it away, changing how many jobs it may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from cloud import _queues
from cloud._named_queue import NamedQueue
from picloud.wire.job import Status
from picloud.wire.queue import MOST_JOBS


class HandledQueue(NamedQueue):
    """What can be said of a queue's handler."""

    def attach(  # noqa: PLR0913 - the original's parameters
        self,
        message_handler: Any,
        output_queues: HandledQueue | Sequence[HandledQueue] = (),
        iter_output: bool = False,
        readers_per_job: int = 1,
        max_parallel_jobs: int = 1,
        retry_on: type[Exception] | Sequence[type[Exception]] = (),
        max_retries: int | None = None,
        retry_delay: int | None = None,
        on_error: Mapping[type[Exception], Mapping[str, Any]] | None = None,
        **reserved: Any,
    ) -> bool:
        """Have messages handled by jobs, which start when there are messages and end when there are none.

        A handler that the queue has is replaced; it finishes the messages that it holds. What a message brings about inside
        (its end, the messages that come of it) happens exactly once; what the handler does elsewhere may happen again, if its
        job dies: a handler that names a parameter ``message_id`` is given a number that stays the same then.

        Args:
            message_handler: a callable of one argument, the message; or an object with ``message_handler(message)`` and perhaps
                ``pre_handling()`` and ``post_handling()``, called once in each reader, before the first message and after the
                last. It is given ``cur_retry``, ``max_retries``, ``message_id`` too, if it names parameters so.
            output_queues: where the returned value goes, at most 50 queues; None goes nowhere.
            iter_output: push each element of the returned iterable instead, also None.
            readers_per_job: processes in each job, 1 to 128; for handlers that wait more than they compute.
            max_parallel_jobs: jobs at once; 0 stops the handling. ``_max_parallel_jobs`` is the same.
            retry_on: exceptions after which a message is tried again; needs the next two.
            max_retries: so often at most.
            retry_delay: seconds between two tries.
            on_error: ``{ExceptionClass: {'queue': queue, 'delay': seconds}}``: a message that failed with one of these goes
                there, as ``{'exception', 'traceback', 'source_message', 'cur_retry'}``. Others become dead letters.
            reserved: ``_cores _env _label _os_env_vars _priority _profile _restartable _secrets _type _vol``, as for
                ``cloud.call``.

        Returns:
            True.

        Raises:
            TypeError, ValueError: something is none of these, or out of range.
            pickle.PicklingError: the handler cannot be pickled; the text names the way to what cannot.
            NotFound: no such environment or volume.
        """
        from cloud import _attach

        rules = _attach.rules(retry_on, max_retries, retry_delay)
        plan = _attach.Plan(output_queues, iter_output, readers_per_job, max_parallel_jobs, rules, on_error or {}, reserved)
        _attach.attach(self.name, message_handler, plan)
        return True

    def detach(self) -> bool:
        """Take the handler away; it finishes the messages that it holds. True where there was one.

        Raises:
            NotFound: the queue has not been used, or was deleted.
        """
        return bool(_queues.ask("detach", self.name)["detached"])

    def jobs(self, state: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Jobs of the queue's handlers, newest first, as ``cloud.jobs`` tells of them.

        Args:
            state: only those in this state.
            limit: how many at most, 1 to 1000.

        Raises:
            ValueError: no such state; ``limit`` out of range.
        """
        from cloud import _listing

        if state is not None and state not in Status.__members__:
            raise ValueError(f"state must be one of {', '.join(Status.__members__)}, not {state!r}")
        asked = {"queue": self.name, "limit": _queues.check_count("limit", limit, 1, 1000)} | ({"state": state} if state else {})
        return _listing.shown(_queues.link().json("GET", f"/v1/job?{urlencode(asked)}")["jobs"])

    def set_max_parallel_jobs(self, max_parallel_jobs: int) -> None:
        """Let the handler have more jobs at once, or fewer; 0 lets all end when they have finished what they hold.

        Raises:
            ValueError: not a number from 0 to 10,000.
            NotFound: the queue has no handler.
        """
        count = _queues.check_count("max_parallel_jobs", max_parallel_jobs, 0, MOST_JOBS)
        _queues.ask("resize", self.name, max_jobs=count)
