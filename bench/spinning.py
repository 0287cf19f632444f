"""How long does the store take for 2,000 rows beside a thread that spins in the same process? ``python -m bench.spinning``"""

from __future__ import annotations

from bench.row import Row, show


def measure() -> list[Row]:
    """Not written yet: see the store."""
    return []


if __name__ == "__main__":
    show(measure())
