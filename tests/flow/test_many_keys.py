"""Very many keys in one folder, by every way in: bounded memory, and a number of requests that grows with them and no faster."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bench.processes import installation
from cloud import bucket
from tests.flow.mounts import Api, Counter, mounted

pytestmark = pytest.mark.usefixtures("empty_bucket")
MIB = 1 << 20


def most_memory(pid: int) -> int:
    """Bytes that a process had in memory at most."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) << 10
    raise AssertionError("it has ended")


@pytest.mark.slow
@pytest.mark.parametrize("count", [2_500, pytest.param(100_000, marks=pytest.mark.full)])
def test_many_keys_in_one_folder(server: Any, api: Api, tmp_path: Path, count: int) -> None:
    names = [f"{n:06}" for n in range(count)]
    (control,) = installation(server.home).control
    before = most_memory(control.pid)
    assert bucket.put_many({name: name for name in names}, "many") == count
    bucket.putf(b"", "manymore")
    assert [*bucket.iterlist("many")] == [f"many/{name}" for name in names]
    assert bucket.list(folderize=True) == ["many/", "manymore"]
    assert dict(bucket.get_many([f"many/{name}" for name in names[-1000:]])) == {f"many/{n}": n.encode() for n in names[-1000:]}
    with closing(Counter(urlsplit(api.url).port or 0)) as counter, mounted(api, tmp_path, counter.url) as mount:
        folder = mount.folder / "many"
        assert sorted(os.listdir(folder)) == names
        listed = subprocess.run(["ls", "-l", str(folder)], capture_output=True, text=True, check=True).stdout
        assert listed.count("\n-rw") == count and len(listed.splitlines()) == count + 1
        asked = len(counter.requests)
        assert asked < 20 + 4 * count / 1000, counter.requests[:50]
        folder.rename(mount.folder / "moved")
        subprocess.run(["rm", "-r", str(mount.folder / "moved")], check=True)
        assert len(counter.requests) - asked < 50 + 1.1 * count
        assert os.listdir(mount.folder) == ["manymore"] == bucket.list()
        assert most_memory(mount.daemon.pid) < 200 * MIB + 3000 * count
    assert most_memory(control.pid) - before < 100 * MIB + 1000 * count
