"""``picloud up``, ``down``, ``restart``, ``serve``."""

from __future__ import annotations

import ctypes
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from picloud import __version__
from picloud import settings as options
from picloud.cli import lifecycle, packages
from picloud.cli import service as services
from picloud.cli.call import Server, configured
from picloud.cli.flags import as_json, command
from picloud.cli.output import answer
from picloud.cli.status import login_url
from picloud.server import home as homes
from picloud.server.address import listen
from picloud.server.credentials import configuration, secret_of
from picloud.server.home import ServerFile
from picloud.settings import Settings
from picloud.wire.error import CloudException, SetupError


def _listening(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that say where a server listens."""
    for flag in (
        click.option(
            "--insecure", is_flag=True, default=None, help="Plain HTTP on --host: everybody on the network can read along."
        ),
        click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one.  [default: 7421]"),
        click.option("--host", metavar="ADDR", help="Also listen on this address of this machine, with TLS."),
    ):
        function = flag(function)
    return function


@command("up")
@_listening
def up(**overrides: Any) -> None:
    """Start the server in the background, unless it runs already.

    Prints its address first, then a link to log in that works once. State lies in PICLOUD_HOME (default ~/.picloud).
    """
    settings = options.load(**overrides)
    file, new = _start(settings, overrides, overrides | _kept(homes.read_server_file(Path(settings.home)), overrides))
    if not new:
        file.login_url = _fresh_link(file)
    _tell(file, new, "" if new else _differs(file, _changed(file) | {k: v for k, v in overrides.items() if v}))


@command("down")
def down() -> None:
    """Stop the server and everything it started.

    Running jobs have 10 seconds (setting `drain`); the others are requeued and run after the next `picloud up`.
    """
    settings = options.load()
    file, left = lifecycle.stop(settings, tell=lambda text: None if as_json() else click.echo(text, err=True))
    if file:
        text = f"Stopped {file.address}" + (f" ({left} leftover processes killed)" if left else "")
    else:
        text = f"No server runs for {settings.home}" + (f"; {left} leftover processes killed" if left else "")
    answer({"stopped": file is not None, "address": file.address if file else None, "killed": left}, text)


@command("restart")
@_listening
def restart(**overrides: Any) -> None:
    """Stop only the server and start it anew, with the same options unless others are given.

    Jobs run on meanwhile: their workers reconnect to the new server. It listens where the old one did, unless a flag or a
    setting that changed since says otherwise.
    """
    former, given = homes.read_server_file(options.home()), dict(overrides)
    overrides |= _kept(former, overrides)
    settings = options.load(**overrides)
    _check_listening(settings, former)
    _check_blobs(settings)
    lifecycle.stop_server_only(settings)
    file, new = _start(settings, given, overrides)
    _tell(file, new)


def _start(settings: Settings, given: dict[str, Any], overrides: dict[str, Any]) -> tuple[ServerFile, bool]:
    """Start the server: as the service where that is installed for this home, unless flags are given: it has none."""
    unit = services.installed(settings)
    if unit is None or any(given.values()) or lifecycle.running(Path(settings.home)):
        return lifecycle.start(settings, overrides)
    unit.control("reset-failed", services.NAME)
    file = lifecycle.start_elsewhere(
        Path(settings.home), lambda: unit.control("start", services.NAME), lambda: unit.said("is-active") == "active"
    )
    if file is None:
        raise SetupError("the service ended before the server answered", hint=f"see {unit.words('status')}, and journalctl")
    return file, True


def _check_blobs(settings: Settings) -> None:
    """What runs shall not be stopped for a server that cannot start: the keys to S3 may be in another shell's environment."""
    from picloud.store.files import Remote, folder_of

    if folder_of(settings.blobs, Path(settings.home)) is None:
        Remote(settings.blobs).check()


@command("serve")
@_listening
def serve(**overrides: Any) -> None:
    """Run the server in the foreground until Ctrl-C; its log goes to stderr."""
    settings = options.load(**overrides)
    homes.prepare(settings)
    server, launched = lifecycle.foreground(Path(settings.home), overrides, _end_with_parent)
    _pass_signals(server)
    _tell(lifecycle.ready(launched, None), new=True)
    code = server.wait()
    if code not in (0, -signal.SIGINT, -signal.SIGTERM):
        raise click.exceptions.Exit(_shell_code(code))


def _kept(former: ServerFile | None, overrides: dict[str, Any]) -> dict[str, Any]:
    """How the server before listened, where nothing else is asked for: clients and workers still look for it there.

    Args:
        former: as its ``server.json`` tells, which `picloud down` removes and a crash leaves.
        overrides: flags; they win, and so does a setting that the user has changed meanwhile.
    """
    if former is None:
        return {}
    kept = {"host": former.host or None, "port": former.port or None, "insecure": former.insecure or None}
    return {name: value for name, value in kept.items() if overrides.get(name) is None and name not in _changed(former)}


def _changed(former: ServerFile) -> dict[str, Any]:
    """The settings about listening that are others than when that server started."""
    return dict(homes.Configured.of(options.load()).changed_since(former.configured))


def _fresh_link(file: ServerFile) -> str:
    """A link to log in; "" where this user has no key for it."""
    secret = secret_of(options.home(), file.owner_key) if file.owner_key else ""
    try:
        return login_url(Server(file.address, file.owner_key, secret) if secret else configured())
    except CloudException:
        return ""


def _check_listening(settings: Settings, former: ServerFile | None) -> None:
    """Find out that the new server could not run or listen before the old one is stopped for it.

    Raises:
        SetupError: a package is missing, the address is not ours, or the port is in use by another program.
    """
    packages.check()
    if settings.host and not (former and former.host == settings.host):
        listen(settings.host, 0).close()
    if settings.port and not (former and former.port == settings.port):
        listen("127.0.0.1", settings.port).close()


def _shell_code(code: int) -> int:
    """Exit code of a server as a shell says it: 128 + signal if it was killed."""
    return code if code >= 0 else 128 - code


def _pass_signals(server: subprocess.Popen[bytes]) -> None:
    """Ctrl-C reaches the server from the terminal itself; what is sent to us alone is passed on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, lambda got, _frame: server.send_signal(got if got != signal.SIGHUP else signal.SIGTERM))


def _end_with_parent() -> None:
    """In the new process: drain and stop when the foreground command is killed, rather than stay behind unseen."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _differs(file: ServerFile, overrides: dict[str, Any]) -> str:
    """What a server that runs already does not do as asked."""
    if file.version != __version__:
        return f"It is version {file.version}: `picloud restart` starts version {__version__}."
    asked = {name: value for name, value in overrides.items() if value and value != getattr(file, name)}
    flags = " ".join(f"--{name}" if value is True else f"--{name} {value}" for name, value in asked.items())
    return f"To change how it listens: picloud restart {flags}" if flags else ""


def _tell(file: ServerFile, new: bool, advice: str = "") -> None:
    """The address first, always; then what a newcomer needs next."""
    remote = file.remote or (file.address if file.tls_fingerprint else None)
    typed = f"picloud setup {remote} --fingerprint {file.tls_fingerprint}" if remote and file.tls_fingerprint else None
    lines = [file.address]
    if not new:
        lines.append(f"Runs already (pid {file.pid}).")
    if new and file.first:
        lines.append(f"Account {file.owner} was created; its key is stored for this user.")
    if file.login_url:
        lines.append(f"Log in (this link works once): {file.login_url}")
    if typed:
        lines.append(f"On another machine: {typed}")
    elif remote:
        lines.append(f"On another machine: picloud setup {remote} --insecure")
    if file.client and file.client == configuration(options.home()).get("url", "").rstrip("/"):
        here = f"picloud setup {file.address} -a {file.owner_key}"
        lines.append(f"Your client stays with {file.client}. To use this server: {here}")
    if advice:
        lines.append(advice)
    answer(msgspec.to_builtins(file) | {"new": new, "setup": typed, "advice": advice or None}, "\n".join(lines))
