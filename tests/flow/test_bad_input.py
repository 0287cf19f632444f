"""What users get wrong, and what is merely large: a clear typed error before anything is stored, or success."""

import itertools
import os
from typing import Any

import pytest

import cloud

pytestmark = pytest.mark.live


@pytest.fixture(autouse=True)
def _with_server(server: Any) -> None:
    """All of these run on a real server."""


def test_not_callable() -> None:
    with pytest.raises(TypeError):
        cloud.call(3)


def test_wrong_arguments_are_told_before_anything_is_sent() -> None:
    with pytest.raises(TypeError):
        cloud.call(lambda a: a)
    with pytest.raises(TypeError):
        cloud.call(lambda a: a, 1, b=2)


def test_unknown_keyword_names_the_near_one() -> None:
    with pytest.raises((TypeError, ValueError), match="_label"):
        cloud.call(lambda: 1, _lable="x")


@pytest.mark.parametrize(
    "options",
    [{"_type": "x9"}, {"_cores": 3}, {"_type": "m1", "_cores": 16}, {"_cores": 0}, {"_priority": "high"}, {"_max_runtime": -1},
     {"_depends_on": ["x"]}, {"_depends_on_errors": "maybe"}, {"_fast_serialization": True}, {"_label": 7}, {"_retries": -1}],
    ids=str,
)  # fmt: skip
def test_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, cloud.CloudException)):
        cloud.call(lambda: 1, **options)


def test_an_unknown_volume() -> None:
    with pytest.raises(cloud.CloudException, match="no volume 'none'"):
        cloud.call(lambda: 1, _vol="none")


def test_an_unknown_environment() -> None:
    with pytest.raises(cloud.CloudException, match="no environment 'sci'"):
        cloud.call(lambda: 1, _env="sci")


@pytest.mark.parametrize("label", ["a\0b", "x" * 1_000_000])
def test_bad_labels(label: str) -> None:
    with pytest.raises((ValueError, cloud.CloudException)):
        cloud.call(lambda: 1, _label=label)


@pytest.mark.parametrize("jid", [10**15, 2**62])
def test_unknown_jids(jid: int) -> None:
    for verb in (cloud.status, cloud.result, cloud.join, cloud.info, cloud.kill, cloud.delete):
        with pytest.raises(cloud.CloudException):
            verb(jid)


@pytest.mark.parametrize("jid", ["5", 1.5, None, [None]])
def test_jids_are_integers(jid: Any) -> None:
    with pytest.raises(TypeError):
        cloud.status(jid)


def test_a_map_over_nothing() -> None:
    assert list(cloud.map(lambda x: x, [])) == []
    assert cloud.result(cloud.map(lambda x: x, iter(()))) == []


def test_unknown_dependency() -> None:
    with pytest.raises(cloud.CloudException):
        cloud.call(lambda: 1, _depends_on=10**15)


def test_shorter_iterables_are_padded_with_a_warning() -> None:
    with pytest.warns(UserWarning):
        jids = cloud.map(lambda a, b: (a, b), [1, 2, 3], [4])
    assert cloud.result(jids, timeout=60) == [(1, 4), (2, None), (3, None)]


def test_generators_of_unknown_length() -> None:
    jids = cloud.map(lambda x: x + 1, itertools.islice(itertools.count(), 5000))
    assert cloud.result(jids, timeout=120) == list(range(1, 5001))


@pytest.mark.slow
def test_large_arguments_and_results_travel() -> None:
    size = 300 << 20
    jid = cloud.call(lambda data: data, bytes(size))
    found = cloud.result(jid, timeout=180)
    assert len(found) == size
    assert found == bytes(size)


def test_medium_arguments_and_results_travel() -> None:
    parts = [os.urandom(size) for size in (10, 65_000, 70_000, 3_000_000)]
    assert cloud.result(cloud.map(lambda data: data, parts), timeout=120) == parts


def test_a_hundred_thousand_pending_jobs() -> None:
    gate = cloud.call(__import__("time").sleep, 3600)
    jids = cloud.map(lambda x: x, range(100_000), _depends_on=gate)
    assert len(jids) == 100_000
    assert cloud.status(jids[-1]) == "waiting"
    cloud.kill(jids)
    assert set(cloud.status(jids)) == {"killed"}
    cloud.kill(gate)
