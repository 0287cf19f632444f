"""A mount that died is covered by the new one: at no moment does the folder below both show."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, sys
from picloud.sandbox import fuse

place = sys.argv[1]
for number in (1, 2):
    device = fuse.attach(os.getpid(), place, number == 2)
    with open("/proc/self/mountinfo") as table:
        print("mounts:", sum(line.split(" ")[4] == place for line in table))
    os.close(device)  # who served it has died
    try:
        open(place + "/file", "w")
    except OSError as error:
        print(error.strerror)
"""


def test_a_mount_that_died_is_covered(tmp_path: Path) -> None:
    place = tmp_path.resolve() / "bucket"
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", PROGRAM, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    dead = "Transport endpoint is not connected"
    assert done.stdout.splitlines() == ["mounts: 1", dead, "mounts: 2", dead], done.stderr
    assert not list(place.iterdir())
