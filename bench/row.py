"""One line of the benchmark's table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass
class Row:
    """What was measured, beside its rivals and its target.

    Attributes:
        question: what was done, in words.
        ours: the figure with its unit, as shown.
        target: what is asked of it, or "" where nothing is.
        met: whether the target was met; None without a target.
        rivals: figures of the rivals in the same run.
        values: the raw numbers behind the line, for the results file.
    """

    question: str
    ours: str
    target: str = ""
    met: bool | None = None
    rivals: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The row as it is saved."""
        return asdict(self)


def show(rows: list[Row], title: str = "") -> None:
    """Print the rows as one table."""
    table = Table(title=title or None, title_justify="left", show_lines=True)
    for column in ("question", "PiCloud", "rivals in the same run", "target", "met"):
        table.add_column(column, overflow="fold")
    for row in rows:
        rivals = "\n".join(f"{name} {figure}" for name, figure in row.rivals.items())
        table.add_row(row.question, row.ours, rivals, row.target, {None: "", True: "yes", False: "NO"}[row.met])
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)
    console.print(table)
