"""What the suites of faults share with those of the flow."""

from __future__ import annotations

from tests.flow.conftest import api

__all__ = ["api"]
