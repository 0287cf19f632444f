"""A queue as a whole: what is in it, its settings, its dead letters."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from cloud import _graph, _queues
from cloud._letters import DeadLetter
from picloud.wire.error import NotFound
from picloud.wire.queue import check_name

YEARS = 10 * 365 * 86_400
"""The longest retention, in seconds."""
Letters = Iterable[DeadLetter | int] | None


class NamedQueue:
    """What can be asked of a queue by its name."""

    def __init__(self, name: str) -> None:
        self.name = check_name(name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedQueue) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name,)

    # -- the queue itself -------------------------------------------------------------------------------------------

    def count(self) -> int:
        """About how many messages wait, delayed ones included and those in hand not. 0 where it has not been used."""
        try:
            return int(_queues.listing(self.name)[0]["count"])
        except NotFound:
            return 0

    def info(self) -> dict[str, Any]:
        """What is known of it.

        Returns:
            ``name``, ``created`` (datetime), ``paused``, ``retention`` (seconds, 0 = for ever). Messages: ``count`` (they wait),
            ``in_hand``, ``delayed`` (of those that wait), ``dead``; ``oldest`` (age of the oldest that is visible, in seconds,
            or None). What happens: ``enqueue_rate``, ``dequeue_rate`` (messages a second), ``error_share`` (0 to 1, of the last
            minute), ``empty_in`` (seconds until it is empty, going on like this; None where it is not), ``windows`` (tuples of
            start, messages that came, went, failed, were retried: of each 10 s of the last minute in which something happened).
            ``handler``: None, or a dict of the attachment's settings, the jobs it has, and its ``ceiling`` in dollars an hour.

        Raises:
            NotFound: it has not been used, or was deleted.
        """
        return _graph.shown(_queues.listing(self.name)[0])

    def delete(self) -> bool:
        """Remove the queue with all that is in it; True where there was one."""
        return bool(_queues.ask("delete", self.name)["deleted"])

    def purge(self) -> int:
        """Remove all messages that wait; how many. Those in hand stay, dead letters too.

        Raises:
            NotFound: as :meth:`info`.
        """
        return int(_queues.ask("purge", self.name)["removed"])

    def pause(self) -> None:
        """Hand nothing to the handler until :meth:`resume`. ``pop`` and ``pop_tickets`` go on."""
        _queues.ask("change", self.name, paused=True)

    def resume(self) -> None:
        """Hand messages to the handler again."""
        _queues.ask("change", self.name, paused=False)

    def set_retention(self, seconds: float) -> None:
        """Set messages aside, as dead letters of cause ``expired``, that nobody reads for so long.

        Args:
            seconds: up to ten years; 0 = never, as it is at first.

        Raises:
            ValueError: out of that range.
        """
        _queues.ask("change", self.name, retention=_queues.milliseconds("retention", seconds, 0, YEARS) / 1000)

    # -- dead letters -----------------------------------------------------------------------------------------------

    def dead(self, max_count: int = 1000, before: int | None = None) -> list[DeadLetter]:
        """Messages that failed for good, the newest first.

        Args:
            max_count: so many at most.
            before: only those with smaller ids: the last one's of the page before; None = from the newest on.

        Raises:
            ValueError: ``max_count`` is no number from 1 to 1,000,000, ``before`` no id.
            NotFound: as :meth:`info`.
        """
        count = _queues.check_count("max_count", max_count, 1, 1_000_000)
        if before is not None:
            _queues.check_count("before", before, 1, 1 << 62)
        return [DeadLetter(one) for one in islice(_queues.dead(self.name, before), count)]

    def replay(self, letters: Letters = None) -> int:
        """Put dead letters back into the queue, as new messages; how many.

        Args:
            letters: of :meth:`dead`, or their ids; None = all there are.

        Raises:
            ValueError: something else.
            NotFound: as :meth:`info`.
        """
        return int(_queues.ask("replay", self.name, ids=_ids(letters))["replayed"])

    def bury(self, letters: Letters = None) -> int:
        """Remove dead letters for good; how many. Arguments and errors as for :meth:`replay`."""
        return int(_queues.ask("bury", self.name, ids=_ids(letters))["removed"])


def _ids(letters: Letters) -> list[int] | None:
    if letters is None:
        return None
    if isinstance(letters, DeadLetter | int):
        letters = [letters]
    ids = [each.id if isinstance(each, DeadLetter) else each for each in letters]
    return [_queues.check_count("the id of a dead letter", each, 1, (1 << 62)) for each in ids]
