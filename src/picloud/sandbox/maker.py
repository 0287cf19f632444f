"""Makes sandboxes by namespaces: rung A as root, rung B as an ordinary user with subordinate ids, rung C with one id."""

from __future__ import annotations

import itertools
import json
import logging
import os
import socket
import subprocess
import threading
from concurrent.futures import Future
from pathlib import Path

from msgspec import Struct, field, structs

from picloud.sandbox import cgroup, kit, lacks, platform, ration, routes, seccomp, system, tree
from picloud.sandbox.base import PROCESSES, Limits
from picloud.sandbox.boxed import BoxSandbox
from picloud.sandbox.cgroup import Cgroup
from picloud.sandbox.userns import Ids, ids_for
from picloud.sandbox.view import JOB, View
from picloud.wire.error import SetupError
from picloud.wire.image import VENV, Image

log = logging.getLogger(__name__)

CAPABILITIES = ("SETUID", "SETGID", "KILL", "CHOWN", "DAC_OVERRIDE", "FOWNER", "NET_BIND_SERVICE")
"""Of the shim, which starts programs as the job's user; they themselves have none."""
SLIRP = ("slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback", "--enable-seccomp")
NAMESERVER = "10.0.2.3"  # slirp4netns passes questions on to whom the host asks
LARGEST = 1 << 18
GIT = "[safe]\n\tdirectory = *\n[include]\n\tpath = /etc/gitconfig\n"
"""git refuses repositories of other users, and those in /bucket are root's. But nobody lives here beside the account."""


class Setting(Struct, frozen=True):
    """What the sandboxes of one worker have in common."""

    image: Image
    limits: Limits
    instance: str  # the installation, for names of control groups
    worker: str  # the incarnation, for the same
    account: int = 0  # whose ids they get
    network: bool = True  # outbound connections
    private: bool = True  # to addresses of the local network too
    shared: dict[str, str] = field(default_factory=dict)  # place below /run/picloud -> folder of the host, shown read-only
    env: dict[str, str] = field(default_factory=dict)  # variables that every job gets
    rung: str = ""  # A to C; "" = the best that this user may have
    folders: list[tuple[str, str, bool]] = field(default_factory=list)  # of the host, where they are shown, read-only
    places: list[str] = field(default_factory=list)  # folders that are there to be mounted on


class BoxMaker:
    """See :class:`picloud.sandbox.base.Maker`.

    Args:
        setting: what all its sandboxes have in common.
        folder: of the worker; the view's own folders are made there.
        layers: the image's unpacked layers, the lowest first.

    Raises:
        SetupError: this machine cannot make them; the text names the step.
    """

    def __init__(self, setting: Setting, folder: Path, layers: list[Path]) -> None:
        self._setting, self._folder = setting, folder
        self.ids = Ids(os.geteuid(), 1, False, os.getegid()) if setting.rung == "C" else ids_for(setting.account)
        self.rung = "A" if self.ids.root else "B" if self.ids.count > 1 else "C"
        if setting.rung not in ("", self.rung) or (self.rung == "C" and not os.geteuid()):
            raise SetupError(f"rung {setting.rung or self.rung} is not for this user", hint="picloud doctor names the best")
        self._lock, self._number, self._made = threading.Lock(), 0, itertools.count(1)
        self._closed = False
        self._living: set[BoxSandbox] = set()
        self._answers: dict[int, Future[tuple[int, int]]] = {}
        self._holder = self._start_holder()
        cores = setting.limits.cores
        base = self.ids.base if self.ids.root else 0
        self.view = View(setting.image, folder / "view", layers, base, self.ids.root, cores, setting.places)
        self.groups = cgroup.find(setting.instance)
        self._foreign = not setting.image.host
        self._filter: Path | None = None
        if seccomp.machine() in seccomp.CALLS:
            self._filter = folder / "filter"
            self._filter.write_bytes(seccomp.program(bool(setting.image.setup)))
        self._network = setting.network and lacks.network(self.ids.root) is None
        self.lacks = lacks.told(self.rung, setting.network, self._network)
        kit.command(folder / "bin", self._foreign)
        self._shared = kit.shown() | {name: str(folder / name) for name in ("bin", "gitconfig")} | setting.shared
        self._files()

    # -- the holder -----------------------------------------------------------------------------------------------

    def _start_holder(self) -> subprocess.Popen[bytes]:
        line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = [*platform.command(False), "-I", "-S", str(Path(__file__).parent / "holder.py"), str(theirs.fileno())]
        child = subprocess.Popen(words, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, cwd="/", start_new_session=True)
        theirs.close()
        nested = bool(self._setting.image.setup) or self.ids.count == 1
        line.send(json.dumps({"ids": list(self.ids), "nested": nested}).encode())
        told = json.loads(line.recv(LARGEST) or b'{"error": "it ended"}')
        if "error" in told:
            line.close()
            child.wait()
            raise SetupError(f"no user namespace: {told['error']}", hint="see picloud doctor")
        self._line = line
        threading.Thread(target=self._read, args=[line], name="holder", daemon=True).start()
        return child

    def _read(self, line: socket.socket) -> None:
        while True:
            data, handles = system.receive(line, LARGEST, 2)
            if not data:
                break
            told = json.loads(data)
            self._answers.pop(told["id"]).set_result((told["pid"], handles[0]))
        with self._lock:
            line.close()
            left, self._answers = self._answers, {}
        for answer in left.values():
            answer.set_exception(_gone())

    def ask(self, asked: dict[str, object], handles: list[int]) -> tuple[int, int]:
        """Have the holder fork; pid and pidfd of what it forked. A holder that was killed took its sandboxes with it: a new one.

        Raises:
            SetupError: it has just ended.
        """
        answer: Future[tuple[int, int]] = Future()
        with self._lock:
            if not self._closed and self._holder.poll() is not None:
                self._holder = self._start_holder()
            self._number += 1
            self._answers[self._number] = answer
            try:
                socket.send_fds(self._line, [json.dumps({"id": self._number, **asked}).encode()], handles)
            except OSError as error:
                del self._answers[self._number]
                raise _gone() from error
        return answer.result(30)

    # -- sandboxes ------------------------------------------------------------------------------------------------

    def _files(self) -> None:
        hosts = "127.0.0.1 localhost picloud\n::1 localhost ip6-localhost ip6-loopback\n"
        (self._folder / "hosts").write_text(hosts)
        search = [line for line in _lines("/etc/resolv.conf") if line.split()[:1] in (["search"], ["options"])]
        (self._folder / "resolv.conf").write_text("\n".join([f"nameserver {NAMESERVER}", *search]) + "\n")
        (self._folder / "gitconfig").write_text(GIT)
        for name in ("hosts", "resolv.conf", "gitconfig"):
            (self._folder / name).chmod(0o644)

    def make(self, folder: Path) -> BoxSandbox:
        for name in ("run/out", "home", "tmp", "vartmp", "stage"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for place in (folder, folder / "run"):
            place.chmod(0o755)
        group = self._group()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        errors, told = os.pipe()
        journal = _journal(folder / "run")
        filtered = os.open(self._filter or os.devnull, os.O_RDONLY)
        entrances = group.entrances() if group else []
        try:
            outer = self.ask({"plan": self._plan(folder)}, [theirs.fileno(), told, filtered, *entrances])
        finally:
            theirs.close()
            for one in (told, filtered, *entrances):
                os.close(one)
        made = BoxSandbox(self, folder, ours, outer, group, journal)
        self._living.add(made)
        made.await_ready(errors)
        return made

    def ended(self, sandbox: BoxSandbox) -> None:
        """It has let go of its place."""
        self._living.discard(sandbox)

    def _group(self) -> Cgroup | None:
        if self.groups is None:
            return None
        given = self._setting.limits
        limits = structs.replace(given, pids=given.pids or PROCESSES * given.cores)
        return self.groups.create(f"{group_prefix(self._setting.worker)}{os.getpid()}-{next(self._made)}", limits)

    def _plan(self, folder: Path) -> dict[str, object]:
        own = [[str(folder / "home"), JOB, JOB, 0o755], [str(folder / "run/out"), JOB, 0, 0o2770]]
        own += [[str(folder / name), JOB, JOB, 0o1777] for name in ("tmp", "vartmp")]
        files = {"hosts": str(self._folder / "hosts"), "resolv.conf": str(self._folder / "resolv.conf")}
        return {
            "stage": str(folder / "stage"),
            "steps": [*self.view.steps(folder, self._shared, files), *(["show", *one] for one in self._setting.folders)],
            "own": own,
            "words": self._words(),
            "network": [*SLIRP] if self._network else [],
            "prohibited": self._prohibited(),
            "nice": 0 if self._grouped("cpu") else ration.niceness(self._setting.limits),
            "setup": bool(self._setting.image.setup),
        }

    def _words(self) -> list[str]:
        words = ["--dev", "/dev", *self._shared_memory(), "--proc", "/proc", "--unshare-pid", "--unshare-cgroup-try"]
        words += ["--as-pid-1", "--die-with-parent", *self._rights()]
        words += ["--clearenv", "--setenv", "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        words += ["--symlink", f"{kit.PLACE}/log", "/dev/log"]
        words += ["--seccomp", "4"] if self._filter else []
        return [*words, *platform.command(self._foreign), "-I", "-S", f"{kit.PLACE}/shim.py", "3", str(JOB), str(self.most())]

    def most(self) -> int:
        """Processes and threads that the job's user may have; 0: the control group sees to it."""
        return 0 if self._grouped("pids") else self._setting.limits.pids or PROCESSES * self._setting.limits.cores

    def _shared_memory(self) -> list[str]:
        """Where the kernel does not count it as the job's memory, it holds no more than the job may have."""
        most = 0 if self._grouped("memory") else self._setting.limits.memory
        return ["--perms", "1777", *(["--size", str(most)] if most else []), "--tmpfs", "/dev/shm"]

    def _rights(self) -> list[str]:
        """The shim's, in bubblewrap's words. Where there is one id, shim and jobs are the same user, in a namespace below."""
        if self.ids.count > 1:
            return ["--cap-drop", "ALL", *(word for name in CAPABILITIES for word in ("--cap-add", f"CAP_{name}"))]
        if self._setting.image.setup:
            return ["--unshare-user", "--uid", "0", "--gid", "0"]
        return ["--unshare-user", "--uid", str(JOB), "--gid", str(JOB), "--disable-userns"]

    def _grouped(self, controller: str) -> bool:
        """Whether the kernel does for control groups what this controller does."""
        return self.groups is not None and controller in self.groups.places

    def _prohibited(self) -> list[str]:
        return [*routes.LINK_LOCAL, *([] if self._setting.private else routes.PRIVATE), *routes.addresses()]

    # -- what jobs find -------------------------------------------------------------------------------------------

    @property
    def image(self) -> Image:
        return self._setting.image

    def shell(self) -> dict[str, str]:
        """The environment variables of a shell inside."""
        image = self._setting.image
        path = [f"{VENV}/bin"] if image.setup else []
        path += [str(Path(image.python).parent)] if image.python else []
        path += [f"{kit.PLACE}/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        more = {"PIP_USER": "0"} if image.setup else {}  # home is not saved
        return {
            "HOME": "/home/picloud", "USER": "picloud", "LOGNAME": "picloud", "SHELL": "/bin/bash",
            "PATH": ":".join(dict.fromkeys(path)), "LANG": os.environ.get("LANG", "C.UTF-8"),
            "PYTHONPATH": f"/home/picloud:{kit.PLACE}/kit", "PICLOUD_KIT": f"{kit.PLACE}/kit",
            "PICLOUD_SOCKET": f"{kit.PLACE}/door.sock", "GIT_CONFIG_SYSTEM": f"{kit.PLACE}/gitconfig",
        } | more | self._setting.env  # fmt: skip

    def remove(self, folder: Path) -> None:
        if not tree.remove(str(folder)):  # something in it belongs to an id of the sandbox
            _, handle = self.ask({"remove": [str(folder)]}, [])
            _wait(handle)

    def close(self) -> None:
        self._closed = True
        living = list(self._living)
        for sandbox in living:
            sandbox.strike()
        for sandbox in living:  # while the holder lives: it buries them at once, which others may take seconds for
            sandbox.let_go()
        self._holder.kill()
        self._holder.wait()
        if self.groups is not None:
            self.groups.remove()


def group_prefix(worker: str) -> str:
    """What the names of a worker's control groups begin with."""
    return f"{worker[:16]}-"


def _gone() -> SetupError:
    return SetupError("the holder of the sandboxes has ended", hint="see worker.log")


def _wait(handle: int) -> None:
    import select

    select.select([handle], [], [], 30)
    os.close(handle)


def _journal(folder: Path) -> socket.socket:
    """The system log's socket, where the sandbox sees it."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        made.bind(f"/proc/self/fd/{place}/log")  # the kernel limits the length of the name, not of the path
    finally:
        os.close(place)
    (folder / "log").chmod(0o666)
    return made


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
