"""What every sandbox is given to read: the platform's packages, its command, the shim, the helpers of guests."""

from __future__ import annotations

import importlib.util
import shlex
from functools import cache
from pathlib import Path

from picloud.sandbox import platform

PLACE = "/run/picloud"
PACKAGES = ("cloud", "picloud")
LIBRARIES = ("cloudpickle", "msgspec", "click", "rich", "markdown_it", "mdurl", "pygments")
"""What the packages need; looked for last, so that an environment's own versions win."""
SFTP = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")
BOOT = "import sys; sys.path[:0] = [{0!r}]; sys.path.append({0!r} + '/deps'); "


@cache
def shown() -> dict[str, str]:
    """Place below /run/picloud -> folder or file of the host."""
    found = {f"kit/{name}": folder for name in PACKAGES if (folder := _package(name))}
    found |= {f"kit/deps/{name}": folder for name in LIBRARIES if (folder := _package(name))}
    found["shim.py"] = str(Path(__file__).parent / "shim.py")
    sftp = next((one for one in SFTP if Path(one).is_file()), "")
    return found | ({"sftp-server": sftp} if sftp else {})


def command(folder: Path, foreign: bool) -> None:
    """Write the ``picloud`` command of sandboxes into a folder; it runs on the platform's own interpreter."""
    folder.mkdir(exist_ok=True, mode=0o755)
    code = BOOT.format(f"{PLACE}/kit") + "from picloud.cli.main import main; main()"
    words = shlex.join([*platform.command(foreign), "-P", "-c", code])
    path = folder / "picloud"
    path.write_text(f'#!/bin/sh\nunset PYTHONHOME PYTHONPATH\nexec {words} "$@"\n')
    path.chmod(0o755)


def _package(name: str) -> str:
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return str(Path(places[0]).resolve()) if places else ""
