"""The first process in a sandbox: it starts programs there and opens connections, for the worker alone.

It takes orders over one socket and hands descriptors back, so that nothing outside has to enter the sandbox. What it says
is never believed beyond its type; see ``picloud.sandbox.box``. Standard library only: any environment's files may lie around it.

    {"id", "op": "start", "argv", "env", "cwd", "root", "fds": [..]} with descriptors  -> {"id", "pid"} with a pidfd
    {"id", "op": "open", .., "terminal": [rows, columns] | null}   -> {"id", "pid"} with pidfd, stdio, stderr | pidfd, terminal
    {"id", "op": "connect", "port"} -> {"id"} with a socket        {"id", "op": "listen", "address", "port"} -> the same
    {"id", "op": "diagnosis"} -> {"id"} with a socket              {"id", "op": "ports"} -> {"id", "ports"}
                         {"id", "op": "alone"} -> {"id", "alone"}
    unasked: {"exit": pid, "status"}

Orders come marshalled, answers go as JSON. That, and the names with an underscore below, spare 25 ms of imports at the start
of each sandbox: what ``json``, ``socket``, ``signal`` and ``typing`` bring along is more than all the rest of its making.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed does not know it
import _socket
import array
import marshal
import os
import select
import sys
from _json import encode_basestring_ascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

JOB = 1000
LARGEST = 1 << 18
LISTENING = "0A"
NETLINK_SOCK_DIAG = 4


class Shim:
    """See the module."""

    def __init__(self, line: _socket.socket, user: int, most: int) -> None:
        self._line, self._user, self._most = line, user, most
        self._single = _single()
        self._nice = os.getpriority(os.PRIO_PROCESS, 0)
        self._sessions: set[int] = set()  # programs whose session is still to be made as nice
        self._known: set[int] = set()  # programs that we started

    def run(self) -> None:
        """Serve until the worker is gone; then everything here ends with us."""
        wake, woken = os.pipe()
        for end in (wake, woken):
            os.set_blocking(end, False)
        _signal.signal(_signal.SIGCHLD, lambda *_: None)
        _signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        self._send({"ready": os.getpid()})
        while True:
            ready = select.select([self._line.fileno(), wake], [], [], 0.05 if self._sessions else None)[0]
            for pid in list(self._sessions):
                self._lower(pid)
            if wake in ready:
                os.read(wake, 4096)
                self._reap()
            if self._line.fileno() in ready and not self._serve():
                os._exit(0)

    def _send(self, message: dict[str, Any], handles: list[int] | None = None) -> None:
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", handles))] if handles else []
        self._line.sendmsg([_text(message).encode()], rights)

    def _receive(self) -> tuple[bytes, list[int]]:
        """An order with its descriptors, which no program inherits under these numbers."""
        handles = array.array("i")
        data, rights, _, _ = self._line.recvmsg(LARGEST, _socket.CMSG_LEN(16 * handles.itemsize), _socket.MSG_CMSG_CLOEXEC)
        for _, _, found in rights:
            handles.frombytes(found[: len(found) - len(found) % handles.itemsize])
        return data, list(handles)

    def _serve(self) -> bool:
        data, handles = self._receive()
        if not data:
            return False
        asked = marshal.loads(data)
        back: list[int] = []
        try:
            answer = getattr(self, "_do_" + asked["op"])(asked, handles, back)
        except OSError as error:
            answer = {"error": error.strerror or str(error), "errno": error.errno}
        try:
            self._send({"id": asked["id"], **answer}, back)
        finally:
            for one in handles + back:
                os.close(one)
        return True

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._known:
                self._known.discard(pid)
                self._send({"exit": pid, "status": os.waitstatus_to_exitcode(status)})

    # -- programs -------------------------------------------------------------------------------------------------

    def _do_start(self, asked: dict[str, Any], handles: list[int], back: list[int]) -> dict[str, Any]:
        pid = self._spawn(asked, dict(zip(asked["fds"], handles, strict=True)), None)
        back.append(os.pidfd_open(pid))
        return {"pid": pid}

    def _do_open(self, asked: dict[str, Any], handles: list[int], back: list[int]) -> dict[str, Any]:
        if asked["terminal"]:
            return self._on_terminal(asked, back)
        import socket

        stdio, theirs = socket.socketpair()
        stderr, errors = socket.socketpair()
        with theirs, errors:
            pid = self._spawn(asked, {0: theirs.fileno(), 1: theirs.fileno(), 2: errors.fileno()}, None)
        back += [os.pidfd_open(pid), stdio.detach(), stderr.detach()]
        return {"pid": pid}

    def _on_terminal(self, asked: dict[str, Any], back: list[int]) -> dict[str, Any]:
        import fcntl
        import struct
        import termios

        ours, theirs = os.openpty()
        rows, columns = asked["terminal"]
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.fchown(theirs, 0 if asked.get("root") else self._user, -1)

        def control() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        try:
            pid = self._spawn(asked, dict.fromkeys((0, 1, 2), theirs), control)
        finally:
            os.close(theirs)
        back += [os.pidfd_open(pid), ours]
        return {"pid": pid}

    def _spawn(self, asked: dict[str, Any], handles: dict[int, int], last: Callable[[], None] | None) -> int:
        """Fork and exec; a failure to exec comes back as an OSError."""
        failed, failing = os.pipe()
        pid = os.fork()
        if pid == 0:
            told = failing
            try:
                os.setsid()
                told = _arrange(handles, failing)
                self._become(asked, last)
            except OSError as error:
                os.write(told, marshal.dumps([error.errno, error.strerror, error.filename]))
            finally:
                os._exit(127)
        os.close(failing)
        with os.fdopen(failed, "rb") as pipe:
            why = pipe.read()
        if why:
            os.waitpid(pid, 0)
            number, text, name = marshal.loads(why)
            raise OSError(number, f"{name or asked['argv'][0]}: {text}")
        self._known.add(pid)
        if self._nice:
            self._lower(pid)
        return pid

    def _lower(self, pid: int) -> None:
        """Where the kernel shares CPU time among sessions, a session's own niceness counts; it may be set ten times a second."""
        try:
            with open(f"/proc/{pid}/autogroup", "w") as file:
                file.write(str(self._nice))
        except BlockingIOError:
            self._sessions.add(pid)
            return
        except OSError:
            pass  # it has ended, or the kernel does not do that
        self._sessions.discard(pid)

    def _become(self, asked: dict[str, Any], last: Callable[[], None] | None) -> None:
        _signal.set_wakeup_fd(-1)
        for number in (_signal.SIGCHLD, _signal.SIGPIPE, _signal.SIGINT):
            _signal.signal(number, _signal.SIG_DFL)
        if last is not None:
            last()
        env: dict[str, str] = asked["env"]
        if self._most and not asked.get("root"):
            import resource

            resource.setrlimit(resource.RLIMIT_NPROC, (self._most, self._most))
        if not asked.get("root") and not self._single:
            os.setgroups([self._user])
            os.setresgid(self._user, self._user, self._user)
            os.setresuid(self._user, self._user, self._user)
        os.umask(0o022)
        os.chdir(asked["cwd"] or env.get("HOME", "/"))
        os.execvpe(asked["argv"][0], asked["argv"], env)

    # -- the network ----------------------------------------------------------------------------------------------

    def _do_connect(self, asked: dict[str, Any], handles: list[int], back: list[int]) -> dict[str, Any]:
        import socket

        try:
            made = socket.create_connection(("127.0.0.1", asked["port"]), 5.0)
        except OSError:
            made = socket.create_connection(("::1", asked["port"]), 5.0)
        made.settimeout(None)
        back.append(made.detach())
        return {}

    def _do_listen(self, asked: dict[str, Any], handles: list[int], back: list[int]) -> dict[str, Any]:
        import socket

        made = socket.create_server((asked["address"], asked["port"]), backlog=64)
        back.append(made.detach())
        return {}

    def _do_ports(self, asked: dict[str, Any], handles: list[int], back: list[int]) -> dict[str, Any]:
        return {"ports": sorted(listening())}

    def _do_diagnosis(self, asked: dict[str, Any], handles: list[int], back: list[int]) -> dict[str, Any]:
        """A socket that asks the kernel about the sockets of this place, wherever it is used."""
        kind = _socket.SOCK_RAW | _socket.SOCK_CLOEXEC
        back.append(_socket.socket(_socket.AF_NETLINK, kind, NETLINK_SOCK_DIAG).detach())
        return {}

    def _do_alone(self, asked: dict[str, Any], handles: list[int], back: list[int]) -> dict[str, Any]:
        self._reap()
        return {"alone": not any(name.isdigit() and int(name) != os.getpid() for name in os.listdir("/proc"))}


def _text(value: Any) -> str:
    """A message as JSON."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_text(name)}:{_text(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, str):
        return str(encode_basestring_ascii(value))
    return "null" if value is None else str(value).lower()


def listening() -> set[tuple[str, int]]:
    """(address in hexadecimal digits, port) of everything that listens here. Slow: the kernel lists all connections."""
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            with open(f"/proc/net/{table}") as file:
                lines = file.read().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == LISTENING:
                address, _, port = words[1].rpartition(":")
                found.add((address, int(port, 16)))
    return found


def _arrange(handles: dict[int, int], keep: int) -> int:
    """Give the descriptors their numbers, out of each other's way; returns where ``keep`` went. All others close at exec."""
    import fcntl

    above = max([2, *handles]) + 1
    kept = fcntl.fcntl(keep, fcntl.F_DUPFD_CLOEXEC, above)
    spare = {number: fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, above) for number, handle in handles.items()}
    for number, handle in spare.items():
        os.dup2(handle, number, inheritable=True)
    for number in (0, 1, 2):
        if number not in handles:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number, inheritable=True)
                os.close(null)
    return kept


def _hide() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE


def _single() -> bool:
    """Whether there is but one user here, whom we are already."""
    with open("/proc/self/setgroups") as file:
        return file.read().strip() == "deny"


def main() -> None:
    """``python -I -S shim.py SOCKET UID PROCESSES``; the last is their limit, 0 = somebody else sees to it."""
    for name in os.listdir("/proc/self/fd"):  # what others gave us to hold is no job's
        try:
            os.set_inheritable(int(name), int(name) < 3)
        except OSError:
            continue  # it was the listing's own
    line = _socket.socket(fileno=int(sys.argv[1]))
    if _single():  # jobs are the same user: they must not look into us
        _hide()
    Shim(line, int(sys.argv[2]), int(sys.argv[3])).run()


if __name__ == "__main__":
    main()
