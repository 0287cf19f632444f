"""What a hostile job tries, from inside: each function returns what it could do that it must not; empty = nothing.

Standard library only, one file: it runs as a job's function and, by name, as a program:

    python intruder.py NAME FACTS.json

Facts come from the test: where the server keeps its state, its port, words to look for (spelled backwards, so that finding
them means that somebody else wrote them).
"""

import contextlib
import ctypes
import json
import os
import platform
import resource
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
CALLS = {
    "x86_64": {"mount": 165, "umount2": 166, "pivot_root": 155, "bpf": 321, "keyctl": 250, "add_key": 248, "perf_event_open": 298,
               "userfaultfd": 323, "kexec_load": 246, "init_module": 175, "setns": 308, "open_by_handle_at": 304,
               "clock_settime": 227, "io_uring_setup": 425, "fsopen": 430, "open_tree": 428, "syslog": 103, "swapon": 167,
               "reboot": 169, "quotactl": 179, "acct": 163},
    "aarch64": {"mount": 40, "umount2": 39, "pivot_root": 41, "bpf": 280, "keyctl": 219, "add_key": 217, "perf_event_open": 241,
                "userfaultfd": 282, "kexec_load": 104, "init_module": 105, "setns": 268, "open_by_handle_at": 265,
                "clock_settime": 112, "io_uring_setup": 425, "fsopen": 430, "open_tree": 428, "syslog": 116, "swapon": 224,
                "reboot": 142, "quotactl": 60, "acct": 89},
}  # fmt: skip
RUN = "/run/picloud"
OWN = ("/home/picloud", "/tmp", "/var/tmp", "/dev/shm", "/bucket", f"{RUN}/out", "/proc", "/dev/pts")


def secrets_of_the_machine(facts):
    """/etc/shadow and the like."""
    found = []
    for folder, folders, files in os.walk("/etc"):
        found += [f"{folder}/{name}" for name in files if name.rstrip("-") in ("shadow", "gshadow", "sudoers")]
        found += [f"{folder}/{name}" for name in files if name.startswith("ssh_host_") and not name.endswith(".pub")]
        folders.sort()
    return [path for path in found if _reads(path)]


def the_servers_state(facts):
    """Its folder, also by way of /proc, of what is mounted, and of what the runner's order names."""
    tried = [facts["home"], facts["work"], *facts["files"]]
    tried += [f"/proc/{pid}/root{path}" for pid in _pids() for path in (facts["home"], "/etc/shadow")]
    tried += [f"/proc/{pid}/cwd" for pid in _pids() if os.stat(f"/proc/{pid}").st_uid != os.getuid()]
    return [path for path in tried if _reads(path)]


def the_accounts_secret(facts):
    """In variables, command lines and every small file that can be read where people put such things."""
    words = [bytes.fromhex(word)[::-1] for word in facts["words"]]
    found = []
    for folder in ("/proc", "/run", "/home", "/tmp", "/var/tmp", "/dev/shm", "/root", "/srv", "/mnt"):
        for place, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if name not in ("kit", "net") and not os.path.ismount(f"{place}/{name}/bin")]
            if place.count("/") > 6 or "/task/" in place or "/map_files" in place:
                folders[:] = []
                continue
            for name in files:
                path = f"{place}/{name}"
                if stat.S_ISREG(os.lstat(path).st_mode) if os.path.lexists(path) else False:
                    data = _content(path)
                    found += [path for word in words if word in data]
    return found


def other_processes(facts):
    """Only those of this sandbox are there: the shim, the runner, and what the job started."""
    told = []
    for pid in _pids():
        words = _content(f"/proc/{pid}/cmdline")
        if facts["other"][::-1].encode() in words + _content(f"/proc/{pid}/environ"):
            told.append(f"sees {pid}: {words!r}")
    for pid in facts["pids"]:
        if not os.path.exists(f"/proc/{pid}"):
            for number in (0, signal.SIGKILL):
                with contextlib.suppress(OSError):
                    os.kill(pid, number)
                    told.append(f"reaches {pid}")
    if len(_pids()) > 12:
        told.append(f"{len(_pids())} processes")
    return told


def the_first_process(facts):
    """It may be neither ended, nor traced, nor looked into."""
    told = []
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, 0):
        with contextlib.suppress(OSError):
            os.kill(1, number)
            told.append(f"signal {number}")
    if libc.ptrace(16, 1, 0, 0) == 0:  # PTRACE_ATTACH
        told.append("ptrace")
    for name in ("mem", "environ", "fd/3", "root/etc", "cwd", "maps", "ns/mnt", "ns/user"):
        with contextlib.suppress(OSError):
            if os.path.islink(f"/proc/1/{name}"):
                os.readlink(f"/proc/1/{name}")
            elif os.path.isdir(f"/proc/1/{name}"):
                os.listdir(f"/proc/1/{name}")
            else:
                Path(f"/proc/1/{name}").read_bytes()
            told.append(name)
    with contextlib.suppress(OSError, AttributeError):
        handle = libc.syscall(434, 1, 0)  # pidfd_open
        if handle >= 0 and libc.syscall(438, handle, 3, 0) >= 0:  # pidfd_getfd
            told.append("pidfd_getfd")
    return told


def sockets_of_the_machine(facts):
    """Docker's, systemd's, and whatever else lies in the machine's /run; and abstract ones."""
    told = [f"/run/{name}" for name in os.listdir("/run") if name != "picloud"]
    for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/dbus/system_bus_socket", "/run/systemd/private"):
        if os.path.exists(path):
            told.append(path)
    own = {f"{RUN}/door.sock", f"{RUN}/log"}
    for folder, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if f"{folder}{name}" not in ("/proc", "/usr", "/opt", "/sys")]
        for name in files:
            with contextlib.suppress(OSError):
                path = os.path.join(folder, name)
                if stat.S_ISSOCK(os.lstat(path).st_mode) and path not in own:
                    told.append(path)
    for name in (f"\0picloud/{facts['port']}", "\0" + facts["abstract"]):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as made:
            made.connect(name)
            told.append(f"abstract {name[1:]}")
    return told


def folders_of_people(facts):
    """The machine's /home, /root, /srv, /tmp, /var/log and the like show nothing of it."""
    told = []
    for place in ("/home", "/root", "/srv", "/mnt", "/media", "/var/log", "/var/spool", "/var/lib/docker", "/boot"):
        shown = {place, *facts["folders"]}
        for folder, folders, files in os.walk(place):
            if folder == "/home/picloud" or any(folder == one for one in facts["folders"]):
                folders[:] = []
                continue
            told += [f"{folder}/{name}" for name in files]
            folders[:] = [n for n in folders if any(one.startswith(f"{folder}/{n}") for one in shown) or not told]
    return [*told, *(path for path in facts["markers"] if os.path.exists(path))]


def addresses_of_the_machine(facts):
    """Its loopback, its other addresses, link-local ones; by TCP, also through the sandbox's own gateway."""
    told = []
    hosts = ["127.0.0.1", "127.0.0.2", "localhost", "0.0.0.0", "::1", "::ffff:127.0.0.1", "10.0.2.2", "10.0.2.3"]
    for host in hosts + facts["addresses"]:
        for port in facts["ports"]:
            if _connects(host, port):
                told.append(f"{host} {port}")
    told += [host for host in ("169.254.169.254", "169.254.0.1") if _connects(host, 80)]
    return told


def writes(facts):
    """Anywhere but home, /tmp, /var/tmp, /dev/shm, the bucket, and the runner's own folder for results."""
    told = []
    for folder, folders, _ in os.walk("/"):
        fixed = os.statvfs(folder).f_flag & os.ST_RDONLY and folder.count("/") > 1
        folders[:] = [name for name in folders if not (fixed or os.path.join(folder, name).startswith(OWN))]
        if os.access(folder, os.W_OK) or _makes(os.path.join(folder, "x-was-here")):
            told.append(folder)
    for path in ("/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches",
                 "/proc/1/oom_score_adj", "/proc/sys/net/ipv4/ip_forward", "/etc/passwd", "/etc/hosts", "/etc/resolv.conf",
                 "/proc/self/uid_map", "/sys/devices/system/cpu/online"):  # fmt: skip
        with contextlib.suppress(OSError), open(path, "r+b", buffering=0) as file:
            file.write(b"0")
            told.append(path)
    return told


def the_run_folder(facts):
    """What lies there is not the job's to change, but for ``out``."""
    told = []
    for folder, folders, files in os.walk(RUN):
        folders[:] = [name for name in folders if f"{folder}/{name}" not in (f"{RUN}/out", f"{RUN}/kit")]
        for name in [*files, *folders, *(["kit"] if folder == RUN else [])]:
            path = f"{folder}/{name}"
            for act in (os.unlink, os.rmdir, lambda path: os.rename(path, path + "-"), lambda path: os.chmod(path, 0o777),
                        lambda path: os.utime(path, (0, 0)), lambda path: os.truncate(path, 0)):  # fmt: skip
                if path == f"{RUN}/out":
                    continue
                with contextlib.suppress(OSError):
                    act(path)
                    told.append(f"{path} {act}")
    with contextlib.suppress(OSError):
        os.rename(f"{RUN}/out", "/tmp/out")
        told.append("moves out")
    with contextlib.suppress(OSError):
        os.symlink("/etc", f"{RUN}/specs/link")
        told.append("links in specs")
    return told


def calls_of_the_kernel(facts):
    """Mounting, namespaces, and what opens holes in walls."""
    told = []
    for name, number in CALLS.get(platform.machine(), {}).items():
        ctypes.set_errno(0)
        # Arguments that a process with the right would be told are wrong (EFAULT, EINVAL), never "not permitted".
        if libc.syscall(number, -1, -1, -1, -1, -1) >= 0 or ctypes.get_errno() not in (1, 38):
            told.append(f"{name}: {os.strerror(ctypes.get_errno())}")
    for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("network", 0x40000000), ("pid", 0x20000000)):
        child = os.fork()
        if child == 0:
            os._exit(0 if libc.unshare(flag) == 0 else 1)
        if os.waitpid(child, 0)[1] == 0:
            told.append(f"unshare {name}")
    return told + [
        " ".join(words) for words in (["unshare", "-Ur", "true"], ["bwrap", "--bind", "/", "/", "true"]) if _runs(words)
    ]


def higher_rights(facts):
    """Programs that run as root, capabilities, the ids of others."""
    told = []
    for act in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.setresuid(0, 0, 0),
                lambda: os.chroot("/tmp"), lambda: os.mknod("/tmp/disk", 0o600 | stat.S_IFBLK, os.makedev(8, 0)),
                lambda: os.chown("/tmp", 0, 0)):  # fmt: skip
        with contextlib.suppress(OSError):
            act()
            told.append("a call as root")
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    told += [f"{name} {status[name]}" for name in ("CapPrm", "CapEff", "CapAmb") if int(status[name], 16)]
    if status["NoNewPrivs"].strip() != "1" or status["Seccomp"].strip() != "2":
        told.append("no filter")
    tries = ["su -c id", "sudo -n id", f"newuidmap {os.getpid()} 0 0 1", "mount -t tmpfs x /mnt", "chsh -s /bin/sh"]
    for words in (line.split() for line in [*tries, "setpriv --reuid=0 id"]):
        if _runs(words):
            told.append(" ".join(words))
    shell = Path("/tmp/rootshell")
    shell.write_bytes(Path("/bin/sh").read_bytes())
    shell.chmod(0o6755)
    if subprocess.run([shell, "-p", "-c", "id -u"], capture_output=True, check=False).stdout.strip() not in (b"1000", b""):
        told.append("setuid")
    return told


def larger_share(facts):
    """Of CPU time, memory, files; and no control group is in reach."""
    told = []
    for name, act in (
        ("nice", lambda: os.nice(-1)),
        ("fifo", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
        ("memlock", lambda: _raise(resource.RLIMIT_MEMLOCK)),
        ("files", lambda: _raise(resource.RLIMIT_NOFILE)),
        ("processes", lambda: _raise(resource.RLIMIT_NPROC)),
        ("core", lambda: _raise(resource.RLIMIT_CORE)),
        ("rtprio", lambda: _raise(resource.RLIMIT_RTPRIO)),
        ("oom", lambda: Path("/proc/self/oom_score_adj").write_text("-900")),
        ("priority of 1", lambda: os.setpriority(os.PRIO_PROCESS, 1, 5)),
    ):
        with contextlib.suppress(OSError, ValueError):
            act()
            told.append(name)
    if libc.syscall(251 if platform.machine() == "x86_64" else 30, 1, 0, 1 << 13) == 0:  # ioprio_set: real time
        told.append("ioprio")
    told += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup" in line]
    return told + ([*os.listdir("/sys/fs/cgroup")] if os.path.isdir("/sys/fs/cgroup") else [])


def devices(facts):
    """Only those that are everybody's."""
    allowed = {"full", "null", "random", "urandom", "zero", "tty", "ptmx"}
    told = []
    for name in os.listdir("/dev"):
        mode = os.lstat(f"/dev/{name}").st_mode
        if stat.S_ISBLK(mode) or (stat.S_ISCHR(mode) and name not in allowed):
            told.append(name)
    return told


def names_of_the_machine(facts):
    """Its host name, and its control groups."""
    groups = [line.partition("/")[2] for line in _content("/proc/self/cgroup").decode().splitlines()]
    return [name for name in (socket.gethostname(), os.uname().nodename) if name == facts["hostname"]] + [
        one for one in groups if one
    ]


def descriptors(facts):
    """Nothing is open but the three streams, the runner's two sockets and what it writes its stacks to."""
    told, sockets = [], 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            mode = os.fstat(int(name)).st_mode
            target = os.readlink(f"/proc/self/fd/{name}")
            sockets += stat.S_ISSOCK(mode)
            if stat.S_ISREG(mode) and not target.startswith((*OWN, RUN)) and "(deleted)" not in target:
                told.append(target)
    most = 2 if facts["way"] == "function" else 0
    return told + ([f"{sockets} sockets"] if sockets > most else [])


PROBES = [secrets_of_the_machine, the_servers_state, the_accounts_secret, other_processes, the_first_process,
          sockets_of_the_machine, folders_of_people, addresses_of_the_machine, writes, the_run_folder, calls_of_the_kernel,
          higher_rights, larger_share, descriptors, devices, names_of_the_machine]  # fmt: skip


def _reads(path):
    with contextlib.suppress(OSError):
        if os.path.isdir(path):
            return path != "/proc" and bool(os.listdir(path))
        with open(path, "rb") as file:
            return len(file.read(1)) == 1
    return False


def _content(path):
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return os.read(handle, 1 << 20)
        finally:
            os.close(handle)
    return b""


def _pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _connects(host, port):
    """Whether somebody is there: slirp4netns greets one connection of a thousand to a shut address, and then ends it."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), 2) as line:
        line.sendall(b"?")
        with contextlib.suppress(TimeoutError):  # somebody who listens need not answer
            line.recv(1)
        return True
    return False


def _makes(path):
    with contextlib.suppress(OSError):
        os.mkdir(path)
        return True
    return False


def _runs(words):
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _raise(number):
    soft, hard = resource.getrlimit(number)
    if hard == resource.RLIM_INFINITY:
        raise ValueError("no limit")
    resource.setrlimit(number, (soft, hard + 1))


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](json.loads(Path(sys.argv[2]).read_text()))))
