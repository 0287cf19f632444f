"""``picloud doctor``: checks everything an installation needs of this machine and prints the remedies."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import click
from msgspec import Struct, to_builtins

from picloud import settings as options
from picloud.cli import packages
from picloud.cli.flags import command
from picloud.cli.output import answer
from picloud.engine import process
from picloud.engine.base import host_cores, host_memory
from picloud.sandbox import platform, probe
from picloud.server import home as homes
from picloud.server.address import port_holder
from picloud.server.fullness import warnings
from picloud.server.mounts import MEMORY
from picloud.settings import GIB, Settings
from picloud.wire.error import CloudException

State = Literal["ok", "warn", "fail", "info"]

FILES = 4096
"""Open files a busy server needs."""


class Finding(Struct):
    """What one check found."""

    check: str
    state: State
    text: str
    remedy: str = ""


@command("doctor")
def doctor() -> None:
    """Check this machine and print the remedies; exit code 3 if the server could not run.

    Changes nothing.
    """
    findings = list(examine())
    lines = [f"{f.state:<5} {f.check}: {f.text}" + (f"\n      -> {f.remedy}" if f.remedy else "") for f in findings]
    answer(to_builtins(findings), "\n".join(lines))
    if any(finding.state == "fail" for finding in findings):
        raise click.exceptions.Exit(3)


def examine() -> Iterator[Finding]:
    """Run every check, in the order in which they build on each other."""
    yield _python()
    yield _packages()
    try:
        settings = options.load()
    except CloudException as error:
        yield Finding("settings", "fail", error.parameter, error.hint or "")
        return
    yield from _guarded("settings", _settings, settings)
    for name, check in CHECKS.items():
        yield from _guarded(name, check, settings)
    yield from _guarded("isolation", _sandboxes, settings)


def _guarded(name: str, check: Callable[[Settings], Finding | Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    """One check; an error it meets is its finding."""
    try:
        found = check(settings)
        yield from [found] if isinstance(found, Finding) else found
    except CloudException as error:
        yield Finding(name, "fail", error.parameter, error.hint or "")
    except (OSError, ImportError, ValueError) as error:
        yield Finding(name, "warn", f"cannot be checked: {error}")


def _python() -> Finding:
    return Finding("python", "ok", f"{'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}")


def _packages() -> Finding:
    missing = packages.missing()
    if missing:
        return Finding("packages", "fail", f"missing: {', '.join(missing)}", packages.INSTALL)
    return Finding("packages", "ok", "the server's are installed")


def _settings(settings: Settings) -> Finding:
    changed = [f"{name}={value!r}" for name, value in to_builtins(settings).items() if value != to_builtins(Settings()).get(name)]
    return Finding("settings", "info", ", ".join(one for one in changed if not one.startswith("home=")) or "all defaults")


def _home(settings: Settings) -> Finding:
    home = Path(settings.home)
    kind = homes.check_file_system(home)
    if home.is_dir():
        homes.check_writable(home)
    else:
        nearest = next(parent for parent in home.parents if parent.is_dir())
        homes.check_writable(nearest)
    if kind in MEMORY:
        return Finding("home", "warn", f"{home} is in memory ({kind})", "jobs there do not survive a power cut")
    return Finding("home", "ok", f"{home} ({kind})")


def _disk(settings: Settings) -> Finding:
    home = Path(settings.home)
    free = homes.check_free_space(next(path for path in (home, *home.parents) if path.is_dir()))
    if free < settings.min_free_disk:
        text = f"{free / GIB:.1f} GiB free; below {settings.min_free_disk / GIB:.1f} GiB nothing new is accepted"
        return Finding("disk", "warn", text, "free some space, or lower the setting min_free_disk")
    if full := warnings(settings):
        return Finding("disk", "warn", "; ".join(full), "picloud du tells what takes room, picloud gc removes what is old")
    return Finding("disk", "ok", f"{free / GIB:.1f} GiB free")


def _blobs(settings: Settings) -> Finding:
    from picloud.store.files import Remote, folder_of

    folder = folder_of(settings.blobs, Path(settings.home) / "blob")
    if folder is None:
        Remote(settings.blobs).check()
        return Finding("blobs", "ok", f"{settings.blobs}: wrote, read and deleted one")
    homes.check_writable(next(path for path in (folder, *folder.parents) if path.is_dir()))
    return Finding("blobs", "ok", str(folder))


def _server(settings: Settings) -> Finding:
    file = homes.running(Path(settings.home))
    if file:
        return Finding("server", "ok", f"runs at {file.address} (pid {file.pid}, version {file.version})")
    if settings.port and (by := port_holder(settings.port)):
        return Finding("server", "fail", f"port {settings.port} is in use by {by}", "stop that, or picloud up --port 0")
    return Finding("server", "info", "does not run", "picloud up starts it")


def _database(settings: Settings) -> Finding:
    from picloud.store.peek import revisions

    url = settings.database or f"sqlite:///{settings.home}/picloud.sqlite"
    if url.startswith("sqlite") and not Path(url.partition("///")[2]).exists():
        return Finding("database", "info", "none yet: the first picloud up makes it")
    found, needed = revisions(url)
    if found == needed:
        return Finding("database", "ok", f"opens, revision {found}")
    if found is None:
        return Finding("database", "info", "opens, empty: the first picloud up fills it")
    if found > needed:
        text = f"is of revision {found}, this PiCloud knows {needed}: it is from a newer version"
        return Finding("database", "fail", text, "install the version that made it, or set another PICLOUD_HOME")
    return Finding("database", "info", f"opens, revision {found}: the next start migrates it to {needed} and keeps a copy")


def _client(settings: Settings) -> Finding:
    from picloud.cli.call import call, configured

    try:
        found = call(configured(), "GET", "/v1/server")
    except CloudException as error:
        return Finding("client", "info", error.parameter, error.hint or "")
    return Finding("client", "ok", f"account {found.get('account')} at {configured().url}")


def _machine(settings: Settings) -> Finding:
    cores, memory = host_cores(), host_memory()
    kind = options.choose_default_type(settings, cores, memory)
    units = cores * settings.units_per_core / 1000
    text = f"{cores} cores = {units:g} compute units, {memory / GIB:.1f} GiB RAM; jobs that name no core type get {kind}"
    one = settings.core_types[kind].memory if kind in settings.core_types else 0
    if one > memory - settings.memory_reserve:
        return Finding(
            "machine", "warn", text, f"{kind} needs {one / GIB:.1f} GiB: jobs run one at a time and may run out of memory"
        )
    return Finding("machine", "ok", text)


def _files(settings: Settings) -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        return Finding("open files", "warn", f"at most {hard}", f"raise the hard limit (ulimit -Hn) to {FILES}")
    return Finding("open files", "ok", f"{soft} (may rise to {hard})")


def _clock(settings: Settings) -> Finding:
    """A clock before this file was written is wrong for certain; how far the file system's is off, is a network's."""
    if time.time() < Path(__file__).stat().st_mtime - 86400:
        return Finding(
            "clock", "warn", f"says {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC", "set it, for instance by NTP"
        )
    return Finding("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))


def _sandboxes(settings: Settings) -> Iterator[Finding]:
    """A sandbox is really made, as the server does it, beside whatever runs."""
    home = Path(settings.home)
    place = Path(tempfile.mkdtemp(prefix="picloud-doctor-", dir=home if home.is_dir() else None))
    instance = process.instance(home) if home.is_dir() else "doctor"
    found = probe.probe(place, instance, platform.image(), settings.sandbox)
    for feature in found.features:
        state: State = "ok" if feature.ok else "fail" if feature.name == "interpreter" else "warn"
        yield Finding(feature.name, state, feature.text, feature.remedy)
    yield Finding("probing", "info", f"took {found.seconds:.2f} s")


CHECKS: dict[str, Callable[[Settings], Finding]] = {
    "home": _home,
    "disk": _disk,
    "database": _database,
    "blobs": _blobs,
    "server": _server,
    "client": _client,
    "machine": _machine,
    "open files": _files,
    "clock": _clock,
}
