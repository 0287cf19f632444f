"""up, down, restart: against a stand-in for the server program."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from picloud.cli import lifecycle, packages
from picloud.engine import process
from picloud.server import home as homes
from picloud.server.address import listen
from picloud.settings import Settings

Picloud = Callable[..., Any]


def health(address: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{address}/v1/health", timeout=5) as answer:
        found: dict[str, object] = json.loads(answer.read())
        return found


def nothing_left(home: Path) -> bool:
    return not list(process.marked(process.of_home(home)))


def test_up_prints_the_address_first_and_the_server_answers(picloud: Picloud, home: Path) -> None:
    said = picloud("up")
    assert said.code == 0, said
    address, account, login = said.out.splitlines()
    assert health(address)["ok"] is True
    assert account.startswith("Account ann was created")
    assert login.endswith("/#ticket")
    assert (home / "server.log").stat().st_mode & 0o777 == 0o600
    assert picloud("down").out == f"Stopped {address}\n"
    assert nothing_left(home)
    assert not (home / "server.json").exists()


def test_up_twice_is_harmless(picloud: Picloud) -> None:
    first, second = picloud("up", "--json").json, picloud("up", "--json").json
    assert (first["new"], second["new"]) == (True, False)
    assert first["pid"] == second["pid"]
    third = picloud("up")
    assert third.out.splitlines() == [
        first["address"],
        f"Runs already (pid {first['pid']}).",
        f"Log in (this link works once): {first['address']}/#fresh",
    ]
    assert picloud("status", "--login").out.splitlines()[-1].endswith("/#fresh")
    assert "login_url" not in picloud("status", "--json").json
    assert third.code == 0


def test_up_says_what_a_running_server_does_not_do_as_asked(picloud: Picloud, home: Path) -> None:
    picloud("up")
    assert picloud("up", "--host", "10.1.2.3", "--insecure").out.splitlines()[-1] == (
        "To change how it listens: picloud restart --host 10.1.2.3 --insecure"
    )
    file = homes.read_server_file(home)
    assert file
    file.version = "0.0.9"
    homes.write_server_file(home, file)
    assert "It is version 0.0.9: `picloud restart` starts version" in picloud("up").out


def test_two_at_once_start_one_server(home: Path) -> None:
    (home / "slow").touch()
    found: list[tuple[int, bool]] = []

    def start() -> None:
        file, new = lifecycle.start(Settings(home=str(home)), {"port": 0})
        found.append((file.pid, new))

    both = [threading.Thread(target=start) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(20)
    assert len({pid for pid, _ in found}) == 1
    assert sorted(new for _, new in found) == [False, True]


def test_down_without_a_server_is_harmless(picloud: Picloud, home: Path) -> None:
    said = picloud("down")
    assert (said.code, said.out) == (0, f"No server runs for {home}\n")
    home.rename(home.with_name("elsewhere"))
    assert picloud("down", "--json").json == {"stopped": False, "address": None, "killed": 0}
    home.with_name("elsewhere").rename(home)


def test_down_leaves_no_process_even_of_a_killed_server(picloud: Picloud, home: Path) -> None:
    (home / "worker").touch()
    pid = picloud("up", "--json").json["pid"]
    worker = int((home / "worker").read_text())
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert process.started(worker)
    said = picloud("down", "--json").json
    assert said == {"stopped": False, "address": None, "killed": 1}
    assert nothing_left(home)


def test_restart_stops_only_the_server_and_keeps_its_port(picloud: Picloud, home: Path) -> None:
    (home / "worker").touch()
    first = picloud("up", "--json").json
    worker = int((home / "worker").read_text())
    second = picloud("restart", "--json").json
    assert second["new"] is True
    assert second["pid"] != first["pid"]
    assert second["address"] == first["address"]
    assert process.started(worker)
    assert health(second["address"])["pid"] == second["pid"]


def test_a_restart_that_could_not_listen_leaves_the_server_alone(picloud: Picloud) -> None:
    first = picloud("up", "--json").json
    with listen("127.0.0.1", 0) as taken:
        for flag, value in (("--host", "192.0.2.77"), ("--port", str(taken.getsockname()[1]))):
            assert picloud("restart", flag, value).code == 3
    assert health(first["address"])["pid"] == first["pid"]
    assert picloud("restart", "--port", str(first["port"]), "--json").json["address"] == first["address"]


def test_restart_starts_a_server_where_none_runs(picloud: Picloud) -> None:
    assert picloud("restart", "--json").json["new"] is True


def test_up_after_a_crash_takes_the_port_its_workers_know(picloud: Picloud) -> None:
    first = picloud("up", "--json").json
    os.kill(first["pid"], signal.SIGKILL)
    os.waitpid(first["pid"], 0)
    assert picloud("up", "--json").json["address"] == first["address"]


def test_up_after_a_crash_listens_where_others_look_for_it(picloud: Picloud) -> None:
    first = picloud("up", "--host", "10.1.2.3", "--insecure", "--json").json
    os.kill(first["pid"], signal.SIGKILL)
    os.waitpid(first["pid"], 0)
    second = picloud("up", "--json").json
    assert [second[name] for name in ("host", "port", "insecure")] == ["10.1.2.3", first["port"], True]
    picloud("down")
    assert picloud("up", "--json").json["host"] == ""


def free_port() -> int:
    with listen("127.0.0.1", 0) as found:
        return int(found.getsockname()[1])


@pytest.mark.parametrize("way", ["up after a crash", "restart"])
def test_a_port_that_the_user_has_set_meanwhile_wins(picloud: Picloud, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    first = picloud("up", "--json").json
    wanted = free_port()
    monkeypatch.setenv("PICLOUD_PORT", str(wanted))
    assert picloud("up").out.splitlines()[-1] == f"To change how it listens: picloud restart --port {wanted}"
    if way != "restart":
        os.kill(first["pid"], signal.SIGKILL)
        os.waitpid(first["pid"], 0)
    assert picloud(way.split()[0], "--json").json["port"] == wanted
    monkeypatch.setenv("PICLOUD_PORT", "0")
    assert picloud("restart", "--json").json["port"] == wanted


def test_a_flag_outlives_a_crash_where_the_settings_are_as_before(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICLOUD_PORT", str(free_port()))
    flagged = free_port()
    first = picloud("up", "--port", str(flagged), "--json").json
    os.kill(first["pid"], signal.SIGKILL)
    os.waitpid(first["pid"], 0)
    assert picloud("up", "--json").json["port"] == flagged
    assert picloud("restart", "--json").json["port"] == flagged


def test_a_host_that_the_user_has_removed_is_not_listened_on(picloud: Picloud, home: Path) -> None:
    (home / "settings.toml").write_text("host = '10.1.2.3'\ninsecure = true\n")
    first = picloud("up", "--json").json
    os.kill(first["pid"], signal.SIGKILL)
    os.waitpid(first["pid"], 0)
    (home / "settings.toml").unlink()
    second = picloud("up", "--json").json
    assert [second[name] for name in ("host", "port", "insecure")] == ["", first["port"], False]


def test_a_restart_onto_a_port_in_use_leaves_the_server_alone(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    first = picloud("up", "--json").json
    with listen("127.0.0.1", 0) as taken:
        monkeypatch.setenv("PICLOUD_PORT", str(taken.getsockname()[1]))
        assert picloud("restart").code == 3
    assert health(first["address"])["pid"] == first["pid"]


def test_a_host_prints_the_line_to_type_elsewhere(picloud: Picloud) -> None:
    said = picloud("up", "--host", "10.1.2.3", "--json").json
    port = said["port"]
    assert said["setup"] == f"picloud setup https://10.1.2.3:{port} --fingerprint ab12"
    lines = picloud("restart").out.splitlines()
    assert lines[-1] == f"On another machine: {said['setup']}"


def test_a_port_in_use_is_one_clear_line(picloud: Picloud) -> None:
    with listen("127.0.0.1", 0) as taken:
        said = picloud("up", "--port", str(taken.getsockname()[1]))
    assert said.code == 3
    line, tip = said.err.splitlines()
    assert f"is in use by pid {os.getpid()}" in line
    assert tip.startswith("TIP: ")


def test_a_server_that_dies_is_told_with_its_last_words(picloud: Picloud, home: Path) -> None:
    (home / "dies").touch()
    said = picloud("up", "--json")
    assert said.code == 3
    assert said.error["message"] == "the server ended with code 1 before it was ready: no luck today"
    assert said.error["hint"] == f"see {home / 'server.log'}"


def test_a_silent_server_is_given_up(picloud: Picloud, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "START_SECONDS", 0.1)
    monkeypatch.setattr(lifecycle, "PROGRAM", ["-c", "import time; time.sleep(60)"])
    said = picloud("up")
    assert said.code == 3
    assert "did not answer before it was ready" in said.err
    assert nothing_left(home)


def test_an_unusable_home_is_one_clear_line(picloud: Picloud, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    monkeypatch.setenv("PICLOUD_HOME", str(home / "file" / "below"))
    said = picloud("up")
    assert said.code == 3
    assert "Not a directory" in said.err.splitlines()[0]


def test_a_wrong_setting_names_its_source(picloud: Picloud, home: Path) -> None:
    (home / "settings.toml").write_text("prot = 1")
    said = picloud("up")
    assert said.code == 3
    assert "prot" in said.err
    assert str(home / "settings.toml") in said.err
    (home / "settings.toml").write_text("drain = 'long'")
    assert picloud("up").err.splitlines()[0].startswith("setting drain: ")


def test_serve_stops_on_sigterm(home: Path) -> None:
    script = "import sys; from picloud.cli import lifecycle, main; lifecycle.PROGRAM = sys.argv[1:]; main.main(['serve'])"
    command = [sys.executable, "-c", script, *lifecycle.PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout
        address = serving.stdout.readline().strip()
        assert health(address)["ok"] is True
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(5) == 0
    assert nothing_left(home)


def test_the_server_ends_when_serve_is_killed(home: Path) -> None:
    script = "import sys; from picloud.cli import lifecycle, main; lifecycle.PROGRAM = sys.argv[1:]; main.main(['serve'])"
    with subprocess.Popen([sys.executable, "-c", script, *lifecycle.PROGRAM], stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout
        pid = health(serving.stdout.readline().strip())["pid"]
        serving.kill()
    assert isinstance(pid, int)
    assert process.wait(pid, 5)


def test_up_without_the_extra_says_what_to_install(picloud: Picloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "PACKAGES", ("uvicorn", "surely_not_installed_anywhere"))
    for words in (("up",), ("serve",), ("restart",)):
        error = picloud(*words, "--json").error
        assert error["message"] == "to run a server, this Python lacks surely_not_installed_anywhere"
        assert "picloud[server]" in error["hint"]
