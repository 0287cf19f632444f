"""A picture of queues and handlers: rectangles and rounded boxes from above to below, and beside them what leads where.

draw(graph, width, plain) -> Canvas
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from picloud.cli import lanes as ways
from picloud.cli.canvas import DOWN, DRAWN, LEFT, PLAIN, RIGHT, UP, Canvas, fitted
from picloud.cli.lanes import FAILED_INTO, INTO, OUT_OF, Lane, Port
from picloud.cli.layers import Link, Placed, pipelines

LEAST = 24
"""Columns of the narrowest box; lanes that leave less are told in words."""
ERROR, QUIET, HANDLER, NAME = "red", "dim", "cyan", "bold"
GAP = "  "
Words = list[tuple[str, str]]
"""Texts and their styles."""


class Box(NamedTuple):
    """The lines of a queue or of a handler."""

    lines: list[Words]
    style: str = ""


def draw(graph: Mapping[str, Any], width: int, plain: bool) -> Canvas:
    """Draw what ``cloud.queue.graph()`` tells.

    Args:
        width: columns there are.
        plain: with ASCII characters alone.
    """
    canvas = Canvas(PLAIN if plain else DRAWN)
    queues = {one["name"]: one for one in graph["queues"]}
    links = [Link(edge["from"], edge["to"], edge["exception"] or "") for edge in graph["edges"]]
    line = 0
    for part in pipelines([*queues], links):
        here = {one.name for one in part}
        line = _Pipeline(canvas, part, [link for link in links if link.source in here], queues, max(width, 2 + LEAST)).draw(line)
    return canvas


class _Pipeline:
    """Queues that are joined."""

    def __init__(
        self, canvas: Canvas, part: Sequence[Placed], links: Sequence[Link], queues: Mapping[str, Any], width: int
    ) -> None:
        self._canvas, self._part, self._queues = canvas, part, queues
        self._kinds = ways.exceptions(links)
        at = {one.name: number for number, one in enumerate(part)}
        found = ways.columns(ways.lanes(at, links))
        most = (width - LEAST - 2) // 2
        self._lanes, told = found[:most], [lane for column in found[most:] for lane in column]
        self._told = {link: True for lane in told for link in lane.links}
        self._left = width - 2 * len(self._lanes) - (2 if self._lanes else 0)  # columns for boxes
        self._entries = {port for column in self._lanes for lane in column for port in lane.targets}
        self._at: dict[Port, tuple[int, int]] = {}  # line, and the column behind the box
        self._taken: set[tuple[int, int]] = set()  # lines on which each column of lanes is in use

    def draw(self, line: int) -> int:
        """From this line on; the line below."""
        every = [(number, one, self._boxes(number, one.name)) for number, one in enumerate(self._part)]
        self._left = min(self._left, max(2 * one.layer + _size(boxes) for _, one, boxes in every))
        for number, one, boxes in every:
            line = self._place(number, max(0, min(2 * one.layer, self._left - _size(boxes))), boxes, line)
        self._connect()
        return line + bool(self._lanes)

    def _boxes(self, number: int, name: str) -> list[Box]:
        known = self._queues.get(name)
        queue = self._queue(name, known)
        if (number, FAILED_INTO) in self._entries and len(queue.lines) < 2:
            queue.lines.append([])
        return [queue, self._handler(name, known)] if known and known["handler"] else [queue]

    def _place(self, number: int, indent: int, boxes: Sequence[Box], line: int) -> int:
        """The boxes of one queue, one below the other."""
        for kind, box in enumerate(boxes):
            corners = self._canvas.glyphs.handler if kind else self._canvas.glyphs.queue
            size = _size([box])
            self._canvas.box(line, indent, size, len(box.lines) + 2, corners, box.style)
            for row, words in enumerate(box.lines):
                self._write(line + 1 + row, indent + 2, words)
                if kind or row < OUT_OF:
                    self._at[number, OUT_OF * kind + row] = line + 1 + row, indent + size
            if len(boxes) > 1:
                down = self._canvas.glyphs.down[kind]
                self._canvas.put(line if kind else line + len(box.lines) + 1, indent + 4, down, box.style)
            line += len(box.lines) + 2
        return line

    def _write(self, line: int, column: int, words: Words) -> None:
        for text, style in words:
            self._canvas.write(line, column, text, style)
            column += _width([(text, style)]) + len(GAP)

    # -- what stands in the boxes -----------------------------------------------------------------------------------

    def _queue(self, name: str, known: Mapping[str, Any] | None) -> Box:
        words: Words = [(name, NAME)]
        if known is None:
            return self._box([(name, QUIET), ("not used yet", QUIET)], [], QUIET)
        words.append((f"{known['count']:,}", ""))
        words += [(f"{known['in_hand']:,} in hand", "")] if known["in_hand"] else []
        words += [(f"{known['dead']:,} dead", ERROR)] if known["dead"] else []
        words += [("paused", QUIET)] if known["paused"] else []
        return self._box(words, [], QUIET if known["paused"] else "")

    def _handler(self, name: str, known: Mapping[str, Any]) -> Box:
        one = known["handler"]
        jobs = f"{one['running']} job{'s' * (one['running'] != 1)}" + (f" + {one['starting']}" if one["starting"] else "")
        words: Words = [(one["name"], NAME), (jobs, ""), (f"{known['dequeue_rate']:,.1f}/s", "")]
        after = [f"to {link.target}" for link in self._told if link.source == name and not link.exception]
        quiet = known["paused"] or one["max_parallel_jobs"] == 0
        kinds = [[(self._kind(name, kind), ERROR)] for kind in self._kinds.get(name, ())]
        box = self._box(words, kinds, QUIET if quiet else HANDLER)
        box.lines.extend([(self._fit(text), "")] for text in after)
        box.lines.extend([(self._fit(text), ERROR)] for text in (one["trouble"] or "").splitlines()[:1])
        return box

    def _kind(self, name: str, kind: str) -> str:
        """An exception; where its way is not drawn, with its queue."""
        short = kind.rpartition(".")[2]
        told = [link.target for link in self._told if link.source == name and link.exception == kind]
        return f"{short} to {', '.join(told)}" if told else short

    def _fit(self, text: str) -> str:
        if self._canvas.glyphs is PLAIN:
            text = text.encode("ascii", "replace").decode()
        return fitted(text, self._left - 4, self._canvas.glyphs.cut)

    def _box(self, words: Words, kinds: list[Words], style: str) -> Box:
        """A box of one line of words, then one for each kind; words that find no room there stand below."""
        first: Words = []
        below: list[Words] = []
        for text, look in words:
            word = (self._fit(text), QUIET if style == QUIET and look != ERROR else look)
            line = below[-1] if below else first
            if line and _width([*line, word]) > self._left - 4:
                below.append([word])
            else:
                line.append(word)
        lines = [first, *([(self._fit(text), look)] for kind in kinds for text, look in kind), *below]
        return Box(lines, style)

    # -- what leads where -------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        glyphs = self._canvas.glyphs
        for number, column in enumerate(self._lanes):
            for lane in column:
                for line in range(self._at[lane.first][0], self._at[lane.last][0] + 1):
                    self._taken.add((number, line))
                    self._canvas.put(line, self._column(number), (glyphs.dashed if lane.failed else glyphs.line)[1], _style(lane))
        places = [(number, lane) for number, column in enumerate(self._lanes) for lane in column]
        touching: dict[Port, list[tuple[int, Lane]]] = {}
        for number, lane in places:
            for port in (*lane.sources, *lane.targets):
                touching.setdefault(port, []).append((number, lane))
        for port, met in touching.items():
            self._join(port, dict(met))

    def _join(self, port: Port, met: Mapping[int, Lane]) -> None:
        """The line from a box to its lanes; over those that it only crosses it is broken."""
        glyphs, canvas = self._canvas.glyphs, self._canvas
        line, column = self._at[port]
        lane = next(iter(met.values()))
        last = max(met)
        crossed = {self._column(number) for number in range(last) if (number, line) in self._taken}
        for at in range(column, self._column(last)):
            if at not in crossed:
                canvas.put(line, at, (glyphs.dashed if lane.failed else glyphs.line)[0], _style(lane))
        for number, one in met.items():
            joint = LEFT | (RIGHT if number < last else 0)
            joint |= (UP if self._at[one.first][0] < line else 0) | (DOWN if self._at[one.last][0] > line else 0)
            canvas.put(line, self._column(number), glyphs.joints[joint], _style(one))
        if port[1] in (INTO, FAILED_INTO):
            canvas.put(line, column, glyphs.into, _style(lane))

    def _column(self, number: int) -> int:
        return self._left + 2 + 2 * number - 1


def _style(lane: Lane) -> str:
    return ERROR if lane.failed else ""


def _size(boxes: Sequence[Box]) -> int:
    """Columns of the widest."""
    return max(_width(words) for box in boxes for words in box.lines) + 4


def _width(words: Words) -> int:
    from rich.cells import cell_len

    return sum(cell_len(text) for text, _ in words) + len(GAP) * max(0, len(words) - 1)
