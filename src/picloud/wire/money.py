"""Amounts: exact integers, billed ms x cores x micro-dollars a core-hour. They are rounded only where people read them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

HOUR = 3_600_000
"""Milliseconds."""
DOLLAR = HOUR * 1_000_000
"""An amount."""
DAY = 86_400_000
"""Milliseconds."""
MOST = DOLLAR * 1_000_000
"""An amount that may be given or set as a limit."""


def dollars(amount: int) -> float:
    """The amount in dollars."""
    return amount / DOLLAR


def amount(text: str) -> int:
    """An amount that people write: ``12.50`` or ``$500``.

    Raises:
        ValueError: it is none, or not between 0 and a million dollars.
    """
    try:
        found = Decimal(text.strip().removeprefix("$").replace(",", ""))
        whole = int(found * DOLLAR) if found.is_finite() else -1
    except (InvalidOperation, ValueError):
        whole = -1
    if not 0 <= whole <= MOST:
        raise ValueError(f"{text!r} is no amount of dollars from 0 to 1,000,000")
    return whole


def shown(given: int) -> str:
    """The amount for people: to the cent, and where that is nothing, to the digit that is something."""
    value = Decimal(given) / DOLLAR
    if not value or abs(value) >= Decimal("0.1"):
        return f"${value:,.2f}" if value >= 0 else f"-${-value:,.2f}"
    sign = "-" if value < 0 else ""
    return f"{sign}${abs(value):.4f}" if abs(value) >= Decimal("0.0001") else f"{sign}${float(abs(value)):.1e}"
