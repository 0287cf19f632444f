"""The process between a worker and its sandboxes: it owns their user namespace and starts them, each by a fork.

It is small, has one thread and has loaded all it needs, so that a sandbox costs a fork instead of an interpreter's start.
When the worker dies it dies, and with it every sandbox.

    worker -> holder        {"id", "plan"} with descriptors: the shim's socket, the error pipe, the filter, control groups
    holder -> worker        {"id", "pid"} with a pidfd of what became the sandbox
    worker -> holder        {"id", "mount": {"pid", "place", "over"}} with a socket for the device and the error pipe
    a launcher, forked      stage -> user namespace -> the other namespaces -> bubblewrap -> shim

Standard library only; started as ``python -I -S holder.py SOCKET``.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import sys
from typing import Any

if __name__ == "__main__":  # -I and -S: nothing of ours is on the path
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from picloud.sandbox import fuse, routes, system, tree
from picloud.sandbox.stage import Stage
from picloud.sandbox.userns import Ids, become_root, write_maps

LARGEST = 1 << 18
TUN = "/dev/net/tun"
CAP_NET_ADMIN = 12


class Holder:
    """See the module.

    Args:
        line: our end of the socket to the worker.
        ids: the range of the user namespace.
        nested: whether namespaces may be made inside (set-up jobs).
    """

    def __init__(self, line: socket.socket, ids: Ids, nested: bool) -> None:
        self._line, self._ids = line, ids
        self.users = _user_namespace(ids, nested)

    # -- sandboxes ------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until the worker is gone."""
        wake, woken = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        while True:
            ready = select.select([self._line.fileno(), wake], [], [])[0]
            if wake in ready:
                os.read(wake, 4096)
                _reap()
            if self._line.fileno() in ready and not self._serve():
                return

    def _serve(self) -> bool:
        message, received = system.receive(self._line, LARGEST, 64)
        if not message:
            return False
        handles = [_above(one) for one in received]
        asked = json.loads(message)
        child = os.fork()
        if child == 0:
            if "remove" in asked:
                _or_exit(lambda: self._remove(asked["remove"]))
            if "mount" in asked:
                _or_report(handles[1], lambda: self._mount(asked["mount"], handles[0]))
            _or_report(handles[1], lambda: Launcher(self.users, self._ids, asked["plan"], handles).run())
        handle = os.pidfd_open(child)
        socket.send_fds(self._line, [json.dumps({"id": asked["id"], "pid": child}).encode()], [handle])
        for one in [handle, *handles]:
            os.close(one)
        return True

    def _mount(self, asked: dict[str, Any], answer: int) -> None:
        """Mount inside a living sandbox, and send the device out."""
        enter(self.users, self._ids)
        device = fuse.attach(asked["pid"], asked["place"], asked["over"])
        socket.send_fds(socket.socket(fileno=answer), [b"+"], [device])
        os._exit(0)

    def _remove(self, paths: list[str]) -> None:
        """Remove trees whose owners only the namespace knows."""
        enter(self.users, self._ids)
        for path in paths:
            tree.remove(path)


def _user_namespace(ids: Ids, nested: bool) -> int:
    """A descriptor of a new user namespace with these ids.

    Raises:
        OSError: user namespaces are forbidden here, or the range is not ours.
    """
    (waits, tell), (heard, told) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        _or_exit(lambda: _new_users(ids, nested, waits, told))
    os.close(waits)
    os.close(told)
    try:
        if not os.read(heard, 1):
            raise OSError("user namespaces are forbidden here")
        write_maps(child, ids)
        handle = os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        os.write(tell, b"+")
        if not os.read(heard, 1):
            raise OSError("the ids of the user namespace could not be taken")
        return handle
    finally:
        os.close(heard)
        os.close(tell)
        os.waitpid(child, 0)


def _new_users(ids: Ids, nested: bool, waits: int, told: int) -> None:
    if ids.root:  # who makes it owns it: an id of the range, not the machine's root
        become(ids.base)
        system.prctl(system.PR_SET_DUMPABLE, 1)
    system.unshare(system.CLONE_NEWUSER)
    os.write(told, b"+")
    if not os.read(waits, 1):
        return
    become_root(single=ids.count == 1)
    if not nested:
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")
    os.write(told, b"+")


def become(user: int) -> None:
    """An ordinary user of the machine."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def enter(users: int, ids: Ids) -> None:
    """Enter the user namespace as its root."""
    system.setns(users, system.CLONE_NEWUSER)
    become_root(single=ids.count == 1)


class Launcher:
    """One sandbox in the making; becomes bubblewrap."""

    def __init__(self, users: int, ids: Ids, plan: dict[str, Any], handles: list[int]) -> None:
        self._users, self._ids, self._root, self._plan = users, ids, ids.root, plan
        self._shim, self._errors, self._filter, *self._groups = handles
        self._parent = os.getppid()

    def run(self) -> None:
        """Make everything; does not return."""
        system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        if self._plan["nice"]:
            os.nice(self._plan["nice"])
        network = self._network() if self._plan["network"] else None
        moving = self._enter_groups()
        root = ""
        if self._root:  # the machine's root may map owners; what it mounts here, the sandbox's cannot change
            system.unshare(system.CLONE_NEWNS)
            root = self._stage(self._ids.base)
        enter(self._users, self._ids)
        rest = system.CLONE_NEWNS | system.CLONE_NEWNET | system.CLONE_NEWIPC | system.CLONE_NEWUTS
        system.unshare(rest)
        if not self._root:
            root = self._stage(0)
        socket.sethostname("picloud")
        routes.up("lo")
        routes.blackhole(self._plan["prohibited"])
        if network is not None:
            os.write(network, b"+")
        system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._parent:  # the holder died before the line above
            os._exit(1)
        if os.waitpid(moving, 0)[1]:
            raise OSError("the control groups could not be entered")
        if self._plan["setup"]:  # root inside: it may not open the ways that are shut
            system.prctl(system.PR_CAPBSET_DROP, CAP_NET_ADMIN)
        self._become(root)

    def _enter_groups(self) -> int:
        """Have a child of ours move us into the control groups: the kernel takes 15 ms for it, most of them waiting."""
        own = str(os.getpid()).encode()  # the child must not ask for its parent: when that has died, it is somebody else
        child = os.fork()
        if child:
            return child
        _or_exit(lambda: [os.write(group, own) for group in self._groups])
        return -1

    def _stage(self, base: int) -> str:
        for path, user, group, mode in self._plan["own"]:
            if self._ids.count > 1:
                os.chown(path, base + user, base + group)
            os.chmod(path, mode)
        return Stage(self._plan["stage"], self._users).build(self._plan["steps"])

    def _network(self) -> int:
        """Start what connects the sandbox to the network once it has one; returns the pipe by which it is told.

        It stays outside, as an ordinary user, and leaves when the sandbox's end of a pipe closes.
        """
        ready, go = os.pipe()
        lives, alive = os.pipe()
        parent = os.getpid()
        child = os.fork()
        if child:
            os.close(ready)
            os.close(lives)
            os.set_inheritable(alive, True)
            return go
        os.close(go)
        os.close(alive)
        _or_exit(lambda: self._slirp(ready, lives, parent))
        return -1

    def _slirp(self, ready: int, lives: int, parent: int) -> None:
        if self._root:
            _open_tun(self._plan["stage"])
            become(self._ids.base)
        system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)
        if not os.read(ready, 1):
            return
        os.set_inheritable(lives, True)
        os.set_inheritable(self._users, True)
        quiet = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(quiet, number)
        words = [*self._plan["network"], f"--exit-fd={lives}", f"--userns-path=/proc/self/fd/{self._users}"]
        words += ["--netns-type=path", f"/proc/{parent}/ns/net", "tap0"]
        os.execvp(words[0], words)

    def _become(self, root: str) -> None:
        for number, handle in ((3, self._shim), (4, self._filter), (2, self._errors)):
            os.dup2(handle, number)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        words = ["bwrap", "--bind", root, "/", *self._plan["words"]]
        os.execvpe(words[0], words, {"PATH": os.environ.get("PATH", os.defpath)})


def _open_tun(place: str) -> None:
    """Let an ordinary user open /dev/net/tun, in a mount namespace of our own, where the machine keeps it to root."""
    if os.stat(TUN).st_mode & 0o006 == 0o006:
        return
    system.unshare(system.CLONE_NEWNS)
    system.mount("", "/", "", system.MS_REC | system.MS_SLAVE)  # what the host unmounts goes here too
    system.mount("picloud", place, "tmpfs", system.MS_NOSUID, "mode=755,size=64k")
    os.mknod(f"{place}/tun", 0o20666, os.stat(TUN).st_rdev)
    os.chmod(f"{place}/tun", 0o666)
    system.mount(f"{place}/tun", TUN, "", system.MS_BIND)


def _above(handle: int) -> int:
    """The same, out of the way of the numbers that the shim finds things at, and closed by exec."""
    moved = fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(handle)
    return moved


def _reap() -> None:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def _or_exit(act: Any) -> None:
    try:
        act()
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - a forked child must never return into its parent's code
        os.write(2, f"sandbox: {error}\n".encode())
        os._exit(1)


def _or_report(errors: int, act: Any) -> None:
    try:
        act()
    except BaseException as error:  # noqa: BLE001 - as above; the worker reads it
        os.write(errors, f"{error}\n".encode())
    os._exit(1)


def main() -> None:
    """Entry point."""
    line = socket.socket(fileno=int(sys.argv[1]))
    line.set_inheritable(False)  # nothing in a sandbox may speak for us
    system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)
    system.prctl(system.PR_SET_CHILD_SUBREAPER, 1)  # what a dying sandbox leaves to be buried comes to us
    order = json.loads(line.recv(LARGEST))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        holder = Holder(line, Ids(*order["ids"]), order["nested"])
    except OSError as error:
        line.send(json.dumps({"error": str(error)}).encode())
        return
    line.send(b"{}")
    holder.run()


if __name__ == "__main__":
    main()
