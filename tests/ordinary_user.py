"""Become an ordinary user of this machine, with a range of subordinate ids: run as root in a mount namespace of its own.

    unshare --mount python ordinary_user.py UID HOME FOLDER... -- COMMAND...

The user exists in this mount namespace alone. Folders: as of contract/other_user.py.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "contract"))

import other_user  # type: ignore[import-not-found]

FIRST_SUBORDINATE = 700_000_000


def register(uid: int, home: str) -> None:
    """Name the user, and give it its range."""
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for table, line in {
        "passwd": f"guest{uid}:x:{uid}:{uid}::{home}:/bin/sh",
        "group": f"guest{uid}:x:{uid}:",
        "subuid": f"guest{uid}:{FIRST_SUBORDINATE}:65536",
        "subgid": f"guest{uid}:{FIRST_SUBORDINATE}:65536",
    }.items():
        place = Path("/etc") / table
        with tempfile.NamedTemporaryFile("w", delete=False) as copy:
            copy.write((place.read_text() if place.exists() else "") + line + "\n")
        Path(copy.name).chmod(0o644)
        if not place.exists():
            place.touch()
        subprocess.run(["mount", "--bind", copy.name, str(place)], check=True)
        Path(copy.name).unlink()


if __name__ == "__main__":
    at = sys.argv.index("--")
    register(int(sys.argv[1]), sys.argv[2])
    other_user.main(int(sys.argv[1]), sys.argv[2], [Path(word) for word in sys.argv[3:at]], sys.argv[at + 1 :])
