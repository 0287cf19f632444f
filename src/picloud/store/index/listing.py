"""Pages of keys, whole or a folder at a time.

    page(tx, tree, folder, after, limit) -> (objects, more)          all below, in the order of their bytes
    level(tx, tree, folder, after, limit) -> (objects, more)         one level: what lies deeper is shown as its folder, "a/b/"

A level is found by steps: from each key to the first that is not below the same folder. So a folder with a million keys
inside costs as much as one with a single key.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Integer, Text, bindparam, case, func, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from picloud.store.index.object import COLUMNS, reach, row_of
from picloud.store.index.schema import Key, objects
from picloud.store.rows import run
from picloud.wire.object import Object

NEXT = "\x01"
"""Behind a key it sorts before all that can follow: no key holds it."""


def page(tx: Connection, tree: int, folder: str, after: str, limit: int) -> tuple[list[Object], bool]:
    """Objects below a folder ("" = all) whose keys come after ``after``; and whether there are more than ``limit``."""
    low, high = reach(folder)
    rows = run(tx, _PAGE, tree=tree, low=max(low, after + NEXT if after else ""), high=high, limit=limit + 1).fetchall()
    return [row_of(row) for row in rows[:limit]], len(rows) > limit


def level(tx: Connection, tree: int, folder: str, after: str, limit: int) -> tuple[list[Object], bool]:
    """The same for what lies directly in a folder. Folders have a size of 0."""
    low, high = reach(folder)
    if after.endswith("/"):
        low = max(low, f"{after[:-1]}0")
    elif after:
        low = max(low, after + NEXT)
    depth = len(folder) + 2 if folder else 1  # the first letter of a name, from 1
    rows = run(tx, _LEVEL, tree=tree, low=low, high=high, depth=depth, limit=limit + 2).fetchall()
    found = [_shown(row, depth) for row in rows]
    found = [one for one in found if one.key != f"{folder}/"]  # the folder itself, where it was made as an empty one
    return found[:limit], len(found) > limit


def _shown(row: Any, depth: int) -> Object:
    one = row_of(row)
    _, slash, _ = one.key[depth - 1 :].partition("/")
    if not slash:
        return one
    end = one.key.index("/", depth - 1) + 1
    return Object(one.key[:end], 0, 0, 0, one.created, one.modified)


class _Find(FunctionElement[int]):
    """Position of a text in another, from 1; 0 = it is not there."""

    name = "find"
    type = Integer()
    inherit_cache = True


@compiles(_Find, "sqlite")
def _find_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return f"instr({compiler.process(element.clauses, **kw)})"


@compiles(_Find, "postgresql")
def _find_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **kw)})"


_tree, _high = objects.c.tree == bindparam("tree"), objects.c.key < bindparam("high", type_=Key)
_PAGE = (
    select(*COLUMNS)
    .where(_tree, _high, objects.c.key >= bindparam("low", type_=Key), objects.c.key.not_like(literal_column("'%/'", Text)))
    .order_by(objects.c.key)
    .limit(bindparam("limit"))
)


def _first(low: Any) -> Any:
    """The first key from ``low`` on."""
    return select(func.min(objects.c.key)).where(_tree, _high, objects.c.key >= low).scalar_subquery()


def _statement() -> Any:
    step = select(_first(bindparam("low", type_=Key)).label("key")).cte("step", recursive=True)
    depth = bindparam("depth", type_=Integer)
    slash = _Find(func.substr(step.c.key, depth), literal_column("'/'", Text))
    beyond = func.substr(step.c.key, 1, depth + slash - 2) + literal_column("'0'", Text)
    following = case((slash > 0, beyond), else_=step.c.key + literal_column("'\x01'", Text))
    step = step.union_all(select(_first(following)).where(step.c.key.is_not(None)))
    return (
        select(*COLUMNS)
        .join_from(step, objects, (objects.c.key == step.c.key) & _tree)
        .order_by(objects.c.key)
        .limit(bindparam("limit"))
    )


_LEVEL = _statement()
