from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud._jids import Asked, Jids, Wanted, asked, shown, spelled
from picloud.wire.error import NotFound


def test_one_range_works_like_a_list() -> None:
    jids = Jids([(10, 5)])
    assert len(jids) == 5
    assert list(jids) == jids == range(10, 15) == jids
    assert jids == [10, 11, 12, 13, 14]
    assert (jids[0], jids[-1], jids[1:3], jids[::2]) == (10, 14, Jids([(11, 2)]), [10, 12, 14])
    assert 12 in jids
    assert 15 not in jids
    assert repr(jids) == "Jids(10-14)"
    with pytest.raises(IndexError):
        jids[5]


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 9))), st.integers(-60, 60), st.integers(-60, 60))
def test_any_ranges_slice_as_their_list_does(ranges: list[tuple[int, int]], start: int, stop: int) -> None:
    jids = Jids(ranges)
    plain = [jid for first, count in ranges for jid in range(first, first + count)]
    assert list(jids) == plain
    assert list(jids[start:stop]) == plain[start:stop]
    assert [jids[at] for at in range(len(plain))] == plain
    assert pickle.loads(pickle.dumps(jids)) == jids


def test_what_a_caller_may_hand_in() -> None:
    assert asked(5).single
    assert asked(np.int64(5)).ranges == [(5, 1)]
    assert asked([3, range(4, 6), Jids([(6, 2)]), 1]).ranges == [(3, 5), (1, 1)]
    assert asked(range(0)).ranges == []
    assert asked(range(9, 3, -3)).ranges == [(9, 1), (6, 1)]
    assert asked(iter([1, 1])).unique() == [(1, 1)]
    for wrong in ("17", 1.0, None, True, [1, "2"], [None], b"1"):
        with pytest.raises(TypeError, match="jid"):
            asked(wrong)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 9))))
def test_unique(ranges: list[tuple[int, int]]) -> None:
    assert list(Asked(Asked(ranges, False).unique(), False)) == sorted(set(Asked(ranges, False)))


@given(st.sets(st.integers(1, 40)), st.sets(st.integers(1, 50)))
def test_wanted_knows_what_lacks(all_of_them: set[int], came: set[int]) -> None:
    wanted = Wanted(Asked([(jid, 1) for jid in all_of_them], False).unique())
    for jid in came:
        assert wanted.mark(jid) == (jid in all_of_them)
        assert not wanted.mark(jid)
    assert set(Asked(wanted.lacking(), False)) == all_of_them - came
    assert wanted.left == len(all_of_them - came)


def test_words() -> None:
    assert shown([(5, 1), (7, 4)]) == "5,7-10"
    assert spelled([(5, 1)]) == "5"
    assert spelled([(5, 2), (9, 1)]) == "[range(5, 7), 9]"


@pytest.mark.parametrize("jids", [10**20, [1, 10**20], range(2**63 - 2, 2**63 + 2), -(10**30)])
def test_a_number_beyond_all_jids_is_not_found(jids: object) -> None:
    with pytest.raises(NotFound, match="there is no job"):
        asked(jids)
