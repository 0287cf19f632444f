"""Become another user of this machine who has a home, and nothing else: run as root in a mount namespace of its own.

    python other_user.py UID HOME FOLDER... -- COMMAND...

The folders (this source tree, the interpreter) may lie below one that only root can enter, /root for instance: such a
one is replaced, in this mount namespace alone, by an empty one that holds just them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def closed(folder: Path) -> Path | None:
    """The uppermost folder on the way to this one that others cannot enter."""
    return next((up for up in reversed(folder.parents) if not up.stat().st_mode & 0o001), None)


def open_up(folders: list[Path]) -> None:
    """Make these folders reachable, and show nothing else of what hides them."""
    hidden: dict[Path, list[Path]] = {}
    for folder in sorted({folder.resolve() for folder in folders}):
        door = closed(folder)
        if door is not None and not any(folder.is_relative_to(other) for other in hidden.get(door, [])):
            hidden.setdefault(door, []).append(folder)
    if hidden:
        _mount("--make-rprivate", "/")
    for door, inner in hidden.items():
        held = [(folder, tempfile.mkdtemp()) for folder in inner]
        for folder, aside in held:
            _mount("--bind", str(folder), aside)
        _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(door))
        for folder, aside in held:
            folder.mkdir(parents=True)
            _mount("--move", aside, str(folder))
            os.rmdir(aside)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def main(uid: int, home: str, folders: list[Path], command: list[str]) -> None:
    """Open the folders, drop every right, and become the command."""
    open_up(folders)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.environ["HOME"] = home
    os.chdir(home)
    os.execvp(command[0], command)


if __name__ == "__main__":
    at = sys.argv.index("--")
    main(int(sys.argv[1]), sys.argv[2], [Path(word) for word in sys.argv[3:at]], sys.argv[at + 1 :])
