"""The sweeper in a hurry, and a version that somebody has open though it was replaced long ago."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server, server_home, start_server, stop_server
from tests.flow.mounts import Api, mounted

KEPT, DEADLINE, MIB = 3.0, 60.0, 1 << 20

pytestmark = [pytest.mark.slow, pytest.mark.live]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that keeps what nobody names for seconds."""
    monkeypatch.setenv("PICLOUD_KEEP_UNUSED", str(KEPT))
    made = start_server(server_home())
    yield made
    stop_server(made)


def blobs(api: Api, key: str, home: Path) -> list[Path]:
    """The files with an object's bytes."""
    one = api.remote.find(key)
    content = api.remote.get(one.id) if one else None
    assert content is not None and content.extents
    names = [url.partition("?")[0].rpartition("/")[2] for _, url in content.extents]
    return [home / "blob" / name[:2] / name for name in names]


def gone(paths: list[Path]) -> None:
    """Wait until the sweeper has taken these files."""
    ends = time.monotonic() + DEADLINE
    while any(path.exists() for path in paths):
        assert time.monotonic() < ends, "nothing is swept"
        threading.Event().wait(0.05)


def test_what_is_open_in_a_mount_is_not_swept(hurried: Server, tmp_path: Path) -> None:
    api = Api(hurried.url, hurried.key, hurried.secret)
    with mounted(api, tmp_path, hold=KEPT / 6) as found:
        expected = bytearray(os.urandom(9 * MIB))
        for key in ("open", "loose"):
            (found.folder / key).write_bytes(expected)
        held, loose = blobs(api, "open", hurried.home), blobs(api, "loose", hurried.home)
        with open(found.folder / "open", "r+b") as file:
            for key in ("open", "loose"):
                api.put(key, b"of somebody else")
            gone(loose)
            assert all(path.exists() for path in held)
            expected[5 * MIB : 5 * MIB + 7] = b"changed"
            file.seek(5 * MIB)
            file.write(b"changed")
        assert api.get("open") == expected
        (beside,) = [name for name in api.names() if "conflict" in name]
        assert api.get(beside) == b"of somebody else"
        api.put("open", b"of somebody else again")
        gone(held)
    api.close()
