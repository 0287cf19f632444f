"""The scheduler is a pure function: pictures in, numbers of slots out."""

from hypothesis import given
from hypothesis import strategies as st

from picloud.server.scheduler import Host, KindView, batch, targets

F2 = 5500
HOST = Host(units=16_000, cores=2)


def test_one_kind_fills_the_cores_and_not_more_while_the_cpu_is_busy() -> None:
    view = KindView(1, 1, 1000, ready=1000, slots=2, busy=2)
    assert targets([view], Host(16_000, 2, idle_cpu=False)) == {1: 2}


def test_a_pool_grows_one_at_a_time_past_one_slot_a_core_while_cpu_is_idle() -> None:
    view = KindView(1, 1, 1000, ready=1000, slots=2, busy=2)
    assert targets([view], Host(16_000, 2, idle_cpu=True)) == {1: 3}


def test_nor_do_jobs_wait_behind_long_ones_for_good() -> None:
    view = KindView(1, 1, 1000, ready=1, slots=2, busy=2, stuck=True)
    assert targets([view], Host(16_000, 2, idle_cpu=False)) == {1: 3}
    full = KindView(1, 1, F2, ready=1, slots=2, busy=2, stuck=True)
    assert targets([full], Host(16_000, 2, idle_cpu=False)) == {1: 2}


def test_two_accounts_with_the_same_hunger_get_the_same() -> None:
    a = KindView(1, account=1, units=F2, ready=1000, slots=2, busy=2)
    b = KindView(2, account=2, units=F2, ready=1)
    assert targets([a, b], HOST) == {1: 1, 2: 1}


def test_weights_shift_the_share() -> None:
    a = KindView(1, account=1, units=1000, ready=1000)
    b = KindView(2, account=2, units=1000, ready=1000)
    given_slots = targets([a, b], Host(4000, 8), {1: 3, 2: 1})
    assert given_slots == {1: 3, 2: 1}


def test_an_idle_slot_stays_warm_until_somebody_needs_its_room() -> None:
    idle = KindView(1, account=1, units=F2, ready=0, slots=2)
    assert targets([idle], HOST) == {1: 2}
    hungry = KindView(2, account=1, units=F2, ready=1)
    assert targets([idle, hungry], HOST) == {1: 1, 2: 1}


def test_awaited_work_goes_first_within_an_account() -> None:
    plain = KindView(1, account=1, units=16_000, ready=5, priority=1, jid=1)
    awaited = KindView(2, account=1, units=16_000, ready=1, awaited=True, priority=9, jid=9)
    assert targets([plain, awaited], HOST) == {1: 0, 2: 1}


def test_a_waiting_job_lends_its_place() -> None:
    view = KindView(1, account=1, units=F2, ready=4, awaited=True, slots=2, busy=2, lent=2)
    assert targets([view], HOST) == {1: 4}


def test_a_kind_larger_than_the_host_runs_alone() -> None:
    assert targets([KindView(1, 1, units=88_000, ready=3)], HOST) == {1: 1}


def test_memory_bounds_new_interpreters() -> None:
    lent = KindView(1, account=1, units=1000, ready=9, awaited=True, slots=5, busy=5, lent=5)
    assert targets([lent], Host(16_000, 2, spare_slots=0)) == {1: 5}


views = st.builds(
    KindView,
    kind=st.just(0),
    account=st.integers(1, 3),
    units=st.sampled_from([1000, 2500, 5500, 22_000]),
    ready=st.integers(0, 9),
    awaited=st.booleans(),
    priority=st.integers(0, 9),
    jid=st.integers(0, 99),
    slots=st.integers(0, 4),
    busy=st.integers(0, 4),
)


@given(st.lists(views, max_size=8), st.booleans())
def test_never_more_than_the_host_has_unless_one_job_alone_is_larger(kinds: list[KindView], idle: bool) -> None:
    for number, view in enumerate(kinds):
        view.kind, view.busy = number, min(view.busy, view.slots)
    wanted = targets(kinds, Host(16_000, 2, idle_cpu=idle))
    used = sum(wanted[v.kind] * v.units for v in kinds)
    assert used <= 16_000 or sum(wanted.values()) == 1
    assert not any(v.ready for v in kinds) or sum(wanted.values()) > 0


def test_batches_are_small_for_slow_or_unknown_jobs_and_large_for_tiny_ones() -> None:
    assert batch(512, 0, 2, None, 100) == 4
    assert batch(512, 0, 2, 1_000_000, 100) == 2
    assert batch(512, 2, 2, 1_000_000, 100) == 0
    assert batch(512, 0, 2, 20, 100) == 512
    assert batch(512, 400, 2, 20, 100) == 0
    assert batch(512, 512, 2, 20, 100) == 0
