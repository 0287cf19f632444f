"""Many rows through few statements, in the same words on SQLite and PostgreSQL.

Rows of several fields go in as bound numbers and texts (:class:`Given`), lists of plain numbers or texts as one JSON text
(:class:`Listed`), bytes as one blob that the statement cuts (:func:`cut`): a number out of a JSON list takes SQLite 0.05
us, a bound one too, but a field of a JSON row, a bound NULL or bound bytes 0.5 us. A statement that answers a list answers
one row: :class:`gathered` makes JSON of it, :class:`glued` joins the bytes. So a hot
transaction is a fixed number of database steps, and each step hands Python's lock away and has to get it back only once:
beside a busy thread that is the difference between hundreds and hundreds of thousands of rows a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    Executable,
    Insert,
    Integer,
    LargeBinary,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ColumnElement, FromClause, Select
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeEngine

from picloud.wire.job import Failure
from picloud.wire.message import Ranges

to_json = msgspec.json.encode
from_json = msgspec.json.decode
pack = msgspec.msgpack.encode
unpack_failure = msgspec.msgpack.Decoder(Failure).decode


class _Unpacked(FunctionElement[Any]):
    name = "unpacked"
    inherit_cache = True


@compiles(_Unpacked, "sqlite")
def _unpacked_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(_Unpacked, "postgresql")
def _unpacked_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    source = compiler.process(element.clauses, **kw)
    return (
        "(SELECT ordinality - 1 AS key, value FROM "
        f"jsonb_array_elements(CAST({source} AS jsonb)) WITH ORDINALITY AS given(value, ordinality))"
    )


class _Item(FunctionElement[Any]):
    """``value[index]`` of a row, or the value itself where index is -1."""

    name = "item"
    inherit_cache = True


@compiles(_Item, "sqlite")
def _item_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    value, index = (compiler.process(c, **kw) for c in element.clauses)
    return value if index == "-1" else f"json_extract({value}, '$[{index}]')"


@compiles(_Item, "postgresql")
def _item_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    value, index = (compiler.process(c, **kw) for c in element.clauses)
    kind = compiler.dialect.type_compiler_instance.process(element.type)
    path = f"{value} #>> '{{}}'" if index == "-1" else f"{value} ->> {index}"
    return f"CAST({path} AS {kind})"


def _item(value: Any, index: int, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    made = _Item(value, literal_column(str(index)))
    made.type = kind
    return made


class Listed:
    """A bound list of rows as a table: ``key`` is the position from 0, ``c(i, type)`` the i-th field.

    Args:
        name: of the bound parameter, whose value is the text that :func:`as_list` makes.
    """

    def __init__(self, name: str) -> None:
        source = _Unpacked(bindparam(name, type_=Text))
        self.table: FromClause = source.table_valued("key", "value", name=f"{name}_rows")
        self.key: ColumnElement[int] = self.table.c.key

    def c(self, index: int, kind: TypeEngine[Any] | type[TypeEngine[Any]] = BigInteger) -> ColumnElement[Any]:
        """The field at ``index`` of each row."""
        return _item(self.table.c.value, index, kind() if isinstance(kind, type) else kind)

    def only(self, kind: TypeEngine[Any] | type[TypeEngine[Any]] = BigInteger) -> ColumnElement[Any]:
        """The row itself, in a list of plain numbers or texts."""
        return self.c(-1, kind)

    def chosen(self, kind: TypeEngine[Any] | type[TypeEngine[Any]] = BigInteger) -> Select[Any]:
        """The list of plain values, for ``column.in_``."""
        return select(self.only(kind)).select_from(self.table)


def as_list(rows: Iterable[Any]) -> str:
    """Rows (tuples or plain values) as the text that a :class:`Listed` parameter takes."""
    return to_json(rows if isinstance(rows, list) else list(rows)).decode()


def cut(name: str, start: ColumnElement[Any], length: ColumnElement[Any] | int) -> ColumnElement[bytes]:
    """``length`` bytes of the bound blob ``name`` from ``start`` (0 = its first byte)."""
    size = cast(length, Integer) if isinstance(length, ColumnElement) else literal_column(str(length))
    return func.substr(bindparam(name, type_=LargeBinary), cast(start, Integer) + literal_column("1"), size, type_=LargeBinary)


class _Given(FunctionElement[Any]):
    name = "given"
    inherit_cache = False
    kinds: Sequence[TypeEngine[Any]] = ()


@compiles(_Given, "sqlite")
def _given_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    columns = list(element.clauses)
    names = ", ".join(f"column{i + 1} AS c{i}" for i in range(len(columns)))
    row = ", ".join(compiler.process(column, **kw) for column in columns)
    return f"(SELECT {names} FROM (VALUES {_BLOCK}({row}){_BLOCK}) WHERE column1 <> 0)"


@compiles(_Given, "postgresql")
def _given_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    columns = list(element.clauses)
    kinds = (compiler.dialect.type_compiler_instance.process(kind) for kind in element.kinds)
    arrays = ", ".join(f"CAST({compiler.process(c, **kw)} AS {kind}[])" for c, kind in zip(columns, kinds, strict=True))
    return f"(SELECT * FROM unnest({arrays}) AS given({', '.join(f'c{i}' for i in range(len(columns)))}))"


_BLOCK = "/*block*/"
"""Stands around the one row that is compiled, in place of as many as are given."""
MOST_ROWS = 1024
"""Of one SQLite statement: preparing it takes 5 us a row and more than that a row where it is larger. 31 fields of each are
within SQLite's 32,766 parameters."""


class Given:
    """Bound rows of numbers and texts as a table, ``c(i)`` the i-th field.

    :func:`run` takes them under the name, at least one, as tuples that best come from a generator. The first field is a
    number and never 0. No field is NULL (``func.nullif`` makes one in SQL), True or False: the driver is slow with these.

    SQLite gets VALUES with a parameter a field, MOST_ROWS at a time. A statement is made for each power of two of rows, so
    that few are ever prepared; what lacks is filled with zeros, which the table leaves out. PostgreSQL gets an array a column.

    Args:
        name: of the rows among the values of the statement.
        kinds: of the fields.
    """

    def __init__(self, name: str, *kinds: TypeEngine[Any] | type[TypeEngine[Any]]) -> None:
        columns = [column(f"c{i}", kind) for i, kind in enumerate(kinds)]
        source = _Given(*(bindparam(f"{name}_{i}", type_=NullType()) for i in range(len(kinds))))
        source.kinds = [each.type for each in columns]
        self.table: FromClause = source.table_valued(*columns, name=name)

    def c(self, index: int) -> ColumnElement[Any]:
        """The field at ``index`` of each row."""
        found: ColumnElement[Any] = self.table.c[f"c{index}"]
        return found


class gathered(FunctionElement[str]):
    """All rows as one JSON list of lists, or of plain values where one column is asked."""

    name = "gathered"
    type = Text()
    inherit_cache = True


@compiles(gathered, "sqlite")
def _gathered_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    columns = compiler.process(element.clauses, **kw)
    return f"json_group_array(json_array({columns}))" if len(element.clauses) > 1 else f"json_group_array({columns})"


@compiles(gathered, "postgresql")
def _gathered_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    columns = compiler.process(element.clauses, **kw)
    made = f"json_build_array({columns})" if len(element.clauses) > 1 else columns
    return f"CAST(coalesce(json_agg({made}), '[]') AS text)"


class glued(FunctionElement[bytes]):
    """The bytes of all rows, one behind the other, in the order of the rows; NULL adds nothing."""

    name = "glued"
    type = LargeBinary()
    inherit_cache = True


@compiles(glued, "sqlite")
def _glued_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    # group_concat adds the bytes of a blob as they are; db.open proves it with bytes that are no text
    return f"CAST(group_concat({compiler.process(element.clauses, **kw)}, '') AS BLOB)"


@compiles(glued, "postgresql")
def _glued_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return f"string_agg({compiler.process(element.clauses, **kw)}, ''::bytea)"


class run_on(FunctionElement[str]):
    """The values of all rows as text, one behind the other."""

    name = "run_on"
    type = Text()
    inherit_cache = True


@compiles(run_on, "sqlite")
def _run_on_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return f"group_concat({compiler.process(element.clauses, **kw)}, '')"


@compiles(run_on, "postgresql")
def _run_on_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return f"string_agg(CAST({compiler.process(element.clauses, **kw)} AS text), '')"


class hexed(FunctionElement[str]):
    """Bytes as hexadecimal text, for JSON."""

    name = "hexed"
    type = Text()
    inherit_cache = True


@compiles(hexed, "sqlite")
def _hexed_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return f"lower(hex({compiler.process(element.clauses, **kw)}))"


@compiles(hexed, "postgresql")
def _hexed_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return f"encode({compiler.process(element.clauses, **kw)}, 'hex')"


class add(Insert):
    """INSERT that leaves rows alone which are there already. From a select, that one needs a WHERE (``true()`` will do)."""

    inherit_cache = True
    _inline = True  # never asks for the new row's key, which would put RETURNING before our words


@compiles(add)
def _add(element: Any, compiler: Any, **kw: Any) -> str:
    return f"{compiler.visit_insert(element, **kw)} ON CONFLICT DO NOTHING"


EVERY = true()
"""The WHERE of a select that feeds :class:`add` (without one, SQLite reads ON CONFLICT as a join)."""


class _Prepared:
    """A constant statement in one dialect's words."""

    def __init__(self, tx: Connection, statement: Any, values: dict[str, Any]) -> None:
        whole = isinstance(statement, Insert) and statement.select is None  # its columns are those of the values
        made = statement.compile(
            dialect=tx.dialect, column_keys=list(values) if whole else None, compile_kwargs={"render_postcompile": True}
        )
        self.sql, self.names, self.fixed = str(made), tuple(made.positiontup or ()), dict(made.params)
        self.given = next((name for name in values if f"{name}_0" in self.fixed), "")
        self.width = sum(name.rstrip("0123456789") == f"{self.given}_" for name in self.fixed) if self.given else 0
        self._blocks: dict[int, str] = {}
        if self.given and self.names:
            self._start, self._row, self._rest = self.sql.split(_BLOCK)
            self._at = self.names.index(f"{self.given}_0")
            self.names = self.names[: self._at] + self.names[self._at + self.width :]

    def parameters(self, values: dict[str, Any]) -> list[Any]:
        """Those of ``names``, in their order."""
        return list(map({**self.fixed, **values}.__getitem__, self.names))

    def block(self, fields: list[Any], others: list[Any]) -> tuple[str, list[Any]]:
        """The statement for the rows whose fields these are, and all its parameters."""
        count = len(fields) // self.width
        size = 1 << (count - 1).bit_length()
        sql = self._blocks.get(size)
        if sql is None:
            sql = self._blocks[size] = self._start + ", ".join([self._row] * size) + self._rest
        return sql, [*others[: self._at], *fields, *[0] * (self.width * (size - count)), *others[self._at :]]

    def arrays(self, fields: list[Any]) -> dict[str, Any]:
        """The rows as an array a column."""
        return {f"{self.given}_{i}": fields[i :: self.width] for i in range(self.width)}


_prepared: dict[tuple[Executable, str], _Prepared] = {}


def run(tx: Connection, statement: Executable, **values: Any) -> Any:
    """Execute a constant statement on the driver's own cursor, which is returned.

    The statement is compiled once a dialect; SQLAlchemy's way takes 0.1 ms each time, this one a hundredth. Rows are bare
    tuples. Values must be what the driver takes, or the rows of a :class:`Given`; more than MOST_ROWS of these go
    in several steps. Statements must live as long as the program.
    """
    key = (statement, tx.dialect.name)
    made = _prepared.get(key) or _prepared.setdefault(key, _Prepared(tx, statement, values))
    cursor = tx.connection.dbapi_connection.cursor()  # type: ignore[union-attr]
    if not made.names and not made.given:
        cursor.execute(made.sql, {**made.fixed, **values})
    elif not made.given:
        cursor.execute(made.sql, made.parameters(values))
    else:
        fields = list(chain.from_iterable(values[made.given]))
        if tx.dialect.name != "sqlite":
            cursor.execute(made.sql, {**made.fixed, **values, **made.arrays(fields)})
        else:
            others = made.parameters(values)
            most = MOST_ROWS * made.width
            for at in range(0, len(fields), most):
                cursor.execute(*made.block(fields[at : at + most], others))
    return cursor


def run_rows(tx: Connection, statement: Executable, rows: Sequence[dict[str, Any]]) -> None:
    """Execute a constant statement once for each row of values; all have the same names."""
    if rows:
        key = (statement, tx.dialect.name)
        made = _prepared.get(key) or _prepared.setdefault(key, _Prepared(tx, statement, rows[0]))
        named: list[Any] = [made.parameters(row) if made.names else {**made.fixed, **row} for row in rows]
        tx.connection.dbapi_connection.cursor().executemany(made.sql, named)  # type: ignore[union-attr]


def one(tx: Connection, statement: Executable, **values: Any) -> Any:
    """The first row of a constant statement as a tuple, or None; see :func:`run`."""
    return run(tx, statement, **values).fetchone()


def listing(tx: Connection, statement: Executable, **values: Any) -> list[Any]:
    """The rows of a constant statement whose one answer is :class:`gathered`."""
    found = one(tx, statement, **values)[0]
    return from_json(found) if found else []


def constant(value: int) -> ColumnElement[Any]:
    """A number that stands in the statement itself, as the conditions of partial indexes have to."""
    return literal_column(str(value))


def pieces(data: bytes | None, lengths: Sequence[int]) -> list[bytes]:
    """Cut what :class:`glued` joined."""
    whole, at, made = data or b"", 0, []
    for length in lengths:
        made.append(whole[at : at + length])
        at += length
    return made


@cache
def span() -> Any:
    """Every whole number from ``:first``, ``:count`` of them, as a table with the column ``jid``."""
    first, count = bindparam("first", type_=BigInteger), bindparam("count", type_=BigInteger)
    numbers = select(first.label("jid")).where(count > 0).cte("numbers", recursive=True)
    return numbers.union_all(select(numbers.c.jid + 1).where(numbers.c.jid + 1 < first + count))


def text(value: str) -> str:
    """The text as PostgreSQL can hold it: without NUL."""
    return value.replace("\0", "\ufffd") if "\0" in value else value


def merged(ranges: Ranges) -> Ranges:
    """The ranges in rising order, overlaps and neighbours made one, empty ones left out."""
    made: list[tuple[int, int]] = []
    for first, count in sorted((int(f), int(c)) for f, c in ranges):
        if count <= 0:
            continue
        if made and first <= made[-1][0] + made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], first + count - made[-1][0]))
        else:
            made.append((first, count))
    return made
