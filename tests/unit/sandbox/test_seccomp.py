"""The filter denies what its list says, on real processes and for both machines; programs run under it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from picloud.sandbox import seccomp

ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS, ENOTSUP = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS, 0x50000 | errno.ENOTSUP
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NEWUSER, NEWNET, THREAD = 0x10000000, 0x40000000, 0x3D0F00

UNDER = """
import ctypes, errno, json, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
code = bytes.fromhex(sys.argv[1])
held = ctypes.create_string_buffer(code)
fprog = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(held))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, fprog, 0, 0) == 0, ctypes.get_errno()
def call(number, *args):
    ctypes.set_errno(0)
    got = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(one) for one in args))
    return ctypes.get_errno() if got == -1 else 0
"""
"""Puts itself under a filter, as bwrap does; then ``call`` gives the error number of a system call."""


def verdict(code: bytes, number: int, arguments: Sequence[int] = (), arch: int = ARCH["x86_64"]) -> int:
    """What a filter answers; an interpreter of the few instructions that it is made of."""
    data = struct.pack("=IIQ6Q", number, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    lines = list(struct.iter_unpack("=HBBI", code))
    at = held = 0
    while True:
        operation, true, false, constant = lines[at]
        at += 1
        match operation:
            case 0x20:
                (held,) = struct.unpack_from("=I", data, constant)
            case 0x15:
                at += true if held == constant else false
            case 0x35:
                at += true if held >= constant else false
            case 0x45:
                at += true if held & constant else false
            case 0x06:
                return int(constant)
            case _:
                raise AssertionError(f"unknown instruction {operation:#x}")


def run(setup: bool, body: str) -> Any:
    """Run lines of Python under the filter; what they print, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", UNDER + body, seccomp.program(setup).hex()],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", seccomp.CALLS)
def test_every_call_of_the_lists_is_denied_and_no_other(kind: str) -> None:
    calls, job, setup = seccomp.CALLS[kind], seccomp.program(False, kind), seccomp.program(True, kind)
    special = {"clone", "clone3", "unshare", "ioctl", "personality"}
    assert set(calls) >= set(seccomp.DENIED + seccomp.MOUNTING + seccomp.ATTRIBUTES) - {"ioperm", "iopl"} | special
    names = {number: name for name, number in calls.items()}
    for number in range(600):
        name = names.get(number, "")
        if name in special:
            continue
        denied, mounting = name in seccomp.DENIED, name in seccomp.MOUNTING
        refused = ENOTSUP if name in seccomp.ATTRIBUTES else ALLOW
        assert verdict(job, number, arch=ARCH[kind]) == (EPERM if denied or mounting else refused), name
        assert verdict(setup, number, arch=ARCH[kind]) == (EPERM if denied else ALLOW), name


@pytest.mark.parametrize("kind", seccomp.CALLS)
def test_arguments_are_looked_at_where_they_decide(kind: str) -> None:
    calls, job, setup = seccomp.CALLS[kind], seccomp.program(False, kind), seccomp.program(True, kind)
    for code, name, arguments, expected in (
        (job, "clone", [NEWUSER | 17], EPERM),
        (job, "clone", [THREAD], ALLOW),
        (job, "clone3", [], ENOSYS),
        (job, "unshare", [NEWUSER], EPERM),
        (job, "unshare", [NEWNET], ALLOW),  # the kernel wants rights for it that a job has not
        (job, "ioctl", [0, 0x5412], EPERM),
        (job, "ioctl", [0, 0x541C], EPERM),
        (job, "ioctl", [0, 0x5412 | 1 << 32], EPERM),
        (job, "ioctl", [0, 0x5401], ALLOW),
        (job, "personality", [0], ALLOW),
        (job, "personality", [0x40000], ALLOW),
        (job, "personality", [0xFFFFFFFF], ALLOW),
        (job, "personality", [0x400000], EPERM),
        (setup, "clone", [NEWUSER | 17], ALLOW),
        (setup, "clone3", [], ALLOW),
        (setup, "unshare", [NEWUSER], ALLOW),
        (setup, "ioctl", [0, 0x5412], EPERM),
        (setup, "personality", [0x400000], EPERM),
    ):
        assert verdict(code, calls[name], arguments, ARCH[kind]) == expected, (name, arguments)


def test_other_tables_of_calls_are_no_way_around() -> None:
    code = seccomp.program(False, "x86_64")
    assert verdict(code, 1, arch=0x40000003) == KILL  # i386
    assert verdict(code, 321, arch=ARCH["aarch64"]) == KILL
    assert verdict(code, 0x40000000 | 1) == ENOSYS  # x32


def test_a_machine_without_a_list_is_told() -> None:
    with pytest.raises(LookupError, match="riscv64"):
        seccomp.program(False, "riscv64")


def test_a_real_process_is_denied_each_of_them() -> None:
    calls = seccomp.CALLS[seccomp.machine()]
    names = [name for name in seccomp.DENIED + seccomp.MOUNTING if name in calls]
    got = run(False, f"print(json.dumps([call(number, -1, -1, -1) for number in {[calls[name] for name in names]}]))")
    assert dict(zip(names, got, strict=True)) == dict.fromkeys(names, errno.EPERM)


def test_a_set_up_sandbox_may_mount() -> None:
    calls = seccomp.CALLS[seccomp.machine()]
    numbers = [calls["fsopen"], calls["mount_setattr"], calls["bpf"]]
    got = run(True, f"print(json.dumps([call(number, -1, -1, -1) for number in {numbers}]))")
    assert errno.EPERM not in got[1:2]
    assert got[2] == errno.EPERM


def test_a_real_process_runs_on() -> None:
    body = """
import os, socket, subprocess, threading
def fork():
    pid = os.fork()
    if not pid:
        os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
found = []
thread = threading.Thread(target=found.append, args=(1,))
thread.start()
thread.join()
pair = socket.socketpair()
pair[0].send(b"x")
import numpy
print(json.dumps([
    found, fork(), subprocess.run(["sh", "-c", "exit 4"]).returncode, pair[1].recv(1) == b"x",
    float(numpy.ones((200, 200)).dot(numpy.ones(200)).sum()), libc.unshare(0x10000000), ctypes.get_errno(),
]))
"""
    assert run(False, body) == [[1], 3, 4, True, 40000.0, -1, errno.EPERM]


def test_a_debugger_works() -> None:
    body = """
import os, signal
pid = os.fork()
if not pid:
    libc.ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0)
stopped = os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
going = libc.ptrace(7, pid, None, None)
print(json.dumps([stopped, going, os.waitpid(pid, 0)[1]]))
"""
    assert run(False, body) == [True, 0, 0]


def test_bubblewrap_takes_it() -> None:
    if not shutil.which("bwrap"):
        pytest.skip("there is no command `bwrap` (package bubblewrap)")
    script = "unshare --user true 2>&1; grep Seccomp: /proc/self/status; dmesg 2>&1 | tail -1"
    with open(os.memfd_create("filter"), "w+b") as held:
        held.write(seccomp.program(False))
        held.seek(0)
        fd = held.fileno()
        words = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--seccomp", str(fd), "sh", "-c", script]
        done = subprocess.run(words, pass_fds=[fd], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Operation not permitted") == 2
    assert "Seccomp:\t2" in done.stdout


def test_it_is_light() -> None:
    """The holder pays for every module that these bring, at each start of a sandbox."""
    code = "import sys; sys.path.insert(0, sys.argv[1])\nfrom picloud.sandbox import disk, routes, seccomp\nprint(*sys.modules)"
    source = str(Path(seccomp.__file__).parents[2])
    words = [sys.executable, "-S", "-E", "-c", code, source]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30)
    assert not {"msgspec", "typing", "re", "dataclasses", "ctypes", "subprocess"} & set(done.stdout.split())
