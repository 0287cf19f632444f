"""``picloud bucket mount`` and ``unmount``: the bucket, or a volume, as a folder of this machine."""

from __future__ import annotations

import grp
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

import click
import msgspec

from picloud.cli.call import configured
from picloud.cli.flags import GlobalFlags
from picloud.cli.output import answer
from picloud.mount import device
from picloud.mount.order import Order
from picloud.settings import home
from picloud.wire.error import CloudException, SetupError, from_dict

PATIENCE = 2.0
"""Seconds of waiting after which a person is told what for."""
SUPERVISOR = "picloud.mount.supervisor"
FOLDER = click.argument("folder", metavar="DIR", type=click.Path())


@click.command("mount", cls=GlobalFlags)
@FOLDER
@click.option("--volume", default="", metavar="NAME", help="A volume instead of the bucket.")
@click.option("--read-only", is_flag=True, help="Refuse changes.")
@click.option("--foreground", is_flag=True, help="Stay until it is unmounted; ^C unmounts.")
def mount(folder: str, volume: str, read_only: bool, foreground: bool) -> None:
    """Show the bucket at the folder DIR.

    What programs write there is stored when they close it, for all machines and jobs. A daemon serves it in the background;
    one that dies is started again.
    """
    place = _place(folder)
    order = _order(place, volume, read_only)
    record = _record(place)
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = record.with_suffix(".log")
    order.lost = str(_lost(place))
    _lost(place).unlink(missing_ok=True)
    with open(log, "ab") as errors:
        supervisor = _start(order, None if foreground else errors)
    _write(record, {"folder": place, "volume": volume, "pid": supervisor.pid, "log": str(log)})
    answer({"folder": place, "volume": volume, "pid": supervisor.pid, "log": str(log)}, f"{place} is mounted.")
    if foreground:
        _stay(supervisor)
        record.unlink(missing_ok=True)
        _report(place)


@click.command("unmount", cls=GlobalFlags)
@FOLDER
def unmount(folder: str) -> None:
    """Take the mount at DIR away; returns when all that was written there is stored, or names what could not be."""
    place = _absolute(folder)
    record = _record(place)
    try:
        pid = int(json.loads(record.read_text())["pid"])
    except (OSError, ValueError, KeyError):
        pid = 0
    if not device.is_mounted(place):
        record.unlink(missing_ok=True)
        raise SetupError(f"nothing of ours is mounted at {place}", hint="see /proc/mounts for what is mounted where")
    device.unmount(place)
    if pid:
        _end(pid, place)
    record.unlink(missing_ok=True)
    _report(place)
    answer({"folder": place}, f"{place} is unmounted.")


def _absolute(folder: str) -> str:
    """The folder's path without touching it: one whose daemon is dead answers nothing."""
    parent, name = os.path.split(os.path.abspath(folder))
    return os.path.join(os.path.realpath(parent), name)


def _place(folder: str) -> str:
    """An empty folder to mount on; made if it is not there."""
    place = _absolute(folder)
    if device.is_mounted(place):
        raise SetupError(f"{place} is mounted already", hint=f"picloud bucket unmount {folder}")
    try:
        os.makedirs(place, exist_ok=True)
        inside = os.listdir(place)
    except OSError as error:
        raise SetupError(f"cannot mount at {place}: {error.strerror}", hint="give an empty folder of your own") from error
    if inside:
        raise SetupError(f"{place} is not empty", hint="a mount would hide what is in it: give an empty folder, or a new one")
    return place


def _order(place: str, volume: str, read_only: bool) -> Order:
    server = configured()
    return Order(
        server.url,
        place,
        str(home() / "cache" / "mount"),
        key=server.api_key,
        secret=server.api_secretkey,
        fingerprint=server.fingerprint,
        volume=volume,
        read_only=read_only,
        uid=os.geteuid(),  # who is not the owner cannot `cp -p`: the kernel refuses ACLs before it asks us
        gid=_group(),
    )


def _group() -> int:
    """The group ``picloud`` where this user is in it, or is root; else the user's own."""
    with suppress(KeyError):
        found = grp.getgrnam("picloud").gr_gid
        if os.geteuid() == 0 or found in os.getgroups():
            return found
    return os.getegid()


def _record(place: str) -> Path:
    """Where it is written down who serves a folder."""
    return home() / "mounts" / f"{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}.json"


def _lost(place: str) -> Path:
    """Where the daemon of a folder writes down what it could not store."""
    return _record(place).with_suffix(".lost")


def _report(place: str) -> None:
    """Say what was not stored.

    Raises:
        CloudException: naming it.
    """
    try:
        keys: list[str] = json.loads(_lost(place).read_text())
    except FileNotFoundError:
        return
    _lost(place).unlink(missing_ok=True)
    named = ", ".join(repr(key) for key in keys[:5]) + (f" and {len(keys) - 5} others" if len(keys) > 5 else "")
    raise CloudException(
        f"{place} is unmounted, but what was written last into {named} could not be stored",
        hint=f"write it again; why not is in {_record(place).with_suffix('.log')}",
        lost=keys,
    )


def _write(path: Path, value: dict[str, object]) -> None:
    passing = path.with_suffix(".new")
    passing.write_text(json.dumps(value))
    passing.rename(path)


def _start(order: Order, errors: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """A supervisor whose mount can be used.

    Raises:
        CloudException: why it cannot be.
    """
    supervisor = subprocess.Popen(
        [sys.executable, "-m", SUPERVISOR],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
        cwd="/",
    )
    assert supervisor.stdin is not None and supervisor.stdout is not None
    with suppress(BrokenPipeError):
        supervisor.stdin.write(msgspec.json.encode(order) + b"\n")
        supervisor.stdin.close()
    said = supervisor.stdout.readline().strip()
    if said != b"ready":
        supervisor.wait()
        try:
            raise from_dict(json.loads(said)["error"])
        except (ValueError, KeyError) as error:
            raise SetupError("the mount did not start", hint="try --foreground, which shows its messages") from error
    return supervisor


def _stay(supervisor: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: supervisor.terminate())
    supervisor.wait()


def _end(pid: int, place: str) -> None:
    """End a supervisor, and wait for it: by then its daemon has stored everything."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if SUPERVISOR not in Path(f"/proc/{pid}/cmdline").read_text():  # the number is another process's by now
            return
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not select.select([handle], [], [], PATIENCE)[0]:
            click.echo(f"{place}: storing what was written last", err=True)
            select.select([handle], [], [])
    except (FileNotFoundError, ProcessLookupError):
        return  # it has ended by itself
    finally:
        os.close(handle)
