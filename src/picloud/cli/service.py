"""``picloud service``: the server starts with the machine, and again after a crash, by systemd.

A user's unit is his own and lives as long as he may *linger*; root's is the system's. Its main process is ``picloud serve``, and
only that is signalled: the server ends its workers itself, in order, and after a crash they compute on until it is back.
"""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from picloud import settings as options
from picloud.cli import packages
from picloud.cli.flags import GlobalFlags, Group
from picloud.cli.lifecycle import PYTHON
from picloud.cli.output import answer
from picloud.server import home as homes
from picloud.server.lock import holder
from picloud.settings import Settings
from picloud.wire.error import NotFound, SetupError

NAME = "picloud.service"
RUNNING = Path("/run/systemd/system")
"""Is there where systemd is this machine's first process."""
SYSTEM = Path("/etc/systemd/system")
ENVIRONMENT = "service.env"
"""File in the home with further variables of the service, as NAME=value: the keys of an object store, for instance."""
NO_SYSTEMD = "systemd does not run this machine; this line of a crontab starts the server at boot"
MARGIN = 20.0
"""Seconds for stopping beyond the drain."""
UNIT = """\
# Made by `picloud service install`; it writes it anew. Your own changes: systemctl edit picloud
[Unit]
Description=PiCloud server of {home}
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart={program} "serve"
{user}Environment={environment}
EnvironmentFile=-{file}
# The server ends its workers itself; those of one that crashed go on for the next.
KillMode=process
TimeoutStopSec={stop:g}
Restart=on-failure
RestartSec=2
# Limits of jobs are control groups below the server's own.
Delegate=yes
LimitNOFILE=65536

[Install]
WantedBy={target}
"""


class Service(Struct):
    """A unit of systemd, of a user or of the system."""

    system: bool
    path: str
    installed: bool
    active: str  # as systemctl is-active says
    enabled: str  # as systemctl is-enabled says


@click.group("service", cls=Group)
def service() -> None:
    """Start the server with the machine, and again after a crash (systemd)."""


which = click.option("--system/--user", "system", default=None, help="Whose unit.  [default: the system's for root]")


@service.command("install", cls=GlobalFlags)
@which
@click.option("--show", is_flag=True, help="Only print the unit; change nothing.")
def install(system: bool | None, show: bool) -> None:
    """Write the unit, enable it, and start it unless a server of this home runs already."""
    settings = options.load()
    unit = Unit(_is_system(system), settings)
    if show:
        answer({"unit": unit.text()}, unit.text())
        return
    packages.check()
    _check_systemd(settings)
    homes.prepare(settings)
    unit.write()
    unit.control("daemon-reload")
    unit.control("enable", NAME)
    lines = [str(unit.path)]
    runs = holder(Path(settings.home))
    if runs and unit.said("is-active") != "active":
        lines.append(f"A server runs already (pid {runs}), and not as the service: picloud down, then {unit.words('start')}")
    else:
        unit.control("restart" if unit.said("is-active") == "failed" else "start", NAME)
    if not unit.system and not _lingers():
        lines.append(f"It ends when you log out: loginctl enable-linger {getpass.getuser()}")
    answer(msgspec.to_builtins(unit.found()) | {"notes": lines[1:]}, "\n".join(lines))


@service.command("uninstall", cls=GlobalFlags)
@which
def uninstall(system: bool | None) -> None:
    """Stop the service in order, and remove its unit; what is in PICLOUD_HOME stays."""
    settings = options.load()
    unit = Unit(_is_system(system), settings)
    if not unit.path.exists():
        raise NotFound(f"there is no unit {unit.path}", hint="picloud service status shows what is installed")
    _check_systemd(settings)
    unit.control("disable", "--now", NAME)
    unit.path.unlink()
    unit.control("daemon-reload")
    answer({"removed": str(unit.path)}, f"Removed {unit.path}")


@service.command("status", cls=GlobalFlags)
@which
def status(system: bool | None) -> None:
    """Tell whether the unit is installed, enabled and active."""
    settings = options.load()
    found = Unit(_is_system(system), settings).found()
    text = f"{found.path}: {found.active}, {found.enabled}" if found.installed else f"Not installed ({found.path} is not there)"
    answer(msgspec.to_builtins(found), text if RUNNING.is_dir() else f"{text}\n{NO_SYSTEMD}: {crontab(settings)}")


class Unit:
    """The unit of one user, or of the system."""

    def __init__(self, system: bool, settings: Settings) -> None:
        self.system, self._settings = system, settings
        own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd/user"
        self.path = (SYSTEM if system else own) / NAME

    def text(self) -> str:
        """What is in its file."""
        home, path = self._settings.home, os.environ.get("PATH", os.defpath)
        owner = homes.owner(Path(home)) if self.system else ""
        return UNIT.format(
            home=_plain(home),
            program=" ".join(_word(word).replace("$", "$$") for word in [*PYTHON, "-m", "picloud"]),
            environment=" ".join(_word(pair) for pair in (f"PICLOUD_HOME={home}", f"PATH={path}")),
            file=_plain(f"{home}/{ENVIRONMENT}"),
            user=f"User={owner}\n" if owner else "",
            stop=self._settings.drain + MARGIN,
            target="multi-user.target" if self.system else "default.target",
        )

    def write(self) -> None:
        """Write the file."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(self.text())
        except OSError as error:
            hint = "as another user than root: picloud service install --user"
            raise SetupError(f"cannot write {self.path}: {error.strerror}", hint=hint) from error

    def serves(self) -> bool:
        """Whether its file is there, and of this home."""
        try:
            return _word(f"PICLOUD_HOME={self._settings.home}") in self.path.read_text()
        except OSError:
            return False

    def words(self, *words: str) -> str:
        """The line that a person types for it."""
        return " ".join(["systemctl", *([] if self.system else ["--user"]), *words, "picloud"])

    def said(self, word: str) -> str:
        """What systemctl says of it in one word."""
        return self._run(word, NAME).stdout.strip() or "unknown"

    def control(self, *words: str) -> None:
        """Have systemctl do something.

        Raises:
            SetupError: with what it says.
        """
        done = self._run(*words)
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise SetupError(f"systemctl {' '.join(words)} failed: {said[0]}", hint=f"see {self.words('status')}")

    def found(self) -> Service:
        """What there is of it."""
        here = self.path.exists() and RUNNING.is_dir()
        active, enabled = (self.said("is-active"), self.said("is-enabled")) if here else ("inactive", "disabled")
        return Service(self.system, str(self.path), self.path.exists(), active, enabled)

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        line = ["systemctl", *([] if self.system else ["--user"]), *words]
        return subprocess.run(line, capture_output=True, text=True, check=False)


def installed(settings: Settings) -> Unit | None:
    """The unit that runs the server of this home, if we may start it."""
    for system in (False, True)[: 1 + (os.geteuid() == 0)]:
        unit = Unit(system, settings)
        if RUNNING.is_dir() and unit.serves():
            return unit
    return None


def crontab(settings: Settings) -> str:
    """The line of a crontab that starts the server with the machine."""
    words = ["env", f"PICLOUD_HOME={settings.home}", *PYTHON, "-m", "picloud", "up"]
    return f"@reboot {' '.join(shlex.quote(word) for word in words)}".replace("%", r"\%")


def _check_systemd(settings: Settings) -> None:
    """Raises SetupError with another way where systemd does not run this machine."""
    if not RUNNING.is_dir() or shutil.which("systemctl") is None:
        raise SetupError(NO_SYSTEMD, hint=f"run crontab -e and add: {crontab(settings)}")


def _is_system(asked: bool | None) -> bool:
    return os.geteuid() == 0 if asked is None else asked


def _lingers() -> bool:
    """Let the user's services run while he is not logged in; whether they do."""
    done = subprocess.run(["loginctl", "enable-linger"], capture_output=True, check=False)
    return done.returncode == 0


def _plain(text: str) -> str:
    """A text in which systemd shall see no specifiers."""
    return text.replace("%", "%%")


def _word(word: str) -> str:
    """One word of a command line or of an environment, as systemd reads it."""
    escaped = _plain(word).replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'
