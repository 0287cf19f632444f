"""The system calls that a job may not make: a classic BPF filter for ``bwrap --seccomp FD``, assembled by hand.

What is denied answers EPERM, as if the job lacked the right; ``clone3`` and io_uring answer as an older kernel would, so that
libraries take their other way (``clone``, whose flags a filter can see; epoll), and setting extended attributes as a file
system without them. Everything that is not named is allowed:
namespaces and an unprivileged user are the walls, this list takes away what has opened holes in such walls, and what
belongs to the whole machine (clocks, modules, kernel log). Standard library only, quick to import: the holder uses it.
"""

from __future__ import annotations

import os
import struct

DENIED = """
    acct add_key adjtimex bpf clock_adjtime clock_settime delete_module finit_module init_module ioperm iopl
    io_uring_enter io_uring_register io_uring_setup kexec_file_load kexec_load keyctl open_by_handle_at perf_event_open
    quotactl quotactl_fd reboot request_key setns settimeofday swapoff swapon syslog userfaultfd
""".split()
"""Refused to everyone."""

MOUNTING = """
    fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree open_tree_attr pivot_root umount2
""".split()
"""Refused outside set-up sandboxes."""

ATTRIBUTES = "fsetxattr lsetxattr setxattr setxattrat".split()
"""Not here, outside set-up sandboxes: jobs keep no extended attributes. ``cp -p`` and its kin ask for an access list behind
each file, also where it says no more than the mode. In the bucket, whose files are root's, the kernel would refuse with EPERM,
which is a failure; "not supported" is none."""

_SAME = {  # one number on every machine: what came after the tables were made one
    "clone3": 435, "fsconfig": 431, "fsmount": 432, "fsopen": 430, "fspick": 433, "io_uring_enter": 426,
    "io_uring_register": 427, "io_uring_setup": 425, "mount_setattr": 442, "move_mount": 429, "open_tree": 428,
    "open_tree_attr": 467, "quotactl_fd": 443, "setxattrat": 463,
}  # fmt: skip

CALLS = {
    "x86_64": _SAME | {
        "acct": 163, "add_key": 248, "adjtimex": 159, "bpf": 321, "clock_adjtime": 305, "clock_settime": 227, "clone": 56,
        "delete_module": 176, "finit_module": 313, "init_module": 175, "ioctl": 16, "ioperm": 173, "iopl": 172,
        "kexec_file_load": 320, "kexec_load": 246, "keyctl": 250, "mount": 165, "open_by_handle_at": 304,
        "perf_event_open": 298, "personality": 135, "pivot_root": 155, "quotactl": 179, "reboot": 169, "request_key": 249,
        "setns": 308, "settimeofday": 164, "swapoff": 168, "swapon": 167, "syslog": 103, "umount2": 166, "unshare": 272,
        "userfaultfd": 323, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
    },
    "aarch64": _SAME | {
        "acct": 89, "add_key": 217, "adjtimex": 171, "bpf": 280, "clock_adjtime": 266, "clock_settime": 112, "clone": 220,
        "delete_module": 106, "finit_module": 273, "init_module": 105, "ioctl": 29, "kexec_file_load": 294, "kexec_load": 104,
        "keyctl": 219, "mount": 40, "open_by_handle_at": 265, "perf_event_open": 241, "personality": 92, "pivot_root": 41,
        "quotactl": 60, "reboot": 142, "request_key": 218, "setns": 268, "settimeofday": 170, "swapoff": 225, "swapon": 224,
        "syslog": 116, "umount2": 39, "unshare": 97, "userfaultfd": 282, "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7,
    },
}  # fmt: skip
"""Numbers of the system calls by machine; a call that a machine does not have (iopl) is not in its list."""

_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # the bit of x86_64's second table of calls, whose numbers this list does not hold
_NEWUSER = 0x10000000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # typing into, and steering, the terminal of whoever looks on
_PERSONALITIES = (0, 0x0040000, 0xFFFFFFFF)  # the usual, without random addresses (debuggers), the question

_LOAD, _RET = 0x20, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_RET|BPF_K
_JEQ, _JGE, _JSET = 0x15, 0x35, 0x45  # BPF_JMP|BPF_K with BPF_JEQ, BPF_JGE, BPF_JSET
_NUMBER, _MACHINE = 0, 4  # offsets in struct seccomp_data; both machines are little-endian
_ARGUMENTS = (16, 24)  # low words: the kernel takes these arguments as 32 bits, so a set high word hides nothing
_ENDS = {"allow": 0x7FFF0000, "eperm": 0x00050001, "enosys": 0x00050026, "enotsup": 0x0005005F, "kill": 0x80000000}

_Line = tuple[int, int, str, str]  # operation, constant, where to go on true and on false; "" = the next line


def machine() -> str:
    """The machine's name as :data:`CALLS` has it."""
    name = os.uname().machine
    return "aarch64" if name == "arm64" else name


def program(setup: bool, kind: str = "") -> bytes:
    """The filter, as ``bwrap --seccomp`` and ``prctl(PR_SET_SECCOMP)`` take it.

    Args:
        setup: for a set-up sandbox: mounts and nested user namespaces are allowed.
        kind: name of the machine, a key of :data:`CALLS`; "" = this one.

    Raises:
        LookupError: no list is known for such a machine.
    """
    kind = kind or machine()
    if kind not in CALLS:
        raise LookupError(f"no list of system calls for {kind} machines (there is one for {', '.join(CALLS)})")
    calls = CALLS[kind]
    lines: list[_Line | str] = [(_LOAD, _MACHINE, "", ""), (_JEQ, _ARCH[kind], "", "kill"), (_LOAD, _NUMBER, "", "")]
    if kind == "x86_64":
        lines.append((_JGE, _X32, "enosys", ""))
    denied = DENIED if setup else DENIED + MOUNTING
    lines += [(_JEQ, calls[name], "eperm", "") for name in denied if name in calls]
    if not setup:
        lines += [(_JEQ, calls["clone3"], "enosys", ""), (_JEQ, calls["clone"], "spaces", "")]
        lines.append((_JEQ, calls["unshare"], "spaces", ""))
        lines += [(_JEQ, calls[name], "enotsup", "") for name in ATTRIBUTES]
    lines += [(_JEQ, calls["ioctl"], "ioctl", ""), (_JEQ, calls["personality"], "personality", "allow")]
    lines += ["spaces", (_LOAD, _ARGUMENTS[0], "", ""), (_JSET, _NEWUSER, "eperm", "allow")]
    lines += ["ioctl", (_LOAD, _ARGUMENTS[1], "", ""), (_JEQ, _TIOCSTI, "eperm", ""), (_JEQ, _TIOCLINUX, "eperm", "allow")]
    lines += ["personality", (_LOAD, _ARGUMENTS[0], "", "")]
    lines += [(_JEQ, value, "allow", "") for value in _PERSONALITIES]
    for name in ("eperm", "enosys", "enotsup", "kill", "allow"):  # personality's list runs into the first
        lines += [name, (_RET, _ENDS[name], "", "")]
    return _assemble(lines)


def _assemble(lines: list[_Line | str]) -> bytes:
    """Machine code of lines and labels; jumps lead forward, at most 255 lines."""
    places: dict[str, int] = {}
    code: list[_Line] = []
    for line in lines:
        if isinstance(line, str):
            places[line] = len(code)
        else:
            code.append(line)

    def jump(label: str, here: int) -> int:
        return places[label] - here - 1 if label else 0

    return b"".join(
        struct.pack("=HBBI", operation, jump(true, here), jump(false, here), constant)
        for here, (operation, constant, true, false) in enumerate(code)
    )
