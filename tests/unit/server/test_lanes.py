"""Pools of capacity: pictures of workers and waiting jobs in, slots out."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from picloud.server.fleet import Fleet, Worker
from picloud.server.kind import Kind
from picloud.server.lanes import Kept, Lane, Lanes, Pool
from picloud.server.scheduler import Host
from picloud.store.job import Ready

HOST = Host(units=16_000, cores=2, idle_cpu=False)
ANNA, BOB = 1, 2
UNITS = {"c1": 1000, "c2": 2500}
HOME, OTHER, BOBS, WIDE, SAME = 10, 11, 12, 13, 14
KINDS = {
    HOME: (ANNA, "c2", 1), OTHER: (ANNA, "c1", 1), BOBS: (BOB, "c2", 1), WIDE: (ANNA, "c2", 4), SAME: (ANNA, "c2", 1),
}  # fmt: skip


class Line:
    def send(self, message: bytes) -> None:
        """Nobody listens."""


def ready(kind: int, count: int, env: str = "") -> Ready:
    account, core_type, cores = KINDS[kind]
    return Ready(kind, account, core_type, cores, count, 5, env)


def units(kind: int) -> int:
    _, core_type, cores = KINDS[kind]
    return UNITS[core_type] * cores


def worker(kind: int, slots: int, held: int = 0, *, reserved: bool = False) -> Worker:
    account, core_type, cores = KINDS[kind]
    made = Worker(kind, f"{kind}{reserved}", b"", Kind(kind, account, "", core_type, cores, units(kind), 1, 2), reserved=reserved)
    made.line, made.slots, made.target = Line(), slots, slots
    made.held = dict.fromkeys(range(held), (1, b""))
    return made


def wanted(kept: dict[Lane, Kept], waits: list[Ready], *workers: Worker) -> tuple[dict[Any, dict[int, int]], Pool]:
    """Slots by pool (None = the rest of the machine), and that rest."""
    lanes, fleet = Lanes(), Fleet()
    lanes.kept = kept
    for each in workers:
        fleet.add(each)
    *kept_pools, rest = lanes.pools(waits, set(), fleet, HOST, units)
    return {**dict(zip(kept, (pool.targets({}) for pool in kept_pools), strict=False)), None: rest.targets({})}, rest


MINE = Lane(ANNA, "c2")
TWO = {MINE: Kept(cores=2, held=2, units=2500, home=HOME)}


def test_a_reservation_is_warm_before_anything_has_run() -> None:
    found, rest = wanted(TWO, [])
    assert found == {MINE: {HOME: 2}, None: {}}
    assert rest.host.units == 16_000 - 5000


def test_its_jobs_go_there_and_not_elsewhere_while_it_holds_them() -> None:
    assert wanted(TWO, [ready(HOME, 2)])[0] == {MINE: {HOME: 2}, None: {}}


def test_what_is_more_uses_the_rest() -> None:
    found, _ = wanted(TWO, [ready(HOME, 5)], worker(HOME, 2, held=1, reserved=True))
    assert found == {MINE: {HOME: 2}, None: {HOME: 2}}


def test_idle_cores_follow_the_jobs_that_found_a_worker_outside() -> None:
    lane = {MINE: Kept(cores=1, held=1, units=2500, home=HOME)}
    before, outside = worker(HOME, 1, reserved=True), worker(SAME, 1)
    before.worked, outside.worked = 100.0, 105.0
    assert wanted(lane, [], before, outside)[0] == {MINE: {HOME: 0, SAME: 1}, None: {SAME: 1}}
    before.held = {1: (1, b"")}
    assert wanted(lane, [], before, outside)[0][MINE].get(SAME, 0) == 0, "never from a job"
    before.held, outside.worked = {}, 100.5
    assert wanted(lane, [], before, outside)[0][MINE].get(SAME, 0) == 0, "two kinds in turns do not chase each other"


def test_they_follow_one_at_a_time_and_jobs_that_wait_go_first() -> None:
    before, outside = worker(HOME, 2, reserved=True), worker(SAME, 2)
    before.worked, outside.worked = 100.0, 105.0
    assert wanted(TWO, [], before, outside)[0][MINE] == {HOME: 1, SAME: 1}
    before.slots = before.target = 1
    assert wanted(TWO, [], before, worker(SAME, 1, reserved=True), outside)[0][MINE] == {HOME: 0, SAME: 2}
    assert wanted(TWO, [ready(HOME, 2)], before, outside)[0][MINE] == {HOME: 2, SAME: 0}


def test_others_and_other_types_stay_outside() -> None:
    found, _ = wanted(TWO, [ready(OTHER, 3), ready(BOBS, 3)])
    assert found == {MINE: {HOME: 2}, None: {OTHER: 2, BOBS: 2}}


def test_a_job_with_more_cores_than_are_reserved_uses_the_rest() -> None:
    found, _ = wanted(TWO, [ready(WIDE, 1)])
    assert found == {MINE: {HOME: 2}, None: {WIDE: 1}}


def test_setup_jobs_are_no_real_time_jobs() -> None:
    assert wanted(TWO, [ready(HOME, 1, env="s1.1")])[0][None] == {HOME: 1}


def test_four_cores_hold_one_job_of_four() -> None:
    four = {MINE: Kept(4, 4, 2500, HOME)}
    found, _ = wanted(four, [ready(WIDE, 2)], worker(HOME, 4, reserved=True))
    assert found == {MINE: {HOME: 0, WIDE: 1}, None: {WIDE: 1}}


def test_released_cores_take_nothing_more_and_still_count() -> None:
    releasing = {MINE: Kept(0, 2, 2500, HOME)}
    found, rest = wanted(releasing, [ready(HOME, 1)], worker(HOME, 2, held=2, reserved=True))
    assert found[MINE] == {HOME: 0} and found[None] == {HOME: 1}
    assert rest.host.units == 11_000


def test_workers_of_a_reservation_that_has_ended_go() -> None:
    lanes, fleet = Lanes(), Fleet()
    fleet.add(worker(HOME, 2, reserved=True))
    lane, rest = lanes.pools([], set(), fleet, HOST, units)
    assert lane.reserved and lane.targets({}) == {HOME: 0} and rest.targets({}) == {}


def test_where_all_is_reserved_nothing_else_begins() -> None:
    found, _ = wanted({MINE: Kept(7, 7, 2500, HOME)}, [ready(BOBS, 1)])
    assert found == {MINE: {HOME: 7}, None: {BOBS: 0}}


@given(
    cores=st.integers(1, 6),
    waits=st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 9)), max_size=4, unique_by=lambda one: one[0]),
    held=st.integers(0, 4),
)
def test_nobody_gets_more_than_there_is(cores: int, waits: list[tuple[int, int]], held: int) -> None:
    kept = {MINE: Kept(cores, cores, 2500, HOME)}
    found, rest = wanted(kept, [ready(*one) for one in waits], worker(HOME, cores, held, reserved=True))
    assert sum(slots * units(kind) for kind, slots in found[MINE].items()) <= cores * 2500
    outside = [slots for slots in found[None].values() if slots]
    total = sum(slots * units(kind) for kind, slots in found[None].items())
    assert total <= rest.host.units or outside == [1]
