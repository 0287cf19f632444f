"""Jobs that wait for jobs finish on few slots, because what is awaited goes first and a waiting job lends its place."""

from typing import Any

import pytest

import cloud

pytestmark = pytest.mark.live


def down(depth: int) -> int:
    return 0 if depth == 0 else 1 + int(cloud.result(cloud.call(down, depth - 1)))


def parent(number: int) -> int:
    return sum(cloud.result(cloud.map(lambda x: x * 2, [number, number + 1])))


@pytest.mark.slow
def test_depth(server: Any) -> None:
    assert cloud.result(cloud.call(down, 20), timeout=120) == 20


@pytest.mark.slow
def test_many_parents(server: Any) -> None:
    numbers = range(100)
    assert cloud.result(cloud.map(parent, numbers), timeout=240) == [4 * n + 2 for n in numbers]


def test_parents_are_recorded(server: Any) -> None:
    def submits() -> int:
        return int(cloud.call(lambda: 1))

    jid = cloud.call(submits)
    child = cloud.result(jid, timeout=60)
    assert cloud.result(child, timeout=60) == 1
    assert cloud.info(child, "parent_jid")[child]["parent_jid"] == jid
    assert cloud.running_on_cloud() is False
    assert cloud.result(cloud.call(cloud.running_on_cloud), timeout=60) is True
