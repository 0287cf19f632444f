"""What is counted, and how it is told to Prometheus and OpenTelemetry."""

from __future__ import annotations

import pytest

from picloud.server.metrics import Family, Histogram, Metrics, Sample, otlp, text
from picloud.wire.job import Status
from picloud.wire.message import Finished, Lease, Submitted


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def family(metrics: Metrics, name: str) -> Family:
    return next(one for one in metrics.families() if one.name == name)


def test_the_text_format() -> None:
    seen = Histogram((0.5, 2.0))
    for value in (0.5, 1.0, 9.0):
        seen.add(value)
    told = text([
        Family("a_seconds", "histogram", "Told.", [Sample((("route", "/x"),), seen)]),
        Family("b", "gauge", "More.", [Sample((("name", 'q"\\\n'),), 2.5), Sample((), 3)]),
    ]).decode()  # fmt: skip
    assert told.splitlines() == [
        "# HELP a_seconds Told.", "# TYPE a_seconds histogram",
        'a_seconds_bucket{route="/x",le="0.5"} 1', 'a_seconds_bucket{route="/x",le="2"} 2',
        'a_seconds_bucket{route="/x",le="+Inf"} 3', 'a_seconds_sum{route="/x"} 10.5', 'a_seconds_count{route="/x"} 3',
        "# HELP b More.", "# TYPE b gauge", 'b{name="q\\"\\\\\\n"} 2.5', "b 3"]  # fmt: skip
    assert told.endswith("\n")


def test_requests_are_counted_by_route_and_kind_of_status() -> None:
    metrics = Metrics()
    for status in (200, 206, 404):
        metrics.answered("GET", "/v1/job/{jid}/log", status, 0.002)
    found = {sample.labels: sum(sample.value.counts) for sample in family(metrics, "picloud_http_request_seconds").samples
             if isinstance(sample.value, Histogram)}  # fmt: skip
    route = (("method", "GET"), ("route", "/v1/job/{jid}/log"))
    assert found == {(*route, ("status", "2xx")): 2, (*route, ("status", "4xx")): 1}


def test_jobs_are_counted_once_however_they_are_accepted() -> None:
    metrics = Metrics()
    for answer in (
        Submitted(1, 1, 1),
        Submitted(2, 2, 100),
        Submitted(2, 2, 150),
        Submitted(2, 2, 150),
        Submitted(0, 0, 0, ["x"]),
    ):
        metrics.accepted(answer)
    assert metrics.submitted == 151
    metrics.accepted([(5, 3), (9, 1)])
    assert metrics.submitted == 155
    metrics.ended([Finished(1, Status.done), Finished(2, Status.done), Finished(3, Status.error)])
    assert [(sample.labels, sample.value) for sample in family(metrics, "picloud_jobs_finished_total").samples] == [
        ((("state", "done"),), 2), ((("state", "error"),), 1)]  # fmt: skip


def test_the_wait_is_from_acceptance_to_the_first_lease() -> None:
    clock = Clock()
    metrics = Metrics(clock)
    metrics.accepted(Submitted(7, 1, 3))
    clock.now += 2
    metrics.accepted(Submitted(7, 1, 5))
    lease = [Lease(jid, 1, b"", 7, b"") for jid in (1, 2)]
    metrics.leased([*lease, Lease(3, 2, b"", 7, b""), Lease(9, 1, b"", 8, b"")])
    assert (metrics.waited.sum, sum(metrics.waited.counts)) == (4.0, 2), "no second attempt, nothing unknown"


def test_the_request_of_opentelemetry() -> None:
    metrics = Metrics()
    metrics.answered("GET", "/v1/health", 200, 0.002)
    found = otlp(metrics.families(), {"service.name": "picloud"}, 1000, 2000)["resourceMetrics"][0]
    assert found["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "picloud"}}]
    told = {one["name"]: one for one in found["scopeMetrics"][0]["metrics"]}
    assert "picloud_jobs_finished_total" not in told, "what has no points is left out"
    (point,) = told["picloud_http_request_seconds"]["histogram"]["dataPoints"]
    assert len(point["bucketCounts"]) == len(point["explicitBounds"]) + 1 and point["count"] == "1"
    assert (point["startTimeUnixNano"], point["timeUnixNano"]) == ("1000000000", "2000000000")
    submitted = told["picloud_jobs_submitted_total"]["sum"]
    assert submitted["isMonotonic"] and submitted["aggregationTemporality"] == 2
    assert submitted["dataPoints"][0]["asDouble"] == 0.0


@pytest.mark.parametrize(("value", "at"), [(0.0, 0), (0.5, 0), (0.50001, 1), (2.0, 1), (3.0, 2)])
def test_a_value_counts_for_the_first_bound_that_holds_it(value: float, at: int) -> None:
    seen = Histogram((0.5, 2.0))
    seen.add(value, 4)
    assert seen.counts == [4 * (place == at) for place in range(3)]
