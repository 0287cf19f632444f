"""When a cron comes: five fields as crontab(5) has them, in the time of a place.

``minute hour day month weekday``, each ``*``, a number, a range ``a-b``, a step ``*/n``, ``a-b/n`` or ``a/n`` (from a on), or
a list of these. Months and weekdays have names; Sunday is 0 or 7; ``?`` is ``*`` for the last three. A day must fit **both** day
and weekday; with ``day_or`` one of them is enough if both say something, as in Unix. ``@hourly`` and its like are short forms.

Where clocks are put forward, a time of day that is left out comes at the jump, once. Where they are put back, one that is there
twice comes the first time only. A schedule of every hour counts hours that pass instead: it knows no such day.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
LONGEST = 500
"""Characters of a schedule at most."""
YEARS = 41
"""A 29 February on a given weekday comes again after so many years at the latest."""
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_DAYS = "sun mon tue wed thu fri sat".split()
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_WORD = re.compile(r"[0-9]{1,3}|[a-z]{3}")


@dataclass(frozen=True)
class _Field:
    """One of the five: its name, its numbers, and words for some of them."""

    name: str
    first: int
    last: int
    words: Sequence[str] = ()
    open: bool = False  # "?" is allowed
    most: int = 0  # the last number that may be written, where that is another

    def numbers(self, text: str) -> tuple[int, ...]:
        """The numbers that the text of this field means."""
        found: set[int] = set()
        for part in text.lower().split(","):
            found.update(self._part(part, text))
        return tuple(sorted({0 if self.most and number == self.most else number for number in found}))

    def _part(self, part: str, text: str) -> Iterable[int]:
        span, slash, step = part.partition("/")
        low, dash, high = span.partition("-")
        if span == "*" or (span == "?" and self.open):
            first, last = self.first, self.last
        elif dash:
            first, last = self._number(low, text), self._number(high, text)
            if self.most and last == 0 < first:
                last = self.most  # fri-sun
        else:
            first = self._number(low, text)
            last = max(first, self.last) if slash else first
        if first > last:
            raise self._wrong(text, f"the range {span} ends before it begins")
        if slash and not (step.isascii() and step.isdigit() and 0 < int(step[:4]) <= self.last - self.first + 1):
            raise self._wrong(text, f"a step is a number from 1 to {self.last - self.first + 1}, not {step[:20]!r}")
        return range(first, last + 1, int(step) if slash else 1)

    def _number(self, word: str, text: str) -> int:
        if not _WORD.fullmatch(word):
            raise self._wrong(text, f"{word[:20]!r} is no {self._said()}" if word else "something is missing")
        if word.isdigit():
            number = int(word)
            if not self.first <= number <= (self.most or self.last):
                raise self._wrong(text, f"{number} is out of range, {self.first} to {self.most or self.last}")
            return number
        if word not in self.words:
            raise self._wrong(text, f"{word!r} is no {self._said()}")
        return self.words.index(word) + self.first

    def _said(self) -> str:
        return f"number or name ({', '.join(self.words)})" if self.words else "number"

    def _wrong(self, text: str, why: str) -> ValueError:
        return ValueError(f"the {self.name} field of the schedule, {text[:60]!r}: {why}")


FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31, open=True),
    _Field("month", 1, 12, _MONTHS, open=True),
    _Field("weekday", 0, 6, _DAYS, open=True, most=7),
)


@dataclass(frozen=True)
class Schedule:
    """A schedule that was understood; :func:`parse` makes it."""

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 = Sunday
    zone: ZoneInfo
    either: bool = False  # one of day and weekday is enough

    @property
    def hourly(self) -> bool:
        """Whether it comes in every hour of its days."""
        return len(self.hours) == 24

    def after(self, at: int) -> int | None:
        """The first time later than ``at``, in epoch ms; None where there is none within the next forty years."""
        since = datetime.fromtimestamp(at / 1000, UTC)
        local = since.astimezone(self.zone)
        for day in self._dates(local.date() - _DAY if local.date() > date.min else local.date()):
            for found in self._times(day, since):
                if found > since:
                    return round(found.timestamp() * 1000)
        return None

    def _dates(self, day: date) -> Iterator[date]:
        end = min(day.year + YEARS, date.max.year)
        while day.year < end:
            if day.month not in self.months:
                day = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
                continue
            if self._fits(day):
                yield day
            day += _DAY

    def _fits(self, day: date) -> bool:
        monthly, weekly = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return monthly or weekly if self.either else monthly and weekly

    def _times(self, day: date, since: datetime) -> Iterable[datetime]:
        """The times of a day in their order, those up to ``since`` perhaps left out."""
        begin = datetime.combine(day, time(), self.zone)
        offset = begin.utcoffset()
        if offset != (begin + _DAY).utcoffset() or offset is None:
            return sorted({found for local in self._walls(day) for found in self._meant(local)})
        # A day like most: what is left of it is found without looking at each minute.
        base = datetime.combine(day, time(), UTC) - offset
        passed = max(0, int((since - base) // _MINUTE) + 1)
        return (base + timedelta(minutes=minute) for minute in self._left(passed))

    def _left(self, passed: int) -> Iterator[int]:
        """Minutes of a day from ``passed`` on."""
        hour, minute = divmod(passed, 60)
        for at in self.hours[bisect_left(self.hours, hour) :]:
            for one in self.minutes[bisect_left(self.minutes, minute) if at == hour else 0 :]:
                yield 60 * at + one

    def _walls(self, day: date) -> Iterator[datetime]:
        """What the clock shows there each time."""
        return (datetime.combine(day, time(hour, minute), self.zone) for hour in self.hours for minute in self.minutes)

    def _meant(self, local: datetime) -> list[datetime]:
        """When the clock shows that: mostly once; at a jump never, or twice."""
        first, second = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        if first == second:
            return [first]
        if first.astimezone(self.zone).replace(fold=0, tzinfo=None) == local.replace(tzinfo=None):
            return [first, second] if self.hourly else [first]
        return [] if self.hourly else [self._jump(second, first)]

    def _jump(self, before: datetime, behind: datetime) -> datetime:
        """When the clock was put forward between these."""
        offset = before.astimezone(self.zone).utcoffset()
        low, high = 0, int((behind - before).total_seconds())
        while high - low > 1:
            middle = (low + high) // 2
            if (before + timedelta(seconds=middle)).astimezone(self.zone).utcoffset() == offset:
                low = middle
            else:
                high = middle
        return before + timedelta(seconds=high)


@lru_cache(maxsize=20_000)
def _parsed(text: str, timezone: str, day_or: bool) -> Schedule:
    words = ALIASES.get(text.lower(), text).split()
    if len(words) != len(FIELDS):
        aliases = f"; short forms are {', '.join(ALIASES)}" if text.startswith("@") else ""
        names = " ".join(field.name for field in FIELDS)
        raise ValueError(f"a schedule has 5 fields ({names}), not {len(words)}: {text[:80]!r}{aliases}")
    minutes, hours, days, months, weekdays = (field.numbers(word) for field, word in zip(FIELDS, words, strict=True))
    either = day_or and words[2][0] not in "*?" and words[4][0] not in "*?"
    made = Schedule(text, minutes, hours, frozenset(days), frozenset(months), frozenset(weekdays), zone(timezone), either)
    if made.after(0) is None:
        raise ValueError(f"the schedule {text!r} never comes: no such day exists")
    return made


def parse(schedule: str | Sequence[object], timezone: str = "UTC", *, day_or: bool = False) -> Schedule:
    """Understand a schedule.

    Args:
        schedule: five fields with blanks between, or a sequence of five, or a short form such as ``@daily``.
        timezone: in whose time, a name of the IANA database such as ``Europe/Vienna``.
        day_or: one of day and weekday is enough, where both say something.

    Raises:
        TypeError: neither a text nor a sequence of five.
        ValueError: naming the field that is wrong and why; or no such time zone; or it never comes.
    """
    if isinstance(schedule, Sequence) and not isinstance(schedule, str | bytes):
        if len(schedule) != len(FIELDS):
            raise ValueError(f"a schedule has 5 fields, not {len(schedule)}")
        for field, value in zip(FIELDS, schedule, strict=True):
            if isinstance(value, bool) or not isinstance(value, str | int) or not str(value) or re.search(r"\s", str(value)):
                raise ValueError(f"the {field.name} field of the schedule is a number or a text, not {value!r:.60}")
        schedule = " ".join(map(str, schedule))
    if not isinstance(schedule, str):
        raise TypeError(f"a schedule is a text of five fields, or a sequence of them, not {schedule!r:.80}")
    if not isinstance(timezone, str):
        raise TypeError(f"timezone is a name such as 'Europe/Vienna', not {timezone!r:.80}")
    if len(schedule) > LONGEST:
        raise ValueError(f"a schedule has at most {LONGEST} characters, not {len(schedule)}")
    return _parsed(" ".join(schedule.split()), timezone, bool(day_or))


def zone(name: str) -> ZoneInfo:
    """A time zone by its name.

    Raises:
        ValueError: the IANA database of this machine has none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"there is no time zone {name[:80]!r}: names are those of the IANA database, as 'Europe/Vienna'"
        ) from None
