"""The fake control is a module beside the tests; tests of faults use it, too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fake_control import control, start, worker

__all__ = ["control", "start", "worker"]
