"""The unit of systemd, and what is said where there is none."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from picloud.cli import lifecycle, service
from picloud.server import home as homes
from picloud.server.lock import lock
from tests.unit.cli.conftest import Picloud

ODD = 'a "home" with 50% $HOME \\n'
"""Everything that systemd and a shell would read otherwise."""

SYSTEMCTL = """#!/bin/sh
echo "$@" >> {said}
case "$*" in
*is-active*) cat {state} ;;
*is-enabled*) echo enabled ;;
*start*) echo active > {state} ;;
esac
"""


@pytest.fixture(autouse=True)
def _own_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose systemd notes what it is told; where it does."""
    programs, said, state = tmp_path / "bin", tmp_path / "said", tmp_path / "state"
    programs.mkdir()
    state.write_text("inactive\n")
    said.write_text("")
    for name, text in (("systemctl", SYSTEMCTL.format(said=said, state=state)), ("loginctl", "#!/bin/sh\nexit 1\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(service, "RUNNING", tmp_path)
    return said


def told(said: Path) -> list[str]:
    return [line for line in said.read_text().splitlines() if "is-" not in line]


def test_the_unit_says_how_the_server_runs(home: Path, picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICLOUD_DRAIN", "40")
    unit = picloud("service", "install", "--show", "--user").out
    assert f'ExecStart="{sys.executable}" "-P" "-m" "picloud" "serve"' in unit
    assert f'Environment="PICLOUD_HOME={home}" "PATH={os.environ["PATH"]}"' in unit
    for line in ("Restart=on-failure", "KillMode=process", "TimeoutStopSec=60", "Delegate=yes", "WantedBy=default.target",
                 f"EnvironmentFile=-{home}/service.env"):  # fmt: skip
        assert line in unit.splitlines()
    assert "User=" not in unit
    assert "WantedBy=multi-user.target" in picloud("service", "install", "--show", "--system").out
    assert os.listdir(home) == []


@pytest.mark.parametrize("whose", ["--user", "--system"])
@pytest.mark.parametrize("name", ["home", ODD])
def test_systemd_reads_the_unit(picloud: Picloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str, name: str) -> None:
    """With systemd's own reader, where that is installed; its quoting everywhere."""
    monkeypatch.setenv("PICLOUD_HOME", str(tmp_path / name))
    unit = tmp_path / "picloud.service"
    unit.write_text(picloud("service", "install", "--show", whose).out)
    (line,) = [line for line in unit.read_text().splitlines() if line.startswith("Environment=")]
    words = shlex.split(line.removeprefix("Environment=").replace("%%", "%"))
    assert words[0] == f"PICLOUD_HOME={tmp_path / name}"
    if shutil.which("systemd-analyze") is None:
        return
    environment = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        ["systemd-analyze", "verify", whose, unit], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_install_enables_and_starts_it(home: Path, systemd: Path, picloud: Picloud, tmp_path: Path) -> None:
    done = picloud("--json", "service", "install", "--user").json
    path = tmp_path / "config/systemd/user/picloud.service"
    assert (done["path"], done["installed"], done["active"], done["enabled"]) == (str(path), True, "active", "enabled")
    assert done["notes"] == [f"It ends when you log out: loginctl enable-linger {getpass.getuser()}"]
    assert told(systemd) == [f"--user {words}" for words in ("daemon-reload", "enable picloud.service", "start picloud.service")]
    assert picloud("service", "status", "--user").out == f"{path}: active, enabled\n"
    systemd.write_text("")
    assert picloud("--json", "service", "uninstall", "--user").json == {"removed": str(path)}
    assert told(systemd) == ["--user disable --now picloud.service", "--user daemon-reload"]
    assert not path.exists()
    assert picloud("service", "uninstall", "--user").code == 3


def test_a_server_that_runs_is_not_taken_over(home: Path, systemd: Path, picloud: Picloud) -> None:
    with lock(home):
        done = picloud("service", "install", "--user")
    assert f"A server runs already (pid {os.getpid()})" in done.out
    assert told(systemd) == ["--user daemon-reload", "--user enable picloud.service"]


def test_up_and_restart_are_the_services_where_it_is_installed(
    home: Path, systemd: Path, picloud: Picloud, tmp_path: Path
) -> None:
    picloud("service", "install", "--user")
    picloud("down")
    program, pid = tmp_path / "bin/systemctl", tmp_path / "pid"
    server = f"echo {{}} | setsid {sys.executable} {lifecycle.PROGRAM[0]} >/dev/null 2>&1 & echo $! > {pid}"
    program.write_text(program.read_text().replace("echo active >", f"{server}; echo active >"))
    for act in ("up", "restart"):
        systemd.write_text("")
        done = picloud(act)
        assert done.code == 0 and done.out.startswith("http"), done
        assert "--user start picloud.service" in told(systemd)
        assert homes.read_server_file(home).pid == int(pid.read_text())  # type: ignore[union-attr]
    systemd.write_text("")
    assert picloud("restart", "--host", "127.0.0.1").code == 0
    assert told(systemd) == []
    picloud("down")
    assert picloud("service", "uninstall", "--user").code == 0


def test_a_service_that_does_not_start_is_told(home: Path, systemd: Path, picloud: Picloud, tmp_path: Path) -> None:
    picloud("service", "install", "--user")
    (tmp_path / "state").write_text("failed\n")
    program = tmp_path / "bin/systemctl"
    program.write_text(program.read_text().replace("echo active >", "echo failed >"))
    done = picloud("up")
    assert done.code == 3 and "systemctl --user status picloud" in done.err


def test_what_systemd_refuses_is_said(home: Path, systemd: Path, picloud: Picloud, tmp_path: Path) -> None:
    (tmp_path / "bin/systemctl").write_text("#!/bin/sh\necho 'Failed to connect to bus: No medium found' >&2\nexit 1\n")
    done = picloud("service", "install", "--user")
    assert done.code == 3 and "Failed to connect to bus" in done.err


def test_without_systemd_a_crontab_does_it(picloud: Picloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "RUNNING", tmp_path / "none")
    monkeypatch.setenv("PICLOUD_HOME", str(tmp_path / "my home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    done = picloud("service", "install", "--user")
    assert done.code == 3 and "systemd does not run this machine" in done.err
    (line,) = [part for part in done.err.splitlines() if "@reboot" in part]
    words = shlex.split(line.partition("@reboot ")[2])
    assert words == ["env", f"PICLOUD_HOME={tmp_path}/my home", sys.executable, "-P", "-m", "picloud", "up"]
    assert "@reboot" in picloud("service", "status", "--user").out
    assert not (tmp_path / "config").exists() and not (tmp_path / "my home").exists()


def test_the_system_unit_runs_as_the_homes_owner(home: Path, picloud: Picloud) -> None:
    if os.geteuid() == 0:
        shutil.chown(home, "nobody")
    owner = home.owner()
    assert (f"User={owner}\n" if owner != "root" else "[Service]") in picloud("service", "install", "--show", "--system").out
