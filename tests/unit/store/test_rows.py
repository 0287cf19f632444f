from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    create_engine,
    func,
    insert,
    select,
)

from picloud.store import rows


@pytest.fixture
def tx() -> Iterator[Connection]:
    with create_engine("sqlite://").begin() as connection:
        yield connection


_rows = rows.Listed("rows")
_LISTED = select(rows.gathered(_rows.key, _rows.c(0), _rows.c(1, Text))).select_from(_rows.table)
_CUT = select(rows.glued(rows.cut("data", _rows.c(0), _rows.c(1)))).select_from(_rows.table)
_SPAN = select(rows.gathered(rows.span().c.jid))


def test_a_list_goes_in_and_out_as_it_was(tx: Connection) -> None:
    given = [(1, "a"), (1 << 53, 'quote " \\ \u20ac'), (-3, None)]
    assert rows.listing(tx, _LISTED, rows=rows.as_list(given)) == [[i, *row] for i, row in enumerate(given)]
    assert rows.listing(tx, _LISTED, rows="[]") == []


@given(st.lists(st.binary(max_size=20), min_size=1))
def test_bytes_of_any_value_survive_cutting_and_gluing(parts: list[bytes]) -> None:
    with create_engine("sqlite://").begin() as tx:
        places, at = [], 0
        for part in parts:
            places.append((at, len(part)))
            at += len(part)
        (glued,) = rows.one(tx, _CUT, rows=rows.as_list(places), data=b"".join(parts))
        assert rows.pieces(glued, [len(part) for part in parts]) == parts


def test_a_span_counts_from_its_first(tx: Connection) -> None:
    assert rows.listing(tx, _SPAN, first=5, count=3) == [5, 6, 7]
    assert rows.listing(tx, _SPAN, first=5, count=0) == []


def test_ranges_are_merged() -> None:
    assert rows.merged([(5, 2), (1, 2), (3, 1), (9, 0), (6, 4), (20, 1)]) == [(1, 3), (5, 5), (20, 1)]
    assert rows.merged([]) == []


def test_text_loses_only_nul() -> None:
    assert rows.text("a\0b") == "a\ufffdb"
    assert rows.text("same") == "same"


_given = rows.Given("given", BigInteger, Integer, Text)
_GIVEN = select(
    rows.gathered(
        _given.c(0), func.nullif(_given.c(1), bindparam("none", type_=Integer)), _given.c(2), bindparam("other", type_=Text)
    )
).select_from(_given.table)
_KEPT = Table("kept", MetaData(), Column("jid", Integer), Column("text", Text))
_kept = rows.Given("kept_rows", BigInteger, Text)
_KEEP = insert(_KEPT).from_select(["jid", "text"], select(_kept.c(0), _kept.c(1)))


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9])
def test_bound_rows_are_those_given_whatever_their_number(tx: Connection, count: int) -> None:
    given = [(i + 1, i - 1, f"' {i} \u20ac") for i in range(count)]
    found = rows.listing(tx, _GIVEN, given=given, none=-1, other="same")
    assert found == [[jid, None if number == -1 else number, text, "same"] for jid, number, text in given]


def test_more_rows_than_one_statement_takes_go_in_several(tx: Connection) -> None:
    _KEPT.create(tx)
    count = 2 * rows.MOST_ROWS + 5
    rows.run(tx, _KEEP, kept_rows=[(i + 1, str(i)) for i in range(count)])
    assert tx.execute(select(func.count(), func.sum(_KEPT.c.jid))).one() == (count, count * (count + 1) // 2)
