"""User namespaces with a range of ids: being root of a place without being root of the machine.

    ids = ids_for(account)                       what this machine allows: a range of its own, a subordinate one, one id
    run(["tar", ...], ids)                       a program as root of a new user namespace
    remove_tree(path, ids)                       a folder whose files belong to ids of the range
    enter(ids)                                   this process itself, which must have one thread

Inside, ids count from 0. Standard library alone, also as a program: it starts in 20 ms and needs no site-packages.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

SPAN = 65536
"""Ids in a whole range: as many as a distribution's files and services use."""
FIRST = 0x4000_0000
"""Where the ranges of accounts begin on a machine whose root we are: above all that people and containers use."""
RANGES = (0xFFFF_0000 - FIRST) // SPAN
NEWUSER = 0x1000_0000
_SET_DUMPABLE = 4


class Ids(NamedTuple):
    """Which ids of the machine the ids inside a user namespace are."""

    base: int  # user id, as the machine counts, of root inside; where ``root`` is false, of user 1
    count: int = SPAN  # type: ignore[assignment]  # ids inside; 1 = root alone, who is ourselves
    root: bool = True  # we are root of the machine, and write the maps ourselves
    group: int = -1  # as ``base``, for groups; -1 = the same number

    def users(self) -> list[tuple[int, int, int]]:
        """Lines of uid_map: id inside, id outside, how many."""
        return self._map(self.base, os.geteuid())

    def groups(self) -> list[tuple[int, int, int]]:
        """Lines of gid_map."""
        return self._map(self.base if self.group < 0 else self.group, os.getegid())

    def _map(self, base: int, own: int) -> list[tuple[int, int, int]]:
        if self.root:
            return [(0, base, self.count)]
        return [(0, own, 1), (1, base, self.count - 1)] if self.count > 1 else [(0, own, 1)]


def ids_for(account: int = 0) -> Ids:
    """The ids that sandboxes of an account get on this machine; different accounts share none where we are root."""
    base = FIRST + account % RANGES * SPAN
    if os.geteuid() == 0 and _covered("uid", base) and _covered("gid", base):
        return Ids(base)
    users, groups = _subordinate("/etc/subuid"), _subordinate("/etc/subgid")
    if users and groups and _program("newuidmap") and _program("newgidmap"):
        return Ids(users[0], min(users[1], groups[1], SPAN - 1) + 1, False, groups[0])
    return Ids(os.geteuid(), 1, False, os.getegid())


def _covered(kind: str, base: int) -> bool:
    """Whether we are root of all ids, not root of a namespace ourselves."""
    lines = [[int(word) for word in line.split()] for line in Path(f"/proc/self/{kind}_map").read_text().splitlines()]
    return any(start <= base and base + SPAN <= start + count for start, _, count in lines)


def _subordinate(table: str) -> tuple[int, int] | None:
    """The largest range of this user in /etc/subuid or /etc/subgid: start, count."""
    import pwd

    own = str(os.geteuid())
    try:
        names = {own, pwd.getpwuid(os.geteuid()).pw_name}
        rows = [line.split(":") for line in Path(table).read_text().splitlines()]
    except (OSError, KeyError):
        return None
    ranges = [(int(row[1]), int(row[2])) for row in rows if len(row) == 3 and row[0] in names]
    return max(ranges, key=lambda found: found[1], default=None)


def _program(name: str) -> str:
    folders = [*os.environ.get("PATH", "").split(":"), "/usr/bin", "/bin"]
    return next((f"{folder}/{name}" for folder in folders if folder and os.access(f"{folder}/{name}", os.X_OK)), "")


def enter(ids: Ids, also: int = 0) -> None:
    """Make this process root of a new user namespace.

    Only in a process with one thread. Files that it is to use there must be open already where others cannot reach them:
    root of the namespace is nobody to folders of the machine's root.

    Args:
        ids: which ids it gets.
        also: further CLONE_NEW* flags for the same step.

    Raises:
        OSError: user namespaces are forbidden here, or the range is not ours; the text says which.
    """
    own, ready, done = os.getpid(), os.pipe(), os.pipe()
    writer = os.fork()
    if writer == 0:
        os.close(ready[1])
        _write_for_parent(own, ids, ready[0], done[1])
    os.close(ready[0])
    os.close(done[1])
    try:
        unshare(NEWUSER | also)
        os.write(ready[1], b"1")
    finally:
        os.close(ready[1])
        told = _drain(done[0])
        os.waitpid(writer, 0)
    if told:
        raise OSError(1, told)
    become_root(single=ids.count == 1)


def become_root(*, single: bool = False) -> None:
    """Take id 0 of the user namespace that this process is in. ``single``: it has one id, so groups cannot be dropped."""
    if not single:
        os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    _libc().prctl(_SET_DUMPABLE, 1, 0, 0, 0)  # changing ids made /proc/self unreadable to ourselves


def unshare(flags: int) -> None:
    """The system call. Raises OSError."""
    libc = _libc()
    if libc.unshare(flags) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"unshare: {os.strerror(error)}")


def syncfs(fd: int) -> None:
    """Bring to the disk what the file system of this file holds. Raises OSError."""
    libc = _libc()
    if libc.syncfs(fd) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"syncfs: {os.strerror(error)}")


def write_maps(pid: int, ids: Ids) -> None:
    """Give a process that has just made a user namespace its ids; from outside of that namespace.

    Raises:
        OSError: they are not ours to give.
    """
    if ids.root or ids.count == 1:
        if ids.count == 1:
            Path(f"/proc/{pid}/setgroups").write_text("deny")
        for kind, lines in ("uid", ids.users()), ("gid", ids.groups()):
            Path(f"/proc/{pid}/{kind}_map").write_text("".join(f"{a} {b} {c}\n" for a, b, c in lines))
        return
    for tool, lines in ("newuidmap", ids.users()), ("newgidmap", ids.groups()):
        words = [str(number) for line in lines for number in line]
        done = subprocess.run([_program(tool) or tool, str(pid), *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(1, done.stderr.strip() or f"{tool} failed")


def _write_for_parent(parent: int, ids: Ids, ready: int, done: int) -> NoReturn:
    """In the fork that stays outside: wait until the parent is in, write its maps, tell what went wrong, end."""
    try:
        if os.read(ready, 1):
            write_maps(parent, ids)
    except OSError as error:
        os.write(done, f"user namespace: {error}".encode())
    finally:
        os._exit(0)


def _drain(fd: int) -> str:
    with os.fdopen(fd, "rb") as stream:
        return stream.read().decode()


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def command(argv: Sequence[str], ids: Ids) -> list[str]:
    """The command that runs ``argv`` as root of a new user namespace, for whoever starts processes himself."""
    words = ":".join(str(int(part)) for part in ids)
    return [sys.executable, "-I", "-S", __file__, words, *argv]


def run(
    argv: Sequence[str], ids: Ids, *, fds: Sequence[int] = (), stdin: int | IO[bytes] | None = None, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run a program as root of a new user namespace; it must lie where that root can reach it.

    Args:
        argv: program and arguments.
        ids: which ids it gets.
        fds: descriptors that it keeps.
        stdin: as for :func:`subprocess.run`; nothing by default.
        options: further ones of :func:`subprocess.run`.

    Returns:
        How it ended; status 125 where the namespace could not be made, with the reason on stderr.
    """
    source = subprocess.DEVNULL if stdin is None else stdin
    return subprocess.run(command(argv, ids), pass_fds=tuple(fds), stdin=source, check=False, **options)


def remove_tree(path: Path, ids: Ids) -> None:
    """Remove a folder with all in it, whoever of the range owns it; nothing happens if it is not there.

    Raises:
        OSError: something could not be removed.
    """
    if not os.path.lexists(path):
        return
    if os.geteuid() == 0 and ids.root:
        _remove(str(path))
        return
    done = run(["--remove", str(path)], ids, capture_output=True)
    if done.returncode or os.path.lexists(path):
        raise OSError(1, f"cannot remove {path}: {done.stderr.decode(errors='replace').strip()[-500:]}")


def _remove(path: str) -> None:
    if __name__ == "__main__":  # -I and -S: nothing of ours is on the path
        sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from picloud.sandbox import tree

    if not tree.remove(path):
        raise OSError(1, f"not all of {path} could be removed")


def main(words: list[str]) -> int:
    """``BASE:COUNT:ROOT:GROUP PROGRAM ARGUMENTS``, or ``... --remove FOLDER``."""
    base, count, root, group = (int(word) for word in words[0].split(":"))
    try:
        enter(Ids(base, count, bool(root), group))
        if words[1] == "--remove":
            _remove(words[2])
            return 0
        os.execvp(words[1], words[1:])
    except OSError as error:
        print(error, file=sys.stderr)
        return 125


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # -I and -S: nothing of ours is on the path
    sys.exit(main(sys.argv[1:]))
