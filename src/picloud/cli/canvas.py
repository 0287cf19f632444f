"""Boxes and lines of characters, each with a style; in letters that every terminal has, or in those that draw well."""

from __future__ import annotations

from typing import NamedTuple

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
_JOINTS = " ╵╷│╴┘┐┤╶└┌├─┴┬┼"
"""By the sum of the directions in which something is joined."""


class Glyphs(NamedTuple):
    """How things look."""

    queue: str  # corners from the upper left to the lower right, then the sides: horizontal, vertical
    handler: str
    down: tuple[str, str]  # out of a queue, into its handler
    into: str
    line: str  # horizontal, vertical
    dashed: str
    joints: str
    cut: str  # where a text was too long


DRAWN = Glyphs("┌┐└┘─│", "╭╮╰╯─│", ("┬", "▼"), "◀", "─│", "┄┆", _JOINTS, "…")
PLAIN = Glyphs("++++-|", ".." + "''" + "-|", ("+", "v"), "<", "-|", ".:", " " + "+" * 15, "~")


class Canvas:
    """Characters by line and column. What is drawn later covers what was drawn before."""

    def __init__(self, glyphs: Glyphs) -> None:
        self.glyphs = glyphs
        self._cells: dict[int, dict[int, tuple[str, str]]] = {}

    def put(self, line: int, column: int, sign: str, style: str = "") -> None:
        """One character."""
        self._cells.setdefault(line, {})[column] = (sign, style)

    def write(self, line: int, column: int, text: str, style: str = "") -> None:
        """A text; characters that are two columns wide take two."""
        from rich.cells import cell_len

        for sign in text:
            wide = cell_len(sign)
            if wide:
                self.put(line, column, sign, style)
            for more in range(1, wide):
                self.put(line, column + more, "", style)
            column += wide

    def box(self, line: int, column: int, width: int, height: int, corners: str, style: str = "") -> None:
        """A frame; ``width`` and ``height`` with its sides."""
        right, below = column + width - 1, line + height - 1
        for at in range(column, right + 1):
            self.put(line, at, corners[4], style)
            self.put(below, at, corners[4], style)
        for at in range(line, below + 1):
            self.put(at, column, corners[5], style)
            self.put(at, right, corners[5], style)
        for at, (y, x) in enumerate(((line, column), (line, right), (below, column), (below, right))):
            self.put(y, x, corners[at], style)

    def lines(self) -> list[list[tuple[str, str]]]:
        """Texts with their styles, line by line, without blanks at the ends."""
        found = []
        for line in range(max(self._cells, default=-1) + 1):
            cells = self._cells.get(line, {})
            found.append([cells.get(at, (" ", "")) for at in range(max(cells, default=-1) + 1)])
        return found


def fitted(text: str, width: int, cut: str) -> str:
    """A text on one line, at most so wide; what would move a terminal's cursor is a question mark."""
    from rich.cells import cell_len, set_cell_size

    clean = "".join(sign if sign.isprintable() else "?" for sign in text)
    return clean if cell_len(clean) <= width else set_cell_size(clean, max(0, width - 1)).rstrip() + cut
