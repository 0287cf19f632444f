"""What is counted as it happens, and the form in which figures are told to Prometheus and OpenTelemetry.

Counting is what the hot paths pay: a look into a dict and a bisection, 1 µs for a request. All else is found out when
somebody asks (``server.overview``). The library of Prometheus would take a lock for each figure and keep them in one
place for the whole process; what it would spare us is its text format, which is below.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from picloud.wire.job import Status
from picloud.wire.message import Finished, Lease, Submitted

HTTP_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 30.0)
WAIT_BOUNDS = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
REMEMBERED = 20_000
"""Submissions whose time of acceptance is known."""
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


class Histogram:
    """Values, counted by the first bound that they do not exceed."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self.counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times


class Sample(NamedTuple):
    labels: Labels
    value: float | Histogram


class Family(NamedTuple):
    """All figures of one name."""

    name: str
    kind: str  # counter, gauge or histogram
    told: str
    samples: Sequence[Sample]


class Metrics:
    """The counters of this process.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.http: dict[tuple[str, str, int], Histogram] = {}  # method, route, hundreds of the status
        self.submitted = 0
        self.finished: dict[int, int] = {}  # by Status
        self.waited = Histogram(WAIT_BOUNDS)
        self._accepted: OrderedDict[int, tuple[float, int]] = OrderedDict()  # submission -> when, how many jobs

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request came to its end."""
        found = self.http.get((method, route, status // 100))
        if found is None:
            found = self.http[method, route, status // 100] = Histogram(HTTP_BOUNDS)
        found.add(seconds)

    def accepted(self, answer: Any) -> None:
        """Jobs were accepted, as the accepting act has answered."""
        if isinstance(answer, Submitted):
            if not answer.submission:
                return
            when, before = self._accepted.pop(answer.submission, (self._clock(), 0))
            self._accepted[answer.submission] = when, answer.accepted
            if len(self._accepted) > REMEMBERED:
                self._accepted.popitem(last=False)
            self.submitted += max(0, answer.accepted - before)
        elif isinstance(answer, list):  # ranges of jids
            self.submitted += sum(count for _, count in answer)
        else:
            self.submitted += len(getattr(answer, "jids", (0,)))

    def leased(self, leases: Sequence[Lease]) -> None:
        """Jobs are given to a worker."""
        now, known = self._clock(), self._accepted
        if len(leases) == 1:
            if leases[0].n == 1 and (found := known.get(leases[0].submission)) is not None:
                self.waited.add(now - found[0])
            return
        for submission, times in Counter(item.submission for item in leases if item.n == 1).items():
            if submission in known:
                self.waited.add(now - known[submission][0], times)

    def ended(self, finished: Iterable[Finished]) -> None:
        """Jobs have come to their end."""
        counts = self.finished
        for item in finished:
            counts[item.status] = counts.get(item.status, 0) + 1

    def families(self) -> list[Family]:
        """What was counted."""
        http = [Sample((("method", method), ("route", route), ("status", f"{hundreds}xx")), seen)
                for (method, route, hundreds), seen in sorted(self.http.items())]  # fmt: skip
        ends = [Sample((("state", Status(status).name),), count) for status, count in sorted(self.finished.items())]
        return [
            Family("picloud_http_request_seconds", "histogram", "Requests by route, until the answer was out.", http),
            Family("picloud_jobs_submitted_total", "counter", "Jobs accepted since the start.", [Sample((), self.submitted)]),
            Family("picloud_jobs_finished_total", "counter", "Jobs that ended since the start, by their state.", ends),
            Family("picloud_job_wait_seconds", "histogram",
                   "From the acceptance of a submission to the first lease of each of its jobs.", [Sample((), self.waited)]),
        ]  # fmt: skip


def text(families: Iterable[Family]) -> bytes:
    """The text format of Prometheus."""
    return "".join(line + "\n" for family in families for line in _lines(family)).encode()


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.told}"
    yield f"# TYPE {family.name} {family.kind}"
    for labels, value in family.samples:
        if not isinstance(value, Histogram):
            yield f"{family.name}{_labels(labels)} {_number(value)}"
            continue
        total = 0
        for bound, count in zip((*value.bounds, float("inf")), value.counts, strict=True):
            total += count
            yield f"{family.name}_bucket{_labels((*labels, ('le', _number(bound))))} {total}"
        yield f"{family.name}_sum{_labels(labels)} {_number(value.sum)}"
        yield f"{family.name}_count{_labels(labels)} {total}"


def _labels(labels: Labels) -> str:
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{told}}}" if told else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def otlp(families: Iterable[Family], resource: Mapping[str, str], began: int, now: int) -> dict[str, Any]:
    """The same as a request of OpenTelemetry (OTLP/HTTP, JSON).

    Args:
        resource: what tells us from others.
        began: epoch ms since when counters count.
        now: epoch ms.
    """
    scope = {"scope": {"name": "picloud"}, "metrics": [_otlp(family, began, now) for family in families if family.samples]}
    told = {"attributes": _attributes(tuple(resource.items()))}
    return {"resourceMetrics": [{"resource": told, "scopeMetrics": [scope]}]}


def _otlp(family: Family, began: int, now: int) -> dict[str, Any]:
    made: dict[str, Any] = {"name": family.name, "description": family.told}
    points = [_point(sample, began, now) for sample in family.samples]
    if family.kind == "gauge":
        return made | {"gauge": {"dataPoints": points}}
    if family.kind == "counter":
        return made | {"sum": {"dataPoints": points, "aggregationTemporality": 2, "isMonotonic": True}}
    return made | {"histogram": {"dataPoints": points, "aggregationTemporality": 2}}


def _point(sample: Sample, began: int, now: int) -> dict[str, Any]:
    made: dict[str, Any] = {"attributes": _attributes(sample.labels), "timeUnixNano": f"{now}000000",
                            "startTimeUnixNano": f"{began}000000"}  # fmt: skip
    value = sample.value
    if not isinstance(value, Histogram):
        return made | {"asDouble": float(value)}
    counts = [str(count) for count in value.counts]
    return made | {
        "count": str(sum(value.counts)),
        "sum": value.sum,
        "bucketCounts": counts,
        "explicitBounds": list(value.bounds),
    }


def _attributes(labels: Labels) -> list[dict[str, Any]]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in labels]
