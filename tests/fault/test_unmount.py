"""Unmounting while bytes are not stored yet: it waits for a server that died, and never is silent about what is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.processes import installation
from picloud.mount import device
from tests.conftest import PICLOUD, Server, picloud, server_home, start_server, stop_server
from tests.fault.test_bucket_faults import DEADLINE, kill, until
from tests.flow.mounts import Api

SIZE = 96 << 20
CHANGE = """
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
file = os.open(sys.argv[1], os.O_RDWR)  # not mmap.mmap: that keeps a descriptor, whose close waits for the upload
size = os.fstat(file).st_size
memory = libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, file, 0)
os.close(file)
print("mapped", flush=True)
sys.stdin.readline()
for at in range(0, size, 4096):
    ctypes.memset(memory + at, 1, 1)
"""
"""Changes a file by way of shared memory after it closed it: nobody waits for these bytes."""

pytestmark = [pytest.mark.slow, pytest.mark.live]


@pytest.fixture
def mortal() -> Iterator[Server]:
    """A server of this test's own."""
    made = start_server(server_home())
    yield made
    stop_server(made)


class Mapped:
    """A mounted bucket, and a program that has a file of it in its memory."""

    def __init__(self, server: Server, folder: Path, size: int) -> None:
        self.server, self.folder = server, folder
        server.picloud("bucket", "mount", str(folder))
        (folder / "file").write_bytes(bytes(size))
        self.program = subprocess.Popen([sys.executable, "-c", CHANGE, str(folder / "file")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)  # fmt: skip
        assert self.program.stdout is not None and self.program.stdout.readline() == "mapped\n"

    def change(self) -> None:
        """Let the program write, and end."""
        self.program.communicate("\n", timeout=DEADLINE)
        assert self.program.returncode == 0

    def unmount(self) -> subprocess.Popen[str]:
        env = {**os.environ, "PICLOUD_HOME": str(self.server.home)}
        line = [*PICLOUD, "--json", "bucket", "unmount", str(self.folder)]
        return subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.full
def test_the_server_dies_during_an_unmount(mortal: Server, tmp_path: Path) -> None:
    mapped = Mapped(mortal, tmp_path / "bucket", SIZE)
    found = installation(mortal.home)
    for process in found.edge:
        os.kill(process.pid, signal.SIGSTOP)  # nothing that is written from here on is stored
    mapped.change()
    kill(found.control)
    kill(found.edge)
    leaving = mapped.unmount()
    until(lambda: leaving.poll() is not None or not device.is_mounted(str(tmp_path / "bucket")))
    assert leaving.poll() is None, leaving.communicate()  # the folder is free, and what was written is not stored yet
    picloud(mortal.home, "up")
    _, told = leaving.communicate(timeout=2 * DEADLINE)
    assert leaving.returncode == 0, told
    api = Api(mortal.url, mortal.key, mortal.secret)
    assert api.get("file") == (b"\1" + bytes(4095)) * (SIZE // 4096)
    api.close()
    assert os.listdir(tmp_path / "bucket") == []


def test_what_an_unmount_cannot_store_is_named(mortal: Server, tmp_path: Path) -> None:
    mapped = Mapped(mortal, tmp_path / "bucket", 1 << 20)
    picloud(mortal.home, "bucket", "remove", "file")
    mapped.change()
    leaving = mapped.unmount()
    out, told = leaving.communicate(timeout=DEADLINE)
    assert leaving.returncode == 3, out + told
    error = json.loads(out or told)["error"]
    assert "'file'" in error["message"] and error["facts"]["lost"] == ["file"] and not error["retry"]
    assert not os.path.ismount(tmp_path / "bucket")
    picloud(mortal.home, "bucket", "mount", str(tmp_path / "bucket"))
    picloud(mortal.home, "bucket", "unmount", str(tmp_path / "bucket"))
