"""Puts the dashboard into the wheel: a build hook of hatchling, named in pyproject.toml.

An editable installation, which is a checkout, has its dashboard by `make dashboard`. A source distribution brings the one that
its maker built; a wheel from bare sources builds it, with node.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Dashboard(BuildHookInterface[Any]):
    """Builds what is not there."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel or a source distribution is packed.

        Raises:
            RuntimeError: the dashboard is not there and cannot be built.
        """
        root = Path(self.root)
        if version == "editable" or (root / "src" / "picloud" / "dashboard" / "index.html").is_file():
            return
        if subprocess.run([str(root / "scripts" / "dashboard")], check=False).returncode:
            raise RuntimeError("the dashboard was not built: see above; make dashboard tries it again")
