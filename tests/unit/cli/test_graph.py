"""The picture of queues and handlers: what is drawn is what there is, at any width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picloud.cli import picture
from picloud.cli.layers import Link, pipelines

Edge = tuple[str, str, str]
"""From, to, and the exception or nothing."""
MASKS = dict(zip("╵╷│╴┘┐┤╶└┌├─┴┬┼", range(1, 16), strict=True)) | {"┄": 12, "┆": 3}
UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
STEPS = {UP: (-1, 0), DOWN: (1, 0), LEFT: (0, -1), RIGHT: (0, 1)}


def queue(name: str, handler: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A queue as the server tells of it."""
    known = {"name": name, "count": 12, "in_hand": 0, "dead": 0, "paused": False, "dequeue_rate": 0.0, "handler": handler}
    return known | more


def handler(name: str = "work", **more: Any) -> dict[str, Any]:
    return {"name": name, "running": 1, "starting": 0, "trouble": "", "max_parallel_jobs": 1} | more


def graph(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, Any]:
    sources = {source for source, _, _ in edges}
    queues = [queue(name, handler() if name in sources else None) for name in names]
    return {"queues": queues, "edges": [{"from": a, "to": b, "exception": kind or None, "delay": 0.0} for a, b, kind in edges]}


def drawn(found: dict[str, Any], width: int = 100, plain: bool = False) -> list[str]:
    return ["".join(sign for sign, _ in line) for line in picture.draw(found, width, plain).lines()]


def traced(lines: list[str]) -> set[Edge]:
    """The edges of a picture, followed with the finger: right out of a handler, up and down its lane, left into a queue."""
    owner, head, current, rounded = {}, {}, "", False
    for at, line in enumerate(lines):
        if "┌" in line and line.lstrip().startswith("┌"):
            current, rounded = lines[at + 1].split("│")[1].split()[0], False
        if line.lstrip().startswith("╭"):
            rounded, head[current] = True, at + 1
        owner[at] = current, rounded
    found = set()
    for at, line in enumerate(lines):
        name, inside = owner[at]
        edge = line.find("│", line.find("│") + 1) + 1
        if inside and line.lstrip().startswith("│") and line[edge : edge + 1] in ("─", "┄"):
            kind = line.split("│")[1].split()[0] if at != head[name] else ""
            found |= {(name, owner[row][0], kind) for row in reached(lines, at, edge)}
    return found


def reached(lines: list[str], row: int, column: int) -> set[int]:
    """The lines of all arrows that a line out of a box leads to."""
    ends, seen, todo = set(), set(), [(row, column, RIGHT)]
    while todo:
        state = y, x, way = todo.pop()
        if state in seen:
            continue
        seen.add(state)
        sign = lines[y][x]
        if sign == "◀":
            ends.add(y)
        for turn in turns(MASKS[sign], way) if sign in MASKS else ():
            dy, dx = STEPS[turn]
            todo.append((y + dy, x + dx, turn))
    return ends


def turns(mask: int, way: int) -> list[int]:
    if way == LEFT or (way == RIGHT and mask == UP | DOWN):
        return [way]  # on its way into a queue; over a lane that is only crossed
    if way == RIGHT:
        return [turn for turn in (UP, DOWN, RIGHT) if mask & turn and (turn != RIGHT or mask == LEFT | RIGHT)]
    return [turn for turn in (way, LEFT) if mask & turn]


SEED = [
    ("img-urls", "thumbnail", ""), ("img-urls", "medium", ""), ("img-urls", "bad-urls", "Exception"),
    ("thumbnail", "callback", ""), ("medium", "sepia", ""), ("medium", "callback", ""), ("sepia", "callback", ""),
]  # fmt: skip
SEED_NAMES = ["bad-urls", "callback", "img-urls", "medium", "sepia", "thumbnail"]


def test_the_pipeline_of_the_seed() -> None:
    lines = drawn(graph(SEED_NAMES, SEED))
    assert traced(lines) == set(SEED)
    heads = [line.split("│")[1].split()[0] for at, line in enumerate(lines) if at and "┌" in lines[at - 1].lstrip()[:1]]
    assert heads == ["img-urls", "thumbnail", "medium", "bad-urls", "sepia", "callback"]


NAMES = "abcdefg"
EDGES = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from(["", "", "Key", "Value"])), max_size=14
)


@settings(deadline=None)
@given(EDGES)
def test_what_is_drawn_is_what_there_is(edges: list[Edge]) -> None:
    assert traced(drawn(graph(NAMES, edges))) == set(edges)


@settings(deadline=None)
@given(EDGES)
def test_no_line_leads_back_but_in_loops(edges: list[Edge]) -> None:
    layer = {one.name: one.layer for part in pipelines([*NAMES], [Link(*edge) for edge in edges]) for one in part}
    assert set(layer) == set(NAMES)
    for source, target, _ in edges:
        assert layer[source] < layer[target] or leads(edges, target, source)


def leads(edges: list[Edge], first: str, last: str) -> bool:
    seen = {first}
    while more := {b for a, b, _ in edges if a in seen} - seen:
        seen |= more
    return last in seen


def test_a_loop_a_loop_to_itself_and_an_error_back_to_the_same_queue() -> None:
    edges = [("a", "a", ""), ("a", "a", "KeyError"), ("b", "c", ""), ("c", "b", ""), ("c", "c", "ValueError")]
    lines = drawn(graph("abc", edges))
    assert traced(lines) == set(edges)
    assert sum("◀" in line for line in lines) == 5  # an error that comes back has an arrow of its own


def test_the_smallest_loop() -> None:
    assert drawn(graph("a", [("a", "a", "")])) == [
        "┌───────┐",
        "│ a  12 │◀─────────────┐",
        "└───┬───┘              │",
        "╭───▼────────────────╮ │",
        "│ work  1 job  0.0/s │─┘",
        "╰────────────────────╯",
    ]


def test_fifty_outputs_share_one_lane() -> None:
    edges = [("a", f"q{number}", "") for number in range(50)]
    lines = drawn(graph(["a", *(target for _, target, _ in edges)], edges), 60)
    assert traced(lines) == set(edges)
    assert max(map(len, lines)) < 40


def test_a_long_chain_needs_no_deep_stack() -> None:
    names = [f"q{number}" for number in range(1500)]
    edges = [(a, b, "") for a, b in zip(names, names[1:], strict=False)]
    assert len(drawn(graph(names, edges), 80)) > 6 * 1499


def test_pipelines_stand_apart_the_largest_first() -> None:
    lines = drawn(graph("abcde", [("d", "e", "")]))
    assert lines.index("") and [line for line in lines if line.strip()][1].strip().startswith("│ d")
    assert sum("┌" in line for line in lines) == 5


@pytest.mark.parametrize("width", [28, 40, 60, 80, 133, 200])
@pytest.mark.parametrize("plain", [True, False])
def test_it_is_never_wider_than_the_terminal(width: int, plain: bool) -> None:
    names = [letter * 39 for letter in NAMES]
    edges = [(a, b, kind) for a in names for b in names if a != b for kind in ("", f"{a}Error")]
    lines = drawn(graph(names, edges), width, plain)
    assert max(map(len, lines)) <= width
    assert not plain or all(line.isascii() for line in lines)


def test_long_names_are_whole_where_there_is_room_and_cut_with_a_mark_where_not() -> None:
    names = ["a" * 39, "b" * 39]
    found = graph(names, [(names[0], names[1], "")])
    for width in range(60, 200, 7):
        assert all(any(name in line for line in drawn(found, width)) for name in names)
    narrow = drawn(found, 40)
    assert not any(names[0] in line for line in narrow) and any("aaa…" in line for line in narrow)


def test_lanes_that_find_no_room_are_told_in_words() -> None:
    names = [*"abcdefg"]
    edges = [(a, b, "") for a in names for b in names if a < b] + [("a", "g", "KeyError")]
    lines = drawn(graph(names, edges), 34)
    text = "\n".join(lines)
    assert "to g" in text and traced(lines) < set(edges)


def test_what_the_boxes_say() -> None:
    busy = queue(
        "a", handler("w\x1b[31mörk", starting=2, trouble="no such environment\nmore"), in_hand=3, dead=1_234, paused=True
    )
    found = {"queues": [busy], "edges": [{"from": "a", "to": "gone", "exception": None, "delay": 0.0}]}
    cells = picture.draw(found, 100, False).lines()
    lines = ["".join(sign for sign, _ in line) for line in cells]
    assert "a  12  3 in hand  1,234 dead  paused" in lines[1]
    assert "w?[31mörk  1 job + 2  0.0/s" in lines[4] and "no such environment" in lines[5]
    assert any("gone  not used yet" in line for line in lines)
    styles = {style for sign, style in cells[1] if sign.isalpha()}
    assert styles == {"dim", "red"}
    assert "w?[31m?rk" in "\n".join(drawn(found, 100, True))


def test_characters_of_two_columns_do_not_shift_the_frame() -> None:
    lines = drawn({"queues": [queue("a", handler("処理"))], "edges": []})
    assert lines[4] == "│ 処理  1 job  0.0/s │" and len(lines[3]) == len(lines[4]) + 2
