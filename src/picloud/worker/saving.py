"""Setup jobs, the worker's side: packs what was changed in one, and runs scripts there. All of it in threads.

The answer to a :class:`Save` is kept: control asks again after a lost connection, and nothing is packed twice for it.
Output of scripts is worth nothing later: who listened has gone with the connection.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from picloud.sandbox.base import Guest, Inside, Program
from picloud.wire.error import CloudException, SetupError, StorageFull
from picloud.wire.image import VENV
from picloud.wire.message import Perform, Performed, Save, Saved, ToServer
from picloud.worker.control import Control
from picloud.worker.feed import Key
from picloud.worker.loop import Loop
from picloud.worker.order import Order
from picloud.worker.slot import Slot

log = logging.getLogger(__name__)

PIECE = 1 << 16
KEPT = 16
"""Answers kept for control to ask again."""
INVENTORY = 8 << 20
"""Bytes of a list of packages at most."""

_RUN = """
export PICLOUD_PYTHON="${PICLOUD_PYTHON:-$(command -v python3)}"
f=$(mktemp -p /tmp) && cat > "$f" && chmod 700 "$f" || exit 126
if [ "$(head -c 2 "$f" | tr -d '\\0')" = '#!' ]; then "$f" "$@"; else bash "$f" "$@"; fi < /dev/null 2>&1
s=$?
rm -f "$f"
exit $s
"""
_LOOK = """
dpkg-query -W -f 'debian\\t${Package}\\t${Version}\\n' 2> /dev/null
rpm -qa --qf 'rpm\\t%{NAME}\\t%{VERSION}-%{RELEASE}\\n' 2> /dev/null
apk list -I 2> /dev/null | sed -n 's/^\\([^ ]*\\)-\\([0-9][^ ]*\\) .*/apk\\t\\1\\t\\2/p'
for p in @VENV@/bin/python "$PICLOUD_PYTHON" /usr/local/bin/python3 /usr/bin/python3 /opt/conda/bin/python3; do
    [ -n "$python" ] || [ ! -x "$p" ] || python="$p"
done
[ -z "$python" ] || "$python" - "$python" 2> /dev/null <<'END'
import sys
from importlib import metadata
print(f"=python\\t{sys.argv[1]}\\t{sys.version_info[0]}.{sys.version_info[1]}")
for one in metadata.distributions():
    if one.metadata["Name"]:
        print(f"python\\t{one.metadata['Name']}\\t{one.version}")
END
[ ! -f /var/lib/picloud/lock.txt ] || sed 's/^/=recipe\\t/' /var/lib/picloud/lock.txt
"""


@runtime_checkable
class Machine(Protocol):
    """What the sandbox of a setup job offers."""

    inside: Inside

    def pack(self, path: Path) -> str:
        """Write everything that was changed as a layer to ``path``; its digest, "" where nothing was.

        Raises:
            StorageFull: there is no room for it.
            SetupError: the sandbox has ended, or cannot be packed.
        """


def machine_of(slots: Iterable[Slot], key: Key) -> Machine:
    """The sandbox in which an attempt runs.

    Raises:
        CloudException: it does not run here, or sandboxes of this machine cannot be changed and packed.
    """
    slot = next((one for one in slots if one.job is not None and one.job.key == key), None)
    if slot is None:
        raise CloudException("the setup job does not run any more")
    if not isinstance(slot.sandbox, Machine):
        raise SetupError("this machine cannot make environments: its jobs have no file system of their own",
                         hint="picloud doctor tells what is missing")  # fmt: skip
    return slot.sandbox


class Saving:
    """See the module.

    Args:
        tell: sends a message to control; called on the loop.
        find: the sandbox in which that attempt runs; raises as :func:`machine_of`.
    """

    def __init__(
        self,
        loop: Loop,
        order: Order,
        control: Control,
        tell: Callable[[ToServer], None],
        find: Callable[[Key], Machine],
    ) -> None:
        self._loop, self._order, self._control, self._tell, self._find = loop, order, control, tell, find
        self._answers: dict[bytes, Saved | None] = {}  # None: under way

    def obey(self, message: Save | Perform) -> None:
        """Begin; called on the loop."""
        if isinstance(message, Perform):
            self._perform(message)
        elif message.token not in self._answers:
            self._save(message)
        elif (known := self._answers[message.token]) is not None:
            self._tell(known)

    # -- saving ---------------------------------------------------------------------------------------------------

    def _save(self, message: Save) -> None:
        self._answers[message.token] = None
        while len(self._answers) > KEPT:
            self._answers.pop(next(iter(self._answers)))

        def saved(answer: Saved | None, error: BaseException | None) -> None:
            if answer is None:
                answer = _refused(message, error)
            self._answers[message.token] = answer
            self._tell(answer)

        try:
            machine = self._find((message.jid, message.n))
        except CloudException as error:
            saved(None, error)
            return
        self._loop.work(lambda: self._packed(machine, message), saved)

    def _packed(self, machine: Machine, message: Save) -> Saved:
        path = Path(self._order.folder) / f"layer-{message.token.hex()}"
        try:
            made = self._look(machine, Saved(message.jid, message.n, message.token))
            made.digest = machine.pack(path)
            if made.digest:
                made.size = path.stat().st_size
                made.blob = self._control.upload(path)
            return made
        finally:
            path.unlink(missing_ok=True)

    def _look(self, machine: Machine, made: Saved) -> Saved:
        """Note what is installed."""
        guest = machine.inside.open(["/bin/sh", "-c", _LOOK.replace("@VENV@", VENV)], self._environment(machine), root=True)
        recipe = []
        for line in b"".join(_output(guest, b"", INVENTORY)).decode("utf-8", "replace").splitlines():
            word, _, rest = line.partition("\t")
            name, _, version = rest.partition("\t")
            if word == "=python":
                made.python, made.python_version = name, version
            elif word == "=recipe":
                recipe.append(rest)
            elif name and version:
                made.packages.append((word, name, version))
        _ended(guest.program)
        made.packages = sorted(set(made.packages))
        made.recipe = "".join(f"{line}\n" for line in recipe)
        return made

    # -- scripts --------------------------------------------------------------------------------------------------

    def _perform(self, message: Perform) -> None:
        try:
            machine = self._find((message.jid, message.n))
        except CloudException as error:
            self._tell(Performed(message.token, 0, error=error.parameter))
            return
        threading.Thread(target=self._run, args=(machine, message), name="script", daemon=True).start()

    def _run(self, machine: Machine, message: Perform) -> None:
        offset = 0
        try:
            argv = ["/bin/sh", "-c", _RUN, "script", *message.arguments]
            guest = machine.inside.open(argv, self._environment(machine), root=message.root)
            for data in _output(guest, message.script):
                self._send(Performed(message.token, offset, data))
                offset += len(data)
            self._send(Performed(message.token, offset, exit_code=_ended(guest.program)))
        except (CloudException, OSError) as error:
            self._send(Performed(message.token, offset, error=getattr(error, "parameter", str(error))))

    def _send(self, message: Performed) -> None:
        self._loop.call(lambda: self._tell(message))

    def _environment(self, machine: Machine) -> dict[str, str]:
        return machine.inside.environment() | {"PICLOUD_PYTHON": self._order.image.python if self._order.image else ""}


def _output(guest: Guest, stdin: bytes, most: int = 1 << 62) -> Iterator[bytes]:
    """What a guest prints, piece by piece, while it is fed.

    Args:
        most: bytes after which the rest is not read.
    """
    if guest.stderr is not None:
        guest.stderr.close()
    stream = guest.stdio
    if stream is None:
        raise SetupError("a program was started without its streams")
    with stream:
        threading.Thread(target=_feed, args=(stream, stdin), name="stdin", daemon=True).start()
        while most > 0 and (data := stream.recv(min(PIECE, most))):
            most -= len(data)
            yield data


def _ended(program: Program) -> int:
    status = program.wait()
    program.close()
    return status


def _feed(stream: socket.socket, stdin: bytes) -> None:
    try:
        stream.sendall(stdin)
        stream.shutdown(socket.SHUT_WR)
    except OSError as error:
        log.debug("a script did not read its input: %s", error)


def _refused(message: Save, error: BaseException | None) -> Saved:
    full = isinstance(error, StorageFull) or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT))
    said = error.parameter if isinstance(error, CloudException) else str(error) or type(error).__name__
    if error is not None and not isinstance(error, CloudException | OSError):
        log.error("saving failed", exc_info=error)
    return Saved(message.jid, message.n, message.token, error=said, full=full)
