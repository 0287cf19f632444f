"""What the extra ``server`` brings: needed to run a server here, not to use one."""

from __future__ import annotations

import importlib.util

from picloud.wire.error import SetupError

PACKAGES = (
    "uvicorn",
    "uvloop",
    "httptools",
    "websockets",
    "sqlalchemy",
    "alembic",
    "obstore",
    "psutil",
    "cryptography",
)
INSTALL = "pip install 'picloud[server]'"


def missing() -> list[str]:
    """Those that this Python does not have."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def check() -> None:
    """Refuse to start a server that could not run.

    Raises:
        SetupError: a package is missing; the hint installs it.
    """
    lacking = missing()
    if lacking:
        hint = f"{INSTALL}, or from a clone: pip install '.[server]'"
        raise SetupError(f"to run a server, this Python lacks {', '.join(lacking)}", hint=hint)
