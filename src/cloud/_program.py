"""The job behind ``cloud.shell``: runs one command line in bash. Standard library and the floor only.

Jobs import it by name, so that what travels is the command, its values and its files, never code.
"""

from __future__ import annotations

import os
import pickle
import re
import selectors
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from cloud._template import fill
from picloud.wire import systemlog
from picloud.wire.error import CloudException

STDERR_KEPT = 32_000
"""Last bytes of stderr that the error of a failed command carries (``facts["stderr"]``); ``info`` has the whole stream."""

SHOWN = 2_000
"""Last characters of it that the error's text shows."""

NOT_BEGUN = 126
"""Exit code of a command that could not begin, as shells use it."""

_SIMPLE = re.compile(r"[^;|&<>()\n]+")
"""A line whose first word is the program that ran last."""

_NUMBERED = re.compile(r"\A: \{\w+\}\n")
"""What makes each copy of a command a job of its own (``picloud mapexec --copies``)."""

_BLOCK = 1 << 18


class File:
    """A file that travels to a job as one of its arguments."""

    def __init__(self, name: str, data: Any) -> None:
        self.name, self.data = name, data

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        # Out of band where the pickler can: no copy of the contents is made.
        return File, (self.name, pickle.PickleBuffer(self.data) if protocol >= 5 else bytes(self.data))

    def __repr__(self) -> str:
        return f"File({self.name!r}, {memoryview(self.data).nbytes} bytes)"


@dataclass
class Command:
    """One command line for one job.

    Attributes:
        template: the command with ``{parameters}``.
        values: text of each parameter that is no file.
        files: the file behind each parameter that is one.
        return_file: path of the file that is the result, relative to ``cwd``; None = stdout is the result.
        ignore_exit_status: a result whatever the exit code.
        cwd: folder to run in; None = home, which holds the files and is emptied after the job (in the simulator a fresh folder).
    """

    template: str
    values: dict[str, str] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    return_file: str | None = None
    ignore_exit_status: bool = False
    cwd: str | None = None

    def __repr__(self) -> str:
        names = {name: "@" + file.name for name, file in self.files.items()}
        return fill(self.template, _Open(names | self.values))


class _Open(dict[str, str]):
    """For showing: a parameter that is bound elsewhere stays as it is."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


class Program:
    """The function of such jobs: called with a :class:`Command`.

    Args:
        name: what people call it.
        common: files that all jobs of a map share, by parameter; they travel once, with the function.
    """

    is_program = True  # so that an environment without Python takes it

    def __init__(self, name: str, common: dict[str, File] | None = None) -> None:
        self.__qualname__ = self.__name__ = name
        self.common = common or {}

    def __call__(self, command: Command) -> bytes:
        return run(command, self.common)

    def __reduce__(self) -> tuple[Any, ...]:
        return Program, (self.__qualname__, self.common)


def name_of(command: str) -> str:
    """The program of a command line, for people: the first word that is no assignment."""
    words = [word for word in _NUMBERED.sub("", command).split() if not re.match(r"\w+=", word)]
    return os.path.basename(words[0])[:60] if words and os.path.basename(words[0]) else "bash"


def run(command: Command, common: dict[str, File]) -> bytes:
    """Run one command line to its end.

    Args:
        command: what to run.
        common: further files, by parameter.

    Returns:
        Its standard output, or the contents of its ``return_file``.

    Raises:
        CloudException: it ended with an exit code other than 0 (``facts``: exit_code, stderr), there is no folder
            ``cwd``, or it made no ``return_file``.
    """
    with _folder() as folder:
        cwd = os.path.expanduser(command.cwd) if command.cwd else folder
        if not os.path.isdir(cwd):
            hint = "create it in the command itself"
            raise CloudException(f"the folder {cwd} (cwd) does not exist in the job", hint=hint, exit_code=NOT_BEGUN)
        names = {}
        for parameter, file in {**common, **command.files}.items():
            path = _write(folder, file)
            names[parameter] = path if command.cwd else os.path.relpath(path, folder)
        stdout = _execute(fill(command.template, names | command.values), cwd, folder, command.ignore_exit_status)
        return _read(os.path.join(cwd, command.return_file), cwd) if command.return_file else stdout


@contextmanager
def _folder() -> Iterator[str]:
    """Home in jobs: it is theirs alone, they begin there with it empty but for volumes. Elsewhere a new folder."""
    if "PICLOUD_SOCKET" in os.environ:
        yield os.getcwd()
    else:
        with tempfile.TemporaryDirectory(prefix="command-", ignore_cleanup_errors=True) as folder:
            yield folder


def _write(folder: str, file: File) -> str:
    """Where it lies then: in the folder, or below it where a volume has the name."""
    path = os.path.join(folder, file.name)
    if os.path.lexists(path):
        path = os.path.join(tempfile.mkdtemp(prefix="files-", dir=folder), file.name)
    with open(path, "wb") as made:
        made.write(file.data)
    os.chmod(path, 0o755)
    return path


def _read(path: str, cwd: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        there = ", ".join(sorted(os.listdir(cwd))[:20]) or "nothing"
        raise CloudException(
            f"the command left no file {os.path.relpath(path, cwd)} to return: {error.strerror}",
            hint=f"its folder holds: {there}",
            exit_code=0,
        ) from None


def _execute(line: str, cwd: str, folder: str, ignore_exit_status: bool) -> bytes:
    stdout, stderr, code = _converse(line, cwd, _environment(folder))
    _note(line, code)
    if code and not ignore_exit_status:
        text = stderr.decode(errors="replace").encode()[-STDERR_KEPT:].decode(errors="ignore")
        ended = f"with exit code {code}" if code > 0 else f"by signal {-code}"
        raise CloudException(f"the command ended {ended}\n{text[-SHOWN:]}".rstrip(), exit_code=code, stderr=text)
    return stdout


def _note(line: str, code: int) -> None:
    """A program that a signal ended leaves a line in the system log. (Of a pipeline, bash tells of the last one.)"""
    simple = line.split(maxsplit=1) if _SIMPLE.fullmatch(line) else []
    systemlog.ended(simple[0] if simple else "bash", code - 128, line)


def _environment(folder: str) -> dict[str, str]:
    """The files of the job can be imported, and run by their bare names (behind all other programs)."""
    path = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": f"{folder}{os.pathsep}{path}" if path else folder,
        "PATH": f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{folder}",
    }


def _converse(line: str, cwd: str, env: dict[str, str]) -> tuple[bytes, bytes, int]:
    """Run a line in bash; its stdout, the last of its stderr, its exit code. Both also go to the job's own, live.

    The bash is interactive, so that the account's ~/.bashrc applies in full (most return at once in other shells). Such
    a shell complains where it has no terminal: its own stderr goes nowhere, the command's is a pipe of its own; and it
    says "exit", which a subshell does not.
    """
    err_read, err_write = os.pipe()
    script = f'exec 2>&{err_write} {err_write}>&-\n(eval "shift\n$1")'
    with open(err_read, "rb", buffering=0) as err:
        try:
            process = subprocess.Popen(
                ["bash", "-i", "-c", script, "bash", line],
                cwd=cwd,
                env=env,
                bufsize=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(err_write,),
            )
        finally:
            os.close(err_write)
        process.args = ["bash", line]  # what the system log tells of it
        assert process.stdout is not None
        with process.stdout as out:
            stdout, stderr = _gather(process, out, err)
        return bytes(stdout), bytes(stderr), process.wait()


def _gather(process: subprocess.Popen[bytes], out: IO[bytes], err: IO[bytes]) -> tuple[bytearray, bytearray]:
    """Read both until bash ends: what the command left in the background may hold the pipes open for ever."""
    stdout, stderr = bytearray(), bytearray()
    with selectors.DefaultSelector() as events:
        for pipe, kept in ((out, (stdout, 1)), (err, (stderr, 2))):
            os.set_blocking(pipe.fileno(), False)
            events.register(pipe, selectors.EVENT_READ, kept)
        while events.get_map():
            ended = process.poll() is not None  # asked before reading, so that nothing it wrote is missed
            heard = events.select(0 if ended else 0.05)
            for key, _ in heard:
                buffer, fd = key.data
                data = os.read(key.fd, _BLOCK)
                if not data:
                    events.unregister(key.fileobj)
                buffer += data
                _repeat(fd, data)
                if buffer is stderr and len(stderr) > 2 * STDERR_KEPT:
                    del stderr[:-STDERR_KEPT]
            if ended and not heard:
                break
    return stdout, stderr[-STDERR_KEPT:]


def _repeat(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
