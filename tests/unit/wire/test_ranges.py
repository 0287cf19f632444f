"""Ranges of jids."""

from __future__ import annotations

from picloud.wire.ranges import pieces


def test_ranges_are_cut_into_pieces_of_so_many_jids() -> None:
    assert list(pieces([(1, 5), (10, 1), (20, 7)], 4)) == [[(1, 4)], [(5, 1), (10, 1), (20, 2)], [(22, 4)], [(26, 1)]]
    assert list(pieces([(1, 4), (9, 0)], 4)) == [[(1, 4)]]
    assert list(pieces([], 4)) == []
    assert list(pieces([(1, 4), (9, 1), (20, 3)], 3)) == [[(1, 3)], [(4, 1), (9, 1), (20, 1)], [(21, 2)]]
