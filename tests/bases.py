"""A small Debian base for tests, built once a machine and day: making one takes half a minute and the mirrors."""

from __future__ import annotations

import datetime
import fcntl
import os
from pathlib import Path

import msgspec

from picloud.image import debian
from picloud.image.base import Base

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "picloud" / "tests"


def bookworm() -> tuple[Base, Path]:
    """The base and its layer's file, which nobody may change."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        day = datetime.datetime.now(datetime.UTC).date().isoformat()
        layer, said = CACHE / f"bookworm-{day}.tar.zst", CACHE / f"bookworm-{day}.json"
        if not said.exists():
            for old in CACHE.glob("bookworm-*"):
                old.unlink()
            said.write_bytes(msgspec.json.encode(debian.build("bookworm", layer)))
        return msgspec.json.decode(said.read_bytes(), type=Base), layer
