"""Secrets that an operator confides to the server: in a file that nobody else may read, or in its environment at the start.

They are no settings, which `picloud doctor` prints, and leave the environment at once, so that no process inherits them.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from picloud.wire.error import SetupError


def secret(variable: str, path: str, setting: str) -> str:
    """A secret out of the environment, else out of the first line of a file; "" = neither is there.

    Args:
        variable: of the environment; it is removed.
        path: of the file; "" = none.
        setting: that names the file.

    Raises:
        SetupError: the file cannot be read, or others may read it too.
    """
    found = os.environ.pop(variable, "")
    if found or not path:
        return found
    file = Path(path).expanduser()
    try:
        mode = file.stat().st_mode
        text = file.read_text().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"the secret in {file} cannot be read: {error}", hint=f"see the setting {setting}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise SetupError(f"others may read {file}", hint=f"chmod 600 {file}")
    return text
